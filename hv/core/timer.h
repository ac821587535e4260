/* SPDX-License-Identifier: MIT */
/*
 * The timers of one logical processor, in order of their deadlines. Timers are
 * embedded in their owners; nothing is allocated. Only the queue's own
 * processor touches a queue and the timers in it, so there is no lock.
 *
 * One call of timer_run_expired runs a timer once at most: a deadline is never
 * placed at or before the moment of the last run, so an owner that arms its
 * timer in the past again and again can not hold the processor.
 */
#ifndef HV_CORE_TIMER_H
#define HV_CORE_TIMER_H

#include "hv/core/heap.h"
#include "hv/core/types.h"

#define TIMER_NEVER UINT64_MAX

struct timer {
    struct heap_node node;
    reftime_t deadline;
    reftime_t time;                      /* the same in the time of its owner: vp_arm_timer */
    void (*expire)(struct timer *timer); /* may arm and cancel timers of the queue */
    bool armed;
};

struct timer_queue {
    struct heap armed;
    reftime_t floor; /* earliest deadline a timer can get */
};

void timer_queue_init(struct timer_queue *queue);
void timer_init(struct timer *timer, void (*expire)(struct timer *timer));

/* Arms or moves a timer. A deadline in the past expires in the next run. */
void timer_arm(struct timer_queue *queue, struct timer *timer, reftime_t deadline);
/* Nothing happens to a timer that is not armed. */
void timer_cancel(struct timer_queue *queue, struct timer *timer);
/* TIMER_NEVER when no timer is armed. */
reftime_t timer_next_deadline(const struct timer_queue *queue);
/* Expires, earliest first, every timer whose deadline is not after now. */
void timer_run_expired(struct timer_queue *queue, reftime_t now);

#endif
