/* SPDX-License-Identifier: MIT */
/*
 * Fixed-width integers for headers that the hypervisor, host programs and the
 * parent's Linux module share.
 */
#ifndef HV_ABI_INTS_H
#define HV_ABI_INTS_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#endif
