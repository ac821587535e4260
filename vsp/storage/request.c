/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "vsp/storage/controller_parts.h"

/* --- answers ------------------------------------------------------------------------------ */

static void write_down_answer(const struct bh_request *request)
{
    if (request->controller->kept)
        request->slot->answered = *request->controller->round + 1;
}

void bh_request_put_back(struct bh_request *request)
{
    struct bh_controller *controller = request->controller;
    struct bh_vmbus_channel *channel = request->channel;

    if (request->slot->answered == 0) /* nobody waits for an answer any more */
        write_down_answer(request);
    request->next = NULL;
    *controller->last_free = request;
    controller->last_free = &request->next;
    bh_vmbus_channel_release(channel);
    if (!controller->starved)
        return;
    controller->starved = false;
    for (unsigned i = 0; i <= BH_CONTROLLER_SUB_CHANNELS; i++)
        if (controller->queue[i].channel != NULL)
            bh_vmbus_channel_kick(controller->queue[i].channel);
}

static bool write_answer(const struct bh_request *request)
{
    if (!bh_vmbus_channel_complete(request->channel, request->transaction, &request->packet,
                                   sizeof(request->packet)))
        return false;
    write_down_answer(request);
    return true;
}

void bh_request_answer(struct bh_request *request)
{
    struct bh_queue *queue = bh_queue_of(request->controller, request->channel);

    request->packet.operation = STORVSC_COMPLETE_IO;
    request->next = NULL;
    if (queue->channel == NULL || (queue->first == NULL && write_answer(request))) {
        if (request->controller->serving != request->channel)
            bh_vmbus_channel_flush(request->channel);
        bh_request_put_back(request);
        return;
    }
    *queue->last = request;
    queue->last = &request->next;
}

bool bh_queue_write_waiting(struct bh_queue *queue)
{
    while (queue->first != NULL) {
        struct bh_request *request = queue->first;

        if (!write_answer(request))
            return false;
        queue->first = request->next;
        if (queue->first == NULL)
            queue->last = &queue->first;
        bh_request_put_back(request);
    }
    return true;
}

/* --- requests ----------------------------------------------------------------------------- */

bool bh_request_is_free(const struct bh_controller *controller)
{
    return controller->free != NULL && (controller->free->slot->answered <= *controller->round ||
                                        controller->free->slot->taken > *controller->round);
}

/* Writes a packet down; `taken` last, as the round it belongs to. */
static void write_down(const struct bh_request *request, const struct bh_vmbus_packet *packet)
{
    struct bh_slot *slot = request->slot;
    uint32_t size = bh_vmbus_packet_ranges_size(packet);

    slot->taken = UINT64_MAX;
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* the end of the process may come like a signal */
    slot->answered = 0;
    slot->transaction = packet->transaction;
    slot->channel = bh_vmbus_channel_index(request->channel);
    slot->type = packet->type;
    slot->range_count = packet->range_count;
    slot->range_bytes = packet->range_bytes;
    slot->packet = request->packet;
    if (size <= sizeof(slot->ranges) && size > 0)
        memcpy(slot->ranges, packet->ranges, size);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    slot->taken = *request->controller->round + 1;
}

struct bh_request *bh_request_take(struct bh_controller *controller,
                                   struct bh_vmbus_channel *channel,
                                   const struct bh_vmbus_packet *packet)
{
    struct bh_request *request = controller->free;

    controller->free = request->next;
    if (controller->free == NULL)
        controller->last_free = &controller->free;
    request->channel = channel;
    bh_vmbus_channel_hold(channel);
    request->transaction = packet->transaction;
    memcpy(&request->packet, packet->payload, sizeof(request->packet));
    if (controller->kept)
        write_down(request, packet);
    return request;
}

static bool is_unanswered(const struct bh_slot *slot, uint64_t round)
{
    return slot->taken != 0 && slot->taken <= round &&
           (slot->answered == 0 || slot->answered > round);
}

struct bh_request *bh_request_take_open(struct bh_controller *controller,
                                        struct bh_vmbus_channel *channel)
{
    uint32_t index = bh_vmbus_channel_index(channel);
    struct bh_request **at = &controller->free;
    struct bh_request *taken = NULL;

    while (*at != NULL) {
        struct bh_request *request = *at;

        if (!is_unanswered(request->slot, *controller->round) || request->slot->channel != index) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        request->next = taken;
        taken = request;
        request->channel = channel;
        bh_vmbus_channel_hold(channel);
    }
    controller->last_free = at;
    return taken;
}

void bh_request_lay_out(struct bh_controller *controller)
{
    uint8_t *space = bh_vmbus_device_space(controller->device);

    controller->last_free = &controller->free;
    for (unsigned i = 0; i < BH_REQUESTS; i++) {
        struct bh_request *request = &controller->request[i];

        request->controller = controller;
        request->slot = (struct bh_slot *)(void *)(space + (size_t)i * 4096u);
        if (request->slot->taken > *controller->round) /* in a round that never was */
            request->slot->taken = 0;
        *controller->last_free = request;
        controller->last_free = &request->next;
    }
}
