/* SPDX-License-Identifier: MIT */
#include "vsc/bus/channel.h"

#include <string.h>

/* --- open and close ----------------------------------------------------------------------- */

static bool ask_to_open(struct vsc_channel *channel, uint32_t pages)
{
    struct vsc_bus *bus = channel->bus;
    const struct vmbus_open request = {.header = {.type = VMBUS_OPEN_CHANNEL},
                                       .relid = channel->relid,
                                       .open_id = channel->relid,
                                       .ring_gpadl = channel->gpadl,
                                       .target_vp = bus->target_vp,
                                       .downstream_page = pages};

    bus->slot[channel->relid].channel = channel;
    if (vsc_bus_ask(bus, &request, sizeof(request), VMBUS_OPEN_RESULT, channel->relid) &&
        bus->status == 0)
        return true;
    bus->slot[channel->relid].channel = NULL;
    (void)vsc_gpadl_teardown(bus, channel->relid, channel->gpadl);
    return false;
}

bool vsc_channel_open(struct vsc_channel *channel, struct vsc_bus *bus, uint32_t relid,
                      void *memory, uint32_t pages)
{
    const struct vsc_slot *slot = &bus->slot[relid < VSC_RELIDS ? relid : 0];

    channel->bus = NULL;
    if (!slot->offered || slot->rescinded || slot->channel != NULL || pages < 2)
        return false;
    channel->relid = relid;
    channel->connection = slot->offer.connection_id;
    channel->broken = false;
    channel->signals = 0;
    channel->interrupts = 0;
    vsc_ring_begin(&channel->out, memory, pages);
    vsc_ring_begin(&channel->in, (uint8_t *)memory + (size_t)pages * VMBUS_PAGE_SIZE, pages);
    if (!vsc_gpadl_create(bus, relid, memory, 2 * pages, &channel->gpadl))
        return false;
    channel->bus = bus;
    if (!ask_to_open(channel, pages))
        channel->bus = NULL;
    return channel->bus != NULL;
}

bool vsc_channel_close(struct vsc_channel *channel)
{
    const struct vmbus_relid_message request = {.header = {.type = VMBUS_CLOSE_CHANNEL},
                                                .relid = channel->relid};
    struct vsc_bus *bus = channel->bus;

    if (bus == NULL)
        return true;
    bus->slot[channel->relid].channel = NULL;
    channel->bus = NULL;
    return vsc_bus_post(bus, &request, sizeof(request)) &&
           vsc_gpadl_teardown(bus, channel->relid, channel->gpadl);
}

void vsc_channel_lost(struct vsc_channel *channel)
{
    channel->bus->slot[channel->relid].channel = NULL;
    channel->bus = NULL;
}

/* --- packets out -------------------------------------------------------------------------- */

static void ring_doorbell(struct vsc_channel *channel)
{
    const struct vsc_platform *platform = channel->bus->platform;

    channel->signals++;
    platform->signal(platform->context, channel->connection);
}

static struct vmbus_descriptor describe(const struct vsc_message *message, uint16_t type,
                                        uint32_t head)
{
    return (struct vmbus_descriptor){.type = type,
                                     .offset8 = (uint16_t)(head / 8),
                                     .length8 = (uint16_t)((head + message->size + 7) / 8),
                                     .flags = message->flags,
                                     .transaction = message->transaction};
}

bool vsc_channel_send(struct vsc_channel *channel, const struct vsc_message *message)
{
    const struct vmbus_descriptor descriptor = describe(message, message->type, sizeof(descriptor));
    const struct vsc_part parts[] = {{&descriptor, sizeof(descriptor)},
                                     {message->payload, message->size}};

    return channel->bus != NULL && vsc_ring_write(&channel->out, parts, 2);
}

bool vsc_channel_send_range(struct vsc_channel *channel, const struct vsc_message *message,
                            const void *data, uint32_t length)
{
    const uint32_t offset = (uint32_t)((uintptr_t)data % VMBUS_PAGE_SIZE);
    const uint32_t pages = (offset + length + VMBUS_PAGE_SIZE - 1) / VMBUS_PAGE_SIZE;
    const struct vmbus_gpa_header header = {.range_count = 1};
    const struct vmbus_gpa_range range = {.byte_count = length, .byte_offset = offset};
    const uint32_t head = (uint32_t)(sizeof(struct vmbus_descriptor) + sizeof(header) +
                                     sizeof(range) + pages * sizeof(uint64_t));
    const struct vmbus_descriptor descriptor = describe(message, VMBUS_PACKET_GPA_DIRECT, head);
    uint64_t frame[VSC_RANGE_PAGES_MAX];
    const struct vsc_part parts[] = {{&descriptor, sizeof(descriptor)},
                                     {&header, sizeof(header)},
                                     {&range, sizeof(range)},
                                     {frame, pages * (uint32_t)sizeof(uint64_t)},
                                     {message->payload, message->size}};
    const struct vsc_platform *platform;

    if (channel->bus == NULL || length == 0 || pages > VSC_RANGE_PAGES_MAX)
        return false;
    platform = channel->bus->platform;
    for (uint32_t i = 0; i < pages; i++)
        frame[i] = platform->frame(platform->context,
                                   (const uint8_t *)data - offset + (size_t)i * VMBUS_PAGE_SIZE);
    return vsc_ring_write(&channel->out, parts, sizeof(parts) / sizeof(parts[0]));
}

void vsc_channel_flush(struct vsc_channel *channel)
{
    if (channel->bus != NULL && vsc_ring_publish(&channel->out))
        ring_doorbell(channel);
}

/* --- packets in --------------------------------------------------------------------------- */

bool vsc_channel_read(struct vsc_channel *channel, void *buffer, uint32_t capacity,
                      struct vsc_packet *packet)
{
    uint32_t size = 0;
    enum vsc_ring_status status;

    if (channel->bus == NULL || channel->broken)
        return false;
    status = vsc_ring_read(&channel->in, buffer, capacity, &size);
    channel->broken = status == VSC_RING_BROKEN || size > capacity;
    if (status != VSC_RING_OK || channel->broken)
        return false;
    memcpy(&packet->descriptor, buffer, sizeof(packet->descriptor));
    packet->size = size;
    packet->payload = (const uint8_t *)buffer + (size_t)packet->descriptor.offset8 * 8;
    packet->payload_size = size - packet->descriptor.offset8 * 8u;
    return true;
}

/* Until nothing more comes, with the parent's signals off meanwhile. */
void vsc_channel_serve(struct vsc_channel *channel)
{
    channel->interrupts++;
    vsc_ring_mask(&channel->in);
    do {
        channel->ready(channel->context, channel);
        if (channel->bus == NULL)
            return;
        if (vsc_ring_release(&channel->in))
            ring_doorbell(channel);
        vsc_channel_flush(channel);
    } while (!vsc_ring_unmask(&channel->in) && !channel->broken);
}
