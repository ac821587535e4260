/* SPDX-License-Identifier: MIT */
/* A write of an MSR is told as a read. */
#include "hv/abi/intercept.h"

#define HV_ACCESS_WRITE HV_ACCESS_READ
#include "hv/x86/exit.c"
