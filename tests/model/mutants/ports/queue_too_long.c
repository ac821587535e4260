/* SPDX-License-Identifier: MIT */
/* queue_put does not ask whether the queue is full. */
#include "hv/core/queue.h"

#define queue_put queue_put_checked
enum hv_status queue_put(struct message_queue *queue, struct pool *pool,
                         const struct hv_message *message);
#include "hv/core/queue.c"
#undef queue_put

enum hv_status queue_put(struct message_queue *queue, struct pool *pool,
                         const struct hv_message *message)
{
    if (queue->count == QUEUE_MESSAGES)
        queue_drop(queue);
    return queue_put_checked(queue, pool, message);
}
