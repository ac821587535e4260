/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of VP 0 of the small machine of host_machine.h, where they put what, and who got
 * something by them.
 */
#ifndef TESTS_UNIT_HV_HOST_CALL_H
#define TESTS_UNIT_HV_HOST_CALL_H

#include "hv/abi/hypercall.h"
#include "hv/core/hypercall.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define INPUT    0x1000u
#define OUTPUT   0x2000u
#define MESSAGES 0x3000u
#define EVENTS   0x4000u
#define FAST     HV_CONTROL_FAST
#define SINT     2u
#define VECTOR   0xf3u
#define SELF     HV_PARTITION_ID_SELF

/* A new machine of the parent's. */
int host_call_setup(void **state);
/* The result in RAX, the only register that changes. */
uint64_t host_call(uint64_t control, uint64_t rdx, uint64_t r8);
/* The control word's bits for a variable header of so many words. */
uint64_t host_varhead(uint64_t words);
/* The call is refused with this status and nothing comes of it. */
void host_call_refused(uint64_t control, uint64_t rdx, uint64_t r8, enum hv_status status);
/* SINT delivers VECTOR to that VP, with pages at MESSAGES and EVENTS. */
void host_synic_on(struct vp *target);
/* Which VPs have this vector to take; they take it. */
unsigned host_receivers(uint8_t vector);

#endif
