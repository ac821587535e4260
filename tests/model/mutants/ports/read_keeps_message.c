/* SPDX-License-Identifier: MIT */
/* A message that was read stays in its queue. */
#include "hv/core/queue.h"

/* As queue_drop, but of one message alone it keeps the place. */
static void keep_last(struct message_queue *queue)
{
    if (queue->count > 1)
        queue_drop(queue);
}

#define queue_drop keep_last
#include "hv/core/port.c"
