/* SPDX-License-Identifier: MIT */
/* The priority lies one bit lower. */
#include "hv/abi/intercept.h"

#undef HV_INTERCEPT_CR8_SHIFT
#define HV_INTERCEPT_CR8_SHIFT 3
#include "hv/x86/svm/svm_child.c"
