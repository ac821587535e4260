/* SPDX-License-Identifier: MIT */
/*
 * Messages that wait, first in first out, in pages of a partition's pool. A page
 * is taken when the first message needs it and kept until the queue is released.
 *
 * The owner's lock guards the queue; inside it the pool's lock is taken.
 */
#ifndef HV_CORE_QUEUE_H
#define HV_CORE_QUEUE_H

#include "hv/abi/hypercall.h"
#include "hv/core/pool.h"

#define QUEUE_PAGES    4u
#define QUEUE_MESSAGES (QUEUE_PAGES * (unsigned)(PAGE_SIZE / HV_MESSAGE_SIZE))

struct message_queue {
    spa_t page[QUEUE_PAGES];
    uint32_t first, count;
};

/* Takes all pages now, so that queue_put never lacks one. False: INSUFFICIENT_MEMORY, none taken.
 */
bool queue_reserve(struct message_queue *queue, struct pool *pool);

/* INSUFFICIENT_BUFFERS: full. INSUFFICIENT_MEMORY: the pool is empty. */
enum hv_status queue_put(struct message_queue *queue, struct pool *pool,
                         const struct hv_message *message);

/* The first message, copied; false: there is none. */
bool queue_peek(const struct message_queue *queue, struct hv_message *message);
/* There is one. */
void queue_drop(struct message_queue *queue);

/* Forgets all messages and gives the pages back. */
void queue_release(struct message_queue *queue, struct pool *pool);

#endif
