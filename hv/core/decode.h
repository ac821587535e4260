/* SPDX-License-Identifier: MIT */
/* The instructions that the hypervisor decodes itself: MOV to a control register, MOV to memory. */
#ifndef HV_CORE_DECODE_H
#define HV_CORE_DECODE_H

#include "hv/core/types.h"

/*
 * Length of a MOV to CRn in 64-bit mode whose first `count` bytes are given, and the number
 * of the general register it reads (in instruction-encoding order). 0: it is not one.
 */
unsigned decode_mov_to_control(const uint8_t *bytes, size_t count, unsigned *general);

struct store {
    unsigned length;  /* of the instruction */
    unsigned size;    /* bytes stored */
    unsigned general; /* the register stored, in instruction-encoding order */
};

/*
 * The MOV of a register to memory whose first `count` bytes are given, in 64-bit mode or else in
 * 32-bit code. False: it is another instruction.
 */
bool decode_store(const uint8_t *bytes, size_t count, bool is_64bit, struct store *store);

#endif
