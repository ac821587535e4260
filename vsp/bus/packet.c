/* SPDX-License-Identifier: MIT */
/* Packets of a channel, and the guest memory they name. */
#include <string.h>

#include "vsp/bus/parts.h"

struct bh_ring_memory bh_channel_memory(const struct bh_vmbus_channel *channel)
{
    return (struct bh_ring_memory){channel->bus->host,
                                   channel->bus->journal->pfn + channel->pages->first};
}

void bh_channel_break(struct bh_vmbus_channel *channel, const char *why)
{
    if (!channel->state.broken)
        bh_vmbus_log(channel->bus, "The guest broke channel %u: %s. It is not served any more.",
                     channel->state.relid, why);
    channel->state.broken = true;
    channel->bus->changed = true;
}

static void signal_guest(const struct bh_vmbus_channel *channel)
{
    const struct bh_vmbus_host *host = channel->bus->host;

    host->signal(host->context, channel->state.target_vp, channel->state.relid);
}

/* --- packets from the guest --------------------------------------------------------------- */

/* Checks the ranges of a GPA-direct packet, `size` bytes, and counts their bytes. */
static bool check_ranges(const uint8_t *ranges, uint32_t size, struct bh_vmbus_packet *packet)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < packet->range_count; i++) {
        struct vmbus_gpa_range range;
        uint64_t length;

        if (size < sizeof(range))
            return false;
        memcpy(&range, ranges, sizeof(range));
        length =
            sizeof(range) + ((uint64_t)range.byte_offset + range.byte_count + VMBUS_PAGE_SIZE - 1) /
                                VMBUS_PAGE_SIZE * sizeof(uint64_t);
        if (range.byte_offset >= VMBUS_PAGE_SIZE || length > size)
            return false;
        total += range.byte_count;
        ranges += length;
        size -= (uint32_t)length;
    }
    packet->range_bytes = (uint32_t)total; /* at most 4 KiB for each 8 bytes of the packet */
    return total <= UINT32_MAX;
}

static bool parse(const uint8_t *copy, uint32_t size, struct bh_vmbus_packet *packet)
{
    struct vmbus_descriptor descriptor;
    struct vmbus_gpa_header header;
    uint32_t offset;

    memcpy(&descriptor, copy, sizeof(descriptor));
    offset = descriptor.offset8 * 8u;
    if (offset < sizeof(descriptor) || offset > size)
        return false;
    *packet = (struct bh_vmbus_packet){
        .transaction = descriptor.transaction,
        .type = descriptor.type,
        .wants_completion = (descriptor.flags & VMBUS_PACKET_WANTS_COMPLETION) != 0,
        .size = size - offset,
        .payload = copy + offset,
    };
    if (packet->type == VMBUS_PACKET_INBAND || packet->type == VMBUS_PACKET_COMPLETION)
        return true;
    if (packet->type != VMBUS_PACKET_GPA_DIRECT || offset < sizeof(descriptor) + sizeof(header))
        return false;
    memcpy(&header, copy + sizeof(descriptor), sizeof(header));
    packet->range_count = header.range_count;
    packet->ranges = copy + sizeof(descriptor) + sizeof(header);
    return check_ranges(packet->ranges, offset - (uint32_t)(sizeof(descriptor) + sizeof(header)),
                        packet);
}

bool bh_vmbus_channel_read(struct bh_vmbus_channel *channel, struct bh_vmbus_packet *packet)
{
    struct bh_vmbus *bus = channel->bus;
    struct bh_ring_memory memory;
    enum bh_ring_status status;
    uint32_t size;

    if (!bh_channel_may_read(channel))
        return false;
    memory = bh_channel_memory(channel);
    status = bh_ring_read(&channel->state.in, &memory, bus->packet, BH_VMBUS_PACKET_MAX, &size);
    channel->drained = status == BH_RING_EMPTY;
    if (status == BH_RING_EMPTY)
        return false;
    if (status == BH_RING_OK && parse((const uint8_t *)bus->packet, size, packet))
        return true;
    bh_channel_break(channel, status == BH_RING_OK ? "a packet has an impossible layout"
                                                   : "its ring has impossible indices or lengths");
    return false;
}

/* They were checked to be whole. */
uint32_t bh_vmbus_packet_ranges_size(const struct bh_vmbus_packet *packet)
{
    const uint8_t *at = packet->ranges;

    for (uint32_t i = 0; i < packet->range_count; i++) {
        struct vmbus_gpa_range range;

        memcpy(&range, at, sizeof(range));
        at +=
            sizeof(range) + ((uint64_t)range.byte_offset + range.byte_count + VMBUS_PAGE_SIZE - 1) /
                                VMBUS_PAGE_SIZE * sizeof(uint64_t);
    }
    return packet->range_count == 0 ? 0 : (uint32_t)(at - packet->ranges);
}

/* --- memory ------------------------------------------------------------------------------- */

bool bh_pieces_add(const struct bh_vmbus *bus, struct iovec *pieces, int max, int *count,
                   uint64_t gpa, uint64_t length)
{
    uint8_t *host = bus->host->memory(bus->host->context, gpa, length);
    struct iovec *last = *count > 0 ? &pieces[*count - 1] : NULL;

    if (host == NULL)
        return false;
    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == host) {
        last->iov_len += length;
        return true;
    }
    if (*count == max)
        return false;
    pieces[(*count)++] = (struct iovec){host, length};
    return true;
}

