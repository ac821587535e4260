/* SPDX-License-Identifier: MIT */
/* The guest's interrupt flag counts as a shadow. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#undef VMCB_INTERRUPT_SHADOW
#define VMCB_INTERRUPT_SHADOW 3u
#include "hv/x86/svm/svm_child.c"
