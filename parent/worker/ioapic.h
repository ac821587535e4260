/* SPDX-License-Identifier: MIT */
/*
 * An I/O APIC with 24 pins, version 0x20. Local APICs are the hypervisor's:
 * this hands over ready interrupts, and is told of the end of level-triggered
 * ones. Not thread-safe.
 */
#ifndef PARENT_WORKER_IOAPIC_H
#define PARENT_WORKER_IOAPIC_H

#include "parent/worker/bus.h"

#define BH_IOAPIC_BASE 0xfec00000u
#define BH_IOAPIC_SIZE 0x1000u
#define BH_IOAPIC_PINS 24u

struct bh_interrupt {
    uint8_t vector;
    uint8_t delivery_mode; /* as in a redirection entry: 0 fixed ... 7 ExtINT */
    uint8_t destination;
    bool logical;
    bool level;
};

struct bh_ioapic {
    void (*deliver)(void *context, const struct bh_interrupt *interrupt);
    void *context;
    uint8_t select;
    uint8_t id;
    uint32_t lines; /* level of each pin */
    uint64_t entry[BH_IOAPIC_PINS];
};

void bh_ioapic_init(struct bh_ioapic *ioapic,
                    void (*deliver)(void *context, const struct bh_interrupt *interrupt),
                    void *context);

void bh_ioapic_set_pin(struct bh_ioapic *ioapic, unsigned pin, bool level);

/* A local APIC finished a level-triggered interrupt of this vector. */
void bh_ioapic_end_of_interrupt(struct bh_ioapic *ioapic, uint8_t vector);

struct bh_bus_device bh_ioapic_device(struct bh_ioapic *ioapic);

#endif
