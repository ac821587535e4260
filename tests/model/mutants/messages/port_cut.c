/* SPDX-License-Identifier: MIT */
/* Ports have eight bits. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#undef IO_PORT
#define IO_PORT(info) ((uint8_t)((info) >> 16))
#include "hv/x86/svm/svm_child.c"
