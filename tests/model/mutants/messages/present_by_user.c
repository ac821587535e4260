/* SPDX-License-Identifier: MIT */
/* Memory counts as mapped when the user reached for it. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#undef NPF_PRESENT
#define NPF_PRESENT (1ull << 2)
#include "hv/x86/svm/svm_child.c"
