/* SPDX-License-Identifier: MIT */
/* A guest that has enabled long mode counts as in it. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#undef EFER_LMA
#define EFER_LMA EFER_LME
#include "hv/x86/svm/svm_child.c"
