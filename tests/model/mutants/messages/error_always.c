/* SPDX-License-Identifier: MIT */
/* Every exception has an error code. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#undef EXCEPTIONS_WITH_ERROR
#define EXCEPTIONS_WITH_ERROR 0xffffffffu
#include "hv/x86/svm/svm_child.c"
