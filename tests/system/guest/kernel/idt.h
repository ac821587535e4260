/* SPDX-License-Identifier: MIT */
/* The interrupt descriptor table of the 64-bit test kernels. */
#ifndef TESTS_SYSTEM_GUEST_KERNEL_IDT_H
#define TESTS_SYSTEM_GUEST_KERNEL_IDT_H

#include <stdint.h>

#define IDT_CODE      8u /* the code segment of pvh64_entry.S */
#define IDT_INTERRUPT 0x8e00u

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

struct descriptor {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* A gate to the code at an address, with interrupts off. */
static inline struct gate idt_gate(uint64_t at)
{
    return (struct gate){.offset_low = (uint16_t)at,
                         .selector = IDT_CODE,
                         .type = IDT_INTERRUPT,
                         .offset_middle = (uint16_t)(at >> 16),
                         .offset_high = (uint32_t)(at >> 32)};
}

static inline void idt_load(const struct gate *gates, unsigned count)
{
    const struct descriptor descriptor = {(uint16_t)(count * sizeof(*gates) - 1), (uint64_t)gates};

    __asm__ volatile("lidt %0" : : "m"(descriptor));
}

#endif
