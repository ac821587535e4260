/* SPDX-License-Identifier: MIT */
/*
 * All emulated devices of a child behind two buses. VP threads and the event
 * loop call it at the same time; one lock serializes the devices. Callbacks run
 * under that lock and must not call back into the chipset.
 */
#ifndef PARENT_WORKER_CHIPSET_H
#define PARENT_WORKER_CHIPSET_H

#include <pthread.h>

#include "parent/control/config.h"
#include "parent/worker/bus.h"
#include "parent/worker/ioapic.h"
#include "parent/worker/mmio.h"
#include "parent/worker/pmtimer.h"
#include "parent/worker/power.h"
#include "parent/worker/rtc.h"
#include "parent/worker/serial.h"

struct bh_chipset_host {
    void (*interrupt)(void *context, const struct bh_interrupt *interrupt);
    void (*output)(void *context, uint8_t byte);
    void (*input_wanted)(void *context);
    void (*power)(void *context, enum bh_power_event event, uint32_t value);
    uint64_t (*output_end)(void *context); /* bytes put out so far */
    void *context;
};

/*
 * What another process needs to go on with the devices, and with what they did for a VP. Images
 * are written in turn, the one that counts by the last bit of `number`, which is written last. A
 * VP's result counts while its number is not 0 and not above that: the devices have done what the
 * VP asked for, and it is to go on with these registers.
 */
struct bh_chipset_result {
    uint64_t number;
    struct bh_mmio_cpu cpu;
    bool rax_only; /* and RIP */
};

struct bh_chipset_image {
    struct bh_serial serial;
    struct bh_rtc rtc;
    struct bh_pmtimer pmtimer;
    struct bh_ioapic ioapic;
    uint64_t output_end;
};

struct bh_chipset_journal {
    uint64_t number;
    struct bh_chipset_image image[2];
    struct bh_chipset_result vp[BH_CONFIG_VPS_MAX];
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
    struct bh_chipset_journal *journal;
};

/*
 * Devices as after power-on. The lock is initialized once, before the first reset. `journal` is
 * NULL where no other process will go on.
 */
void bh_chipset_init(struct bh_chipset *chipset, const struct bh_chipset_host *host,
                     struct bh_chipset_journal *journal);
void bh_chipset_reset(struct bh_chipset *chipset);

/* Between these two a VP uses `ports` and `mmio`; `cpu` is what it goes on with, unused without a
 * journal. */
void bh_chipset_begin(struct bh_chipset *chipset);
void bh_chipset_end(struct bh_chipset *chipset, uint32_t vp, const struct bh_mmio_cpu *cpu,
                    bool rax_only);

/* The VP has the registers that bh_chipset_end was told. Only where there is a journal. */
void bh_chipset_stored(struct bh_chipset *chipset, uint32_t vp);

/* The devices as another process left them, after bh_chipset_reset. */
void bh_chipset_resume(struct bh_chipset *chipset);

/* What a VP is to go on with that another process did not come to; NULL: nothing. */
const struct bh_chipset_result *bh_chipset_result_of(const struct bh_chipset *chipset, uint32_t vp);

/* How many bytes were put out, after the last whole image. */
uint64_t bh_chipset_output_end(const struct bh_chipset_journal *journal);

/* The clocks that the guest reads here, but for the real-time clock, stand still or go on. */
void bh_chipset_hold_time(struct bh_chipset *chipset, bool hold);

/* A VP ended a level-triggered interrupt of this vector. */
void bh_chipset_end_of_interrupt(struct bh_chipset *chipset, uint8_t vector);

/* Gives bytes to the serial port; returns how many it took. */
size_t bh_chipset_serial_input(struct bh_chipset *chipset, const uint8_t *data, size_t length);

#endif
