/* SPDX-License-Identifier: MIT */
/*
 * All emulated devices of a child behind two buses. VP threads and the event
 * loop call it at the same time; one lock serializes the devices. Callbacks run
 * under that lock and must not call back into the chipset.
 */
#ifndef PARENT_WORKER_CHIPSET_H
#define PARENT_WORKER_CHIPSET_H

#include <pthread.h>

#include "parent/worker/bus.h"
#include "parent/worker/ioapic.h"
#include "parent/worker/pmtimer.h"
#include "parent/worker/power.h"
#include "parent/worker/rtc.h"
#include "parent/worker/serial.h"

struct bh_chipset_host {
    void (*interrupt)(void *context, const struct bh_interrupt *interrupt);
    void (*output)(void *context, uint8_t byte);
    void (*input_wanted)(void *context);
    void (*power)(void *context, enum bh_power_event event, uint32_t value);
    void *context;
};

struct bh_chipset {
    struct bh_chipset_host host;
    pthread_mutex_t lock;
    struct bh_bus ports;
    struct bh_bus mmio;
    struct bh_serial serial;
    struct bh_rtc rtc;
    struct bh_pmtimer pmtimer;
    struct bh_ioapic ioapic;
    struct bh_power power;
};

/* Devices as after power-on. The lock is initialized once, before the first reset. */
void bh_chipset_init(struct bh_chipset *chipset, const struct bh_chipset_host *host);
void bh_chipset_reset(struct bh_chipset *chipset);

uint64_t bh_chipset_read_port(struct bh_chipset *chipset, uint16_t port, unsigned size);
void bh_chipset_write_port(struct bh_chipset *chipset, uint16_t port, unsigned size,
                           uint64_t value);

/* A VP ended a level-triggered interrupt of this vector. */
void bh_chipset_end_of_interrupt(struct bh_chipset *chipset, uint8_t vector);

/* Gives bytes to the serial port; returns how many it took. */
size_t bh_chipset_serial_input(struct bh_chipset *chipset, const uint8_t *data, size_t length);

#endif
