/* SPDX-License-Identifier: MIT */
/* A repeated string instruction is told as one. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#undef IO_REP
#define IO_REP 0ull
#include "hv/x86/svm/svm_child.c"
