/* SPDX-License-Identifier: MIT */
/* The ACPI power-management timer: a 32-bit counter of 3,579,545 Hz, read only. */
#ifndef PARENT_WORKER_PMTIMER_H
#define PARENT_WORKER_PMTIMER_H

#include "parent/worker/bus.h"

#define BH_PMTIMER_PORT  0x608u
#define BH_PMTIMER_PORTS 4u
#define BH_PMTIMER_HZ    3579545u

struct bh_pmtimer {
    uint64_t (*now)(void *context); /* nanoseconds, never going back */
    void *context;
    uint64_t held_at; /* nanoseconds; 0: it runs */
    uint64_t stood;   /* how long it was held, in all */
};

/* It stands still from hold to release, while no VP runs; a second of either changes nothing. */
void bh_pmtimer_hold(struct bh_pmtimer *timer);
void bh_pmtimer_release(struct bh_pmtimer *timer);

struct bh_bus_device bh_pmtimer_device(struct bh_pmtimer *timer);

#endif
