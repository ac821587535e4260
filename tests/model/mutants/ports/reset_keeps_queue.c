/* SPDX-License-Identifier: MIT */
/* A VP that goes leaves the pages of what waited for it. */
#include "hv/core/queue.h"

/* As queue_release, but the pages are not given back. */
static void forget_queue(struct message_queue *queue, struct pool *pool)
{
    (void)pool;
    *queue = (struct message_queue){0};
}

#define queue_release forget_queue
#include "hv/core/synic.c"
