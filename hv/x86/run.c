/* SPDX-License-Identifier: MIT */
/*
 * The run loop: look at what happened, choose a VP, run it until its next exit.
 *
 * News comes in three ways: physical interrupts, taken in the windows; VPs
 * notified by other LPs, in the list lp->notified (many push, the LP itself
 * takes all); and timers. The hardware timer is armed only while something
 * waits for it.
 */
#include "hv/x86/run.h"

#include "hv/arch.h"
#include "hv/core/vp.h"
#include "hv/x86/call.h"
#include "hv/x86/cpu.h"
#include "hv/x86/extended.h"
#include "hv/x86/interrupts.h"
#include "hv/x86/lapic.h"
#include "hv/x86/smp.h"
#include "hv/x86/time.h"
#include "hv/x86/vendor.h"

#define LOOK_AGAIN_AFTER 10 /* 1 us */

void idle_wait(const volatile bool *nmi_seen);

/* ---- accounting ---- */

static uint64_t lap(struct lp *lp)
{
    const uint64_t now = cpu_read_tsc();
    const uint64_t ran = now - lp->stamp;
    lp->stamp = now;
    return ran;
}

void lp_account_guest_entry(struct lp *lp)
{
    const uint64_t ran = lap(lp);
    lp->stats.time_hypervisor += ran;
    lp->current->stats.time_hypervisor += ran;
}

void lp_account_guest_exit(struct lp *lp)
{
    const uint64_t ran = lap(lp);
    lp->stats.time_guest += ran;
    lp->current->stats.time_guest += ran;
}

/* ---- notifications ---- */

static void push_notified(struct lp *lp, struct vp *vp)
{
    struct vp *first = __atomic_load_n(&lp->notified, __ATOMIC_RELAXED);
    do
        vp->next_notified = first;
    while (!__atomic_compare_exchange_n(&lp->notified, &first, vp, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED));
}

void arch_vp_notify(struct vp *vp)
{
    struct lp *lp = vp->lp;
    push_notified(lp, vp);
    if (lp != lp_this())
        smp_kick(lp);
}

static struct vp *vp_of(struct sched_entity *entity)
{
    return entity == NULL ? NULL : CONTAINER_OF(entity, struct vp, sched);
}

/* The VP has something to do. */
static void end_rest(struct vp *vp, uint64_t tsc)
{
    if (vp->activity != VP_HALTED)
        return;
    vp->activity = VP_ACTIVE;
    vp->stats.time_halted += tsc - vp->rested_since;
}

static void wake_if_due(struct lp *lp, struct vp *vp, uint64_t tsc)
{
    vp_take_requests(vp);
    vapic_sync(vp);
    const bool is_runnable = vp_is_runnable(vp);
    if (vp == lp->current || !is_runnable) {
        lp->reschedule = lp->reschedule || (vp == lp->current && !is_runnable);
        return;
    }
    end_rest(vp, tsc);
    const reftime_t now = time_from_tsc(tsc);
    if (sched_wake(&vp->sched, true, now))
        lp->reschedule = true;
    if (!lp->reschedule) /* else choose tells it */
        lp->slice_end = sched_next_deadline(&lp->run, now);
}

static void take_notifications(struct lp *lp, uint64_t tsc)
{
    struct vp *vp = __atomic_exchange_n(&lp->notified, NULL, __ATOMIC_SEQ_CST);
    while (vp != NULL) {
        struct vp *next = vp->next_notified;
        __atomic_store_n(&vp->notified, 0, __ATOMIC_SEQ_CST);
        wake_if_due(lp, vp, tsc);
        vp = next;
    }
}

void run_forget(struct lp *lp, struct vp *vp)
{
    struct vp *list = __atomic_exchange_n(&lp->notified, NULL, __ATOMIC_SEQ_CST);
    while (list != NULL) {
        struct vp *next = list->next_notified;
        if (list != vp)
            push_notified(lp, list);
        list = next;
    }
    sched_entity_remove(&vp->sched, arch_time_now());
    if (lp->current == vp)
        lp->current = NULL;
    lp->reschedule = true;
}

