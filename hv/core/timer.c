/* SPDX-License-Identifier: MIT */
#include "hv/core/timer.h"

static struct timer *timer_of(const struct heap_node *node)
{
    return CONTAINER_OF(node, struct timer, node);
}

static bool timer_before(const struct heap_node *a, const struct heap_node *b)
{
    return timer_of(a)->deadline < timer_of(b)->deadline;
}

void timer_queue_init(struct timer_queue *queue)
{
    heap_init(&queue->armed, timer_before);
    queue->floor = 0;
}

void timer_init(struct timer *timer, void (*expire)(struct timer *timer))
{
    *timer = (struct timer){.expire = expire};
}

void timer_arm(struct timer_queue *queue, struct timer *timer, reftime_t deadline)
{
    timer_cancel(queue, timer);
    timer->deadline = deadline > queue->floor ? deadline : queue->floor;
    timer->armed = true;
    heap_insert(&queue->armed, &timer->node);
}

void timer_cancel(struct timer_queue *queue, struct timer *timer)
{
    if (timer->armed) {
        heap_remove(&queue->armed, &timer->node);
        timer->armed = false;
    }
}

reftime_t timer_next_deadline(const struct timer_queue *queue)
{
    const struct heap_node *first = heap_first(&queue->armed);

    return first ? timer_of(first)->deadline : TIMER_NEVER;
}

void timer_run_expired(struct timer_queue *queue, reftime_t now)
{
    queue->floor = now + 1;
    while (timer_next_deadline(queue) <= now) {
        struct timer *timer = timer_of(heap_first(&queue->armed));

        timer_cancel(queue, timer);
        timer->expire(timer);
    }
}