/* One range, which was checked to be whole; returns what follows it, or NULL. */
static const uint8_t *add_range(const struct bh_vmbus *bus, const uint8_t *at, struct iovec *pieces,
                                int max, int *count)
{
    struct vmbus_gpa_range range;
    uint64_t pfn;

    memcpy(&range, at, sizeof(range));
    at += sizeof(range);
    if (range.byte_count == 0 && range.byte_offset != 0)
        at += sizeof(pfn);
    while (range.byte_count > 0) {
        uint32_t room = VMBUS_PAGE_SIZE - range.byte_offset;
        uint32_t length = range.byte_count < room ? range.byte_count : room;

        memcpy(&pfn, at, sizeof(pfn));
        at += sizeof(pfn);
        if (pfn > UINT64_MAX / VMBUS_PAGE_SIZE ||
            !bh_pieces_add(bus, pieces, max, count, pfn * VMBUS_PAGE_SIZE + range.byte_offset,
                           length))
            return NULL;
        range.byte_count -= length;
        range.byte_offset = 0;
    }
    return at;
}

int bh_vmbus_packet_memory(const struct bh_vmbus_channel *channel,
                           const struct bh_vmbus_packet *packet, struct iovec *pieces, int max)
{
    const uint8_t *at = packet->ranges;
    int count = 0;

    for (uint32_t i = 0; i < packet->range_count && at != NULL; i++)
        at = add_range(channel->bus, at, pieces, max, &count);
    return packet->range_count > 0 && at == NULL ? -1 : count;
}

/* --- packets to the guest ----------------------------------------------------------------- */

static bool put(struct bh_vmbus_channel *channel, const struct bh_ring_part *parts, unsigned count)
{
    struct bh_ring_memory memory;
    enum bh_ring_status status;

    if (channel->state.phase != CHANNEL_OPEN || channel->state.broken)
        return true;
    memory = bh_channel_memory(channel);
    status = bh_ring_write(&channel->state.out, &memory, parts, count);
    if (status == BH_RING_BROKEN)
        bh_channel_break(channel, "its ring is too small or has impossible indices");
    return status != BH_RING_EMPTY;
}

static uint16_t eighths(size_t bytes)
{
    return (uint16_t)((bytes + 7) / 8);
}

static bool put_plain(struct bh_vmbus_channel *channel, uint16_t type, uint64_t transaction,
                      uint16_t flags, const void *payload, uint32_t size)
{
    const struct vmbus_descriptor descriptor = {.type = type,
                                                .offset8 = eighths(sizeof(descriptor)),
                                                .length8 = eighths(sizeof(descriptor) + size),
                                                .flags = flags,
                                                .transaction = transaction};
    const struct bh_ring_part parts[] = {{&descriptor, sizeof(descriptor)}, {payload, size}};

    return put(channel, parts, 2);
}

bool bh_vmbus_channel_send(struct bh_vmbus_channel *channel, uint64_t transaction, uint16_t flags,
                           const void *payload, uint32_t size)
{
    return put_plain(channel, VMBUS_PACKET_INBAND, transaction, flags, payload, size);
}

bool bh_vmbus_channel_complete(struct bh_vmbus_channel *channel, uint64_t transaction,
                               const void *payload, uint32_t size)
{
    return put_plain(channel, VMBUS_PACKET_COMPLETION, transaction, 0, payload, size);
}

bool bh_vmbus_channel_send_pages(struct bh_vmbus_channel *channel, uint64_t transaction,
                                 uint16_t flags, uint16_t page_set,
                                 const struct vmbus_transfer_range *ranges, uint32_t range_count,
                                 const void *payload, uint32_t size)
{
    const struct vmbus_transfer_header header = {.page_set = page_set, .range_count = range_count};
    const uint32_t range_bytes = range_count * (uint32_t)sizeof(*ranges);
    const size_t offset = sizeof(struct vmbus_descriptor) + sizeof(header) + range_bytes;
    const struct vmbus_descriptor descriptor = {.type = VMBUS_PACKET_TRANSFER_PAGES,
                                                .offset8 = eighths(offset),
                                                .length8 = eighths(offset + size),
                                                .flags = flags,
                                                .transaction = transaction};
    const struct bh_ring_part parts[] = {{&descriptor, sizeof(descriptor)},
                                         {&header, sizeof(header)},
                                         {ranges, range_bytes},
                                         {payload, size}};

    return put(channel, parts, 4);
}

void bh_vmbus_channel_flush(struct bh_vmbus_channel *channel)
{
    bh_round_begin(channel->bus);
    if (!channel->unflushed)
        channel->bus->unflushed++;
    channel->unflushed = true;
    bh_round_end(channel->bus);
}

void bh_channel_show(struct bh_vmbus_channel *channel)
{
    struct bh_ring_memory memory;
    bool wanted;

    channel->unflushed = false;
    channel->bus->unflushed--;
    if (channel->state.phase != CHANNEL_OPEN || channel->state.broken)
        return;
    memory = bh_channel_memory(channel);
    wanted = bh_ring_writer_flush(&channel->state.out, &memory);
    if (bh_ring_reader_flush(&channel->state.in, &memory) || wanted)
        signal_guest(channel);
    /* Only now: a guest that does not see the ring empty would not signal. */
    if (channel->drained && !bh_ring_unmask(&channel->state.in, &memory))
        bh_vmbus_channel_kick(channel);
    channel->drained = false;
}
