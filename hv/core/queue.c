/* SPDX-License-Identifier: MIT */
#include "hv/core/queue.h"

#include "hv/arch.h"
#include "hv/core/lib.h"

#define MESSAGES_A_PAGE (PAGE_SIZE / HV_MESSAGE_SIZE)

bool queue_reserve(struct message_queue *queue, struct pool *pool)
{
    for (unsigned i = 0; i < QUEUE_PAGES; i++) {
        if (!pool_take(pool, &queue->page[i])) {
            queue_release(queue, pool);
            return false;
        }
    }
    return true;
}

enum hv_status queue_put(struct message_queue *queue, struct pool *pool,
                         const struct hv_message *message)
{
    const uint32_t at = (queue->first + queue->count) % QUEUE_MESSAGES;
    spa_t *page = &queue->page[at / MESSAGES_A_PAGE];
    if (queue->count == QUEUE_MESSAGES)
        return HV_STATUS_INSUFFICIENT_BUFFERS;
    if (page->raw == 0 && !pool_take(pool, page))
        return HV_STATUS_INSUFFICIENT_MEMORY;
    struct hv_message *messages = arch_window_map(*page);
    messages[at % MESSAGES_A_PAGE] = *message;
    arch_window_unmap(messages);
    queue->count++;
    return HV_STATUS_SUCCESS;
}

bool queue_peek(const struct message_queue *queue, struct hv_message *message)
{
    if (queue->count == 0)
        return false;
    struct hv_message *messages = arch_window_map(queue->page[queue->first / MESSAGES_A_PAGE]);
    *message = messages[queue->first % MESSAGES_A_PAGE];
    arch_window_unmap(messages);
    return true;
}

void queue_drop(struct message_queue *queue)
{
    queue->count--;
    queue->first = queue->count == 0 ? 0 : (queue->first + 1) % QUEUE_MESSAGES;
}

void queue_release(struct message_queue *queue, struct pool *pool)
{
    for (unsigned i = 0; i < QUEUE_PAGES; i++)
        if (queue->page[i].raw != 0)
            pool_return(pool, queue->page[i]);
    *queue = (struct message_queue){0};
}
