/* SPDX-License-Identifier: MIT */
#include "parent/worker/pmtimer.h"

static uint32_t ticks(const struct bh_pmtimer *timer)
{
    uint64_t ns = timer->now(timer->context) - timer->stood;
    uint64_t seconds = ns / 1000000000u;

    return (uint32_t)(seconds * BH_PMTIMER_HZ + ns % 1000000000u * BH_PMTIMER_HZ / 1000000000u);
}

void bh_pmtimer_hold(struct bh_pmtimer *timer)
{
    if (timer->held_at == 0)
        timer->held_at = timer->now(timer->context);
}

void bh_pmtimer_release(struct bh_pmtimer *timer)
{
    if (timer->held_at != 0)
        timer->stood += timer->now(timer->context) - timer->held_at;
    timer->held_at = 0;
}

static uint64_t pmtimer_read(void *context, uint64_t offset, unsigned size)
{
    (void)size;
    return ticks(context) >> 8 * offset;
}

static void pmtimer_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    (void)context;
    (void)offset;
    (void)size;
    (void)value;
}

struct bh_bus_device bh_pmtimer_device(struct bh_pmtimer *timer)
{
    return (struct bh_bus_device){.read = pmtimer_read, .write = pmtimer_write, .context = timer};
}