void arch_suspend_changed(struct vp *vp)
{
    struct lp *lp = vp->lp;
    if (vp_is_runnable(vp))
        vp_notify(vp);
    else if (vp == lp->current)
        lp->reschedule = true;
    else if (vp->sched.lane != SCHED_BLOCKED)
        sched_block(&vp->sched, arch_time_now());
}

/* ---- timers ---- */

/* Expires what is due, then arms the hardware for what is not, if that changed. */
static void run_timers(struct lp *lp)
{
    reftime_t deadline = u64_min(timer_next_deadline(&lp->timers), lp->slice_end);
    if (deadline == lp->timer_armed && !lp->look_again)
        return;
    const reftime_t now = arch_time_now();
    if (deadline <= now) {
        timer_run_expired(&lp->timers, now);
        lp->reschedule = lp->reschedule || lp->slice_end <= now;
        deadline = timer_next_deadline(&lp->timers);
        if (lp->slice_end > now)
            deadline = u64_min(deadline, lp->slice_end);
    }
    if (lp->look_again)
        deadline = u64_min(deadline, now + LOOK_AGAIN_AFTER);
    lp->look_again = false;
    time_arm(deadline, now);
    lp->timer_armed = deadline;
}

/* ---- choice ---- */

static void choose(struct lp *lp, uint64_t tsc)
{
    const reftime_t now = time_from_tsc(tsc);
    struct vp *last = lp->current;
    lp->reschedule = false;
    if (last != NULL) {
        vapic_sync(last);
        last->rested_since = tsc;
        if (vp_is_runnable(last))
            end_rest(last, tsc);
        else
            sched_block(&last->sched, now);
    }
    lp->current = vp_of(sched_pick(&lp->run, now));
    lp->slice_end = sched_next_deadline(&lp->run, now);
    if (lp->current != last) {
        lp->stats.context_switches++;
        if (lp->current != NULL)
            lp->current->stats.dispatches++;
    }
    lp->stats.time_scheduler += cpu_read_tsc() - tsc;
}

/* All at one time, so that the scheduler settles once. */
static void attend(struct lp *lp)
{
    if (lp->nmi_seen)
        interrupts_forward_nmi(lp);
    if (!lp->reschedule && __atomic_load_n(&lp->notified, __ATOMIC_RELAXED) == NULL)
        return;
    const uint64_t tsc = cpu_read_tsc();
    take_notifications(lp, tsc);
    if (lp->reschedule)
        choose(lp, tsc);
}

static void idle(struct lp *lp)
{
    lp->stats.time_hypervisor += lap(lp);
    /* A notification between the last look and here has its kick pending: the wait ends at once. */
    lapic_look_again();
    idle_wait(&lp->nmi_seen);
    lp->stats.time_idle += lap(lp);
}

static void run_current(struct lp *lp)
{
    extended_switch(lp, lp->current);
    vendor->run(lp, lp->current);
}

_Noreturn void run_loop(struct lp *lp)
{
    lp->stamp = cpu_read_tsc();
    lp->slice_end = SCHED_NO_DEADLINE;
    lp->reschedule = true;
    for (;;) {
        lp_take_calls(lp);
        attend(lp);
        run_timers(lp);
        if (lp->reschedule || __atomic_load_n(&lp->notified, __ATOMIC_RELAXED) != NULL ||
            __atomic_load_n(&lp->calls, __ATOMIC_RELAXED) != NULL)
            continue;
        if (lp->current != NULL)
            run_current(lp);
        else
            idle(lp);
    }
}

void arch_yield(struct vp *vp)
{
    struct lp *lp = vp->lp;
    sched_yield_running(&lp->run);
    lp->reschedule = true;
}
