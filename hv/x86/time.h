/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's clock: the time-stamp counter, calibrated once against the ACPI
 * power-management timer; and the LAPIC timer, which wakes the calling LP.
 */
#ifndef HV_X86_TIME_H
#define HV_X86_TIME_H

#include "hv/x86/boot/acpi.h"

#define REFTIME_HZ 10000000ull

/* Reference time = ((tsc * scale) >> 64) + offset, as the reference TSC page says it. */
struct time_base {
    uint64_t tsc_hz;
    uint64_t scale;
    int64_t offset;
    uint64_t lapic_hz;
    bool invariant;    /* the counter never changes its rate */
    bool synchronized; /* no LP was ever seen ahead of another */
};

extern struct time_base time_base;

/* The three clocks at one moment, as nearly as they can be read together. */
struct clock_sample {
    uint64_t tsc;
    uint32_t pm;
    uint32_t lapic; /* counts down */
};

/* Rates and offset from two samples, so many ticks of the power-management timer apart. */
void time_base_set(const struct clock_sample *start, const struct clock_sample *end,
                   uint64_t pm_ticks);

/* Takes 50 ms. The calling LP's APIC timer must be masked or idle. */
void time_calibrate(const struct acpi_info *acpi);

reftime_t time_from_tsc(uint64_t tsc);

/*
 * Compares the counters of two LPs. The started one says that it is online and looks until the
 * starter has looked often enough. Whoever sees a stamp from the future clears `synchronized`.
 */
void time_compare_as_starter(void);
void time_compare_as_started(void);

/* Waits without sleeping. For boot only. */
void time_delay_microseconds(uint64_t microseconds);

/* One interrupt HV_VECTOR_TIMER on this LP at `deadline` or soon after; TIMER_NEVER: none. */
void time_arm(reftime_t deadline, reftime_t now);

#endif
