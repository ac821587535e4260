/* SPDX-License-Identifier: MIT */
/* The virtual APIC timer: one-shot, periodic and TSC-deadline modes on the LP's timer queue. */
#include "hv/arch.h"
#include "hv/core/partition.h"
#include "hv/core/vapic_parts.h"
#include "hv/core/vp.h"

#define COUNTS_PER_REFTIME (VAPIC_TIMER_HZ / 10000000ull)
#define PERIOD_MINIMUM     1000u /* 100 us: no guest may storm its own LP */

static uint32_t timer_mode(const struct vapic *apic)
{
    return apic->lvt[VAPIC_LVT_INDEX_TIMER] & VAPIC_TIMER_MODE_MASK;
}

/* Divide values 0..7 of bits 3,1,0 mean 2, 4 ... 128, 1. */
static unsigned divide_shift(const struct vapic *apic)
{
    const uint32_t bits = (apic->timer_divide & 3) | (apic->timer_divide >> 1 & 4);
    return (bits + 1) & 7;
}

/* Rounded up, and at least one unit: a timer never expires early. */
static reftime_t period(const struct vapic *apic)
{
    const uint64_t counts = (uint64_t)apic->timer_initial << divide_shift(apic);
    const reftime_t units = (counts + COUNTS_PER_REFTIME - 1) / COUNTS_PER_REFTIME;
    const bool periodic = timer_mode(apic) == VAPIC_TIMER_MODE_PERIODIC;
    return periodic && units < PERIOD_MINIMUM ? PERIOD_MINIMUM : units;
}

static struct vp *owner(struct timer *timer)
{
    return CONTAINER_OF(CONTAINER_OF(timer, struct vapic, timer), struct vp, apic);
}

static void fire(struct vp *vp)
{
    const uint32_t lvt = vp->apic.lvt[VAPIC_LVT_INDEX_TIMER];
    if ((lvt & VAPIC_LVT_MASKED) || (lvt & 0xff) < 16)
        return;
    vapic_raise(&vp->apic, (uint8_t)lvt, false);
    vp->stats.timer_expirations++;
    vp_notify(vp);
}

void vapic_timer_expire(struct timer *timer)
{
    struct vp *vp = owner(timer);
    struct vapic *apic = &vp->apic;
    if (timer_mode(apic) == VAPIC_TIMER_MODE_PERIODIC && apic->timer_initial != 0) {
        apic->timer_started += period(apic);
        if (apic->timer_started + period(apic) < partition_time(vp->partition))
            apic->timer_started = /* after a long stop periods are not made up for */
                partition_time(vp->partition);
        vp_arm_timer(vp, timer, apic->timer_started + period(apic));
    }
    apic->tsc_deadline = 0;
    fire(vp);
}

static void rearm(struct vp *vp)
{
    struct vapic *apic = &vp->apic;
    timer_cancel(vp->timers, &apic->timer);
    if (timer_mode(apic) == VAPIC_TIMER_MODE_DEADLINE) {
        if (apic->tsc_deadline != 0)
            vp_arm_timer(vp, &apic->timer, arch_time_from_tsc(apic->tsc_deadline) + 1);
    } else if (apic->timer_initial != 0) {
        vp_arm_timer(vp, &apic->timer, apic->timer_started + period(apic));
    }
}

void vapic_timer_load(struct vp *vp, uint32_t initial, uint32_t current)
{
    struct vapic *apic = &vp->apic;
    if (timer_mode(apic) == VAPIC_TIMER_MODE_DEADLINE)
        return;
    const uint64_t counted = (uint64_t)(initial - current) << divide_shift(apic);
    apic->timer_initial = initial;
    apic->timer_started = partition_time(vp->partition) - counted / COUNTS_PER_REFTIME;
    rearm(vp);
}

void vapic_timer_set_divide(struct vp *vp, uint32_t divide)
{
    vp->apic.timer_divide = divide & VAPIC_TIMER_DIVIDE_WRITABLE;
    if (vp->apic.timer.armed)
        rearm(vp);
}

void vapic_timer_mode_changed(struct vp *vp, uint32_t old_lvt)
{
    struct vapic *apic = &vp->apic;
    const bool was_deadline = (old_lvt & VAPIC_TIMER_MODE_MASK) == VAPIC_TIMER_MODE_DEADLINE;
    const bool is_deadline = timer_mode(apic) == VAPIC_TIMER_MODE_DEADLINE;
    if (was_deadline == is_deadline)
        return;
    apic->timer_initial = 0;
    apic->tsc_deadline = 0;
    rearm(vp);
}

void vapic_write_deadline(struct vp *vp, uint64_t tsc)
{
    if (timer_mode(&vp->apic) != VAPIC_TIMER_MODE_DEADLINE)
        return;
    vp->apic.tsc_deadline = tsc;
    rearm(vp);
}

uint32_t vapic_timer_current(const struct vp *vp)
{
    const struct vapic *apic = &vp->apic;
    if (!apic->timer.armed || timer_mode(apic) == VAPIC_TIMER_MODE_DEADLINE)
        return 0;
    const uint64_t elapsed =
        (partition_time(vp->partition) - apic->timer_started) * COUNTS_PER_REFTIME;
    const uint64_t counted = elapsed >> divide_shift(apic);
    return counted >= apic->timer_initial ? 0 : apic->timer_initial - (uint32_t)counted;
}
