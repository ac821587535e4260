/* SPDX-License-Identifier: MIT */
/* A fetch from memory that is not there is told as a read. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#undef NPF_FETCH
#define NPF_FETCH 0ull
#include "hv/x86/svm/svm_child.c"
