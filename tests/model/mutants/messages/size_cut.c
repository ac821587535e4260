/* SPDX-License-Identifier: MIT */
/* The width of a 32-bit port access is lost. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#undef IO_SIZE
#define IO_SIZE(info) ((info) >> 4 & 3)
#include "hv/x86/svm/svm_child.c"
