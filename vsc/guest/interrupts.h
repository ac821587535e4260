/* SPDX-License-Identifier: MIT */
/* The interrupt table and the local APIC, in x2APIC mode. */
#ifndef VSC_GUEST_INTERRUPTS_H
#define VSC_GUEST_INTERRUPTS_H

#include <stdint.h>

#define VECTOR_VMBUS 0x50u
#define VECTOR_TIMER 0x51u

void interrupts_begin(void);

/* VMBus interrupts that were taken. */
uint64_t interrupts_taken(void);

#endif
