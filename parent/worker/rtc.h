/* SPDX-License-Identifier: MIT */
/*
 * The real-time clock with its CMOS memory, ports 0x70 and 0x71. It tells the
 * host's time plus an offset that the guest may set. No interrupts: the ACPI
 * tables say that there is no RTC, and a kernel only samples the time once.
 * Not thread-safe.
 */
#ifndef PARENT_WORKER_RTC_H
#define PARENT_WORKER_RTC_H

#include <time.h>

#include "parent/worker/bus.h"

#define BH_RTC_PORT  0x70u
#define BH_RTC_PORTS 2u

struct bh_rtc {
    int64_t (*now)(void *context); /* seconds since 1970, UTC */
    void *context;
    int64_t offset; /* guest's time minus the host's, seconds */
    uint8_t index;
    uint8_t cmos[128];
    struct tm held; /* while the guest sets the clock (register B, bit 7) */
};

void bh_rtc_init(struct bh_rtc *rtc, int64_t (*now)(void *context), void *context);
struct bh_bus_device bh_rtc_device(struct bh_rtc *rtc);

#endif
