/* SPDX-License-Identifier: MIT */
/*
 * The physical local APIC of the calling LP, in whichever mode (xAPIC or x2APIC)
 * the firmware left it. The enable bit is never touched.
 *
 * Vectors from HV_VECTOR_FIRST up are the hypervisor's own; whatever arrives below
 * is a device interrupt of the parent.
 */
#ifndef HV_X86_LAPIC_H
#define HV_X86_LAPIC_H

#include "hv/core/types.h"

#define HV_VECTOR_FIRST    0xf0
#define HV_VECTOR_LVT_PERF 0xf0 /* fixed-mode LVT entries of the parent, by our own vectors */
#define HV_VECTOR_LVT_HEAT 0xf1
#define HV_VECTOR_LVT_CMCI 0xf2
#define HV_VECTOR_TIMER    0xf8
#define HV_VECTOR_KICK     0xf9
#define HV_VECTOR_STOP     0xfa
#define HV_VECTOR_ERROR    0xfe
#define HV_VECTOR_SPURIOUS 0xff

/* Register offsets in the xAPIC page; x2APIC MSRs are 0x800 + offset / 16. */
enum lapic_register {
    LAPIC_ID = 0x20,
    LAPIC_VERSION = 0x30,
    LAPIC_TPR = 0x80,
    LAPIC_PPR = 0xa0,
    LAPIC_EOI = 0xb0,
    LAPIC_LDR = 0xd0,
    LAPIC_DFR = 0xe0,
    LAPIC_SPURIOUS = 0xf0,
    LAPIC_ISR = 0x100,
    LAPIC_TMR = 0x180,
    LAPIC_IRR = 0x200,
    LAPIC_ESR = 0x280,
    LAPIC_LVT_CMCI = 0x2f0,
    LAPIC_ICR = 0x300,
    LAPIC_ICR_HIGH = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_THERMAL = 0x330,
    LAPIC_LVT_PERF = 0x340,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_LVT_ERROR = 0x370,
    LAPIC_TIMER_INITIAL = 0x380,
    LAPIC_TIMER_CURRENT = 0x390,
    LAPIC_TIMER_DIVIDE = 0x3e0,
    LAPIC_SELF_IPI = 0x3f0,
};

#define LAPIC_LVT_MASKED  (1u << 16)
#define LAPIC_LVT_NMI     (4u << 8)
#define LAPIC_DIVIDE_BY_1 0xbu

#define LAPIC_SEND_INIT    (5u << 8)
#define LAPIC_SEND_STARTUP (6u << 8)

/* Once, on the boot LP: finds the mode and maps the registers. */
void lapic_init(void);
/* On each LP: software-enables the APIC, masks what the hypervisor does not use. */
void lapic_init_lp(void);

uint32_t lapic_read(enum lapic_register reg);
void lapic_write(enum lapic_register reg, uint32_t value);

/*
 * Makes the APIC look at its pending interrupts anew, by a write that changes nothing. QEMU forgets
 * the signal to the processor when it comes in the moment of an exit; hardware never does.
 */
void lapic_look_again(void);

uint32_t lapic_id(void);
void lapic_eoi(void);
/* Was the vector in service raised by a level-triggered source? */
bool lapic_is_level(uint8_t vector);
/* Sends an interrupt: a vector, LAPIC_SEND_INIT, or LAPIC_SEND_STARTUP | page number. */
void lapic_send(uint32_t apic_id, uint32_t command);

/* The page of the registers: never mapped in a partition. */
spa_t lapic_page(void);

#endif
