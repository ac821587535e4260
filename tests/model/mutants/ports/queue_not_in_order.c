/* SPDX-License-Identifier: MIT */
/* queue_drop of a queue goes on at its beginning. */
#include "hv/core/queue.h"

#define queue_drop queue_drop_checked
void queue_drop(struct message_queue *queue);
#include "hv/core/queue.c"
#undef queue_drop

void queue_drop(struct message_queue *queue)
{
    queue->count--;
    queue->first = 0;
}
