/* SPDX-License-Identifier: MIT */
/* The one instruction that the hypervisor decodes itself: MOV to a control register. */
#ifndef HV_CORE_DECODE_H
#define HV_CORE_DECODE_H

#include "hv/core/types.h"

/*
 * Length of a MOV to CRn in 64-bit mode whose first `count` bytes are given, and the number
 * of the general register it reads (in instruction-encoding order). 0: it is not one.
 */
unsigned decode_mov_to_control(const uint8_t *bytes, size_t count, unsigned *general);

#endif
