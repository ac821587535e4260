/* SPDX-License-Identifier: MIT */
/*
 * From the guest to the tap. A message's bytes are in the send buffer, in the
 * guest's own pages, or both. Headers are copied once and looked at in the copy;
 * what follows them goes to the tap straight from the guest's pages, unseen.
 */
#include <string.h>

#include "vsp/network/nic_parts.h"
#include "vsp/network/packet.h"
#include "vsp/network/tap.h"

#define PIECES_MAX 128 /* of guest memory that the messages of one packet are in */

/* Bytes of the guest, in pieces. */
struct stream {
    struct iovec piece[PIECES_MAX];
    int count;
    uint32_t size;
};

/* --- streams ------------------------------------------------------------------------------ */

static bool add_section(const struct bh_nic *nic, const struct nvsp_rndis_packet *rndis,
                        struct stream *stream)
{
    if (rndis->section_index == NVSP_NO_SECTION || rndis->section_size == 0)
        return true;
    if (rndis->section_index >= nic->send.count || rndis->section_size > nic->send.unit)
        return false;
    stream->count = bh_shared_pieces(&nic->send, rndis->section_index * nic->send.unit,
                                     rndis->section_size, stream->piece);
    stream->size = rndis->section_size;
    return true;
}

static bool add_ranges(const struct bh_nic_queue *queue, const struct bh_vmbus_packet *packet,
                       struct stream *stream)
{
    int count;

    if (packet->type != VMBUS_PACKET_GPA_DIRECT)
        return true;
    count = bh_vmbus_packet_memory(queue->channel, packet, stream->piece + stream->count,
                                   PIECES_MAX - stream->count);
    if (count < 0 || packet->range_bytes > UINT32_MAX - stream->size)
        return false;
    stream->count += count;
    stream->size += packet->range_bytes;
    return true;
}

/* The pieces of [offset, offset + size), which is inside; returns their number. */
static int cut(const struct stream *stream, uint32_t offset, uint32_t size, struct iovec *pieces)
{
    int count = 0;

    for (int i = 0; i < stream->count && size != 0; i++) {
        size_t length = stream->piece[i].iov_len;

        if (offset >= length) {
            offset -= (uint32_t)length;
            continue;
        }
        length -= offset;
        if (length > size)
            length = size;
        pieces[count++] = (struct iovec){(uint8_t *)stream->piece[i].iov_base + offset, length};
        size -= (uint32_t)length;
        offset = 0;
    }
    return count;
}

static void copy(const struct stream *stream, uint32_t offset, void *to, uint32_t size)
{
    struct iovec pieces[PIECES_MAX];
    int count = cut(stream, offset, size, pieces);
    uint8_t *at = to;

    for (int i = 0; i < count; i++) {
        memcpy(at, pieces[i].iov_base, pieces[i].iov_len);
        at += pieces[i].iov_len;
    }
}

/* --- frames ------------------------------------------------------------------------------- */

/* A frame's first bytes, with room in front for a tag, and the tap's header. */
struct head {
    struct virtio_net_hdr tap;
    uint8_t bytes[BH_VLAN_SIZE + BH_FRAME_HEADERS_MAX];
    uint8_t *frame; /* in bytes */
    uint32_t size;  /* from there */
};

/* Puts an 802.1Q tag behind the addresses. */
static void insert_tag(struct head *head, uint32_t info)
{
    uint32_t cfi = (info & RNDIS_VLAN_CFI) != 0;
    uint32_t tag = (info & RNDIS_VLAN_PRIORITY) << 13 | cfi << 12 |
                   (info >> RNDIS_VLAN_ID_SHIFT & RNDIS_VLAN_ID_MASK);

    memmove(head->bytes, head->frame, (size_t)2 * BH_MAC_SIZE);
    head->frame = head->bytes;
    head->size += BH_VLAN_SIZE;
    bh_store_be16(head->frame + 12, 0x8100);
    bh_store_be16(head->frame + 14, (uint16_t)tag);
    if ((head->tap.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0)
        head->tap.csum_start = (uint16_t)(head->tap.csum_start + BH_VLAN_SIZE);
    if (head->tap.gso_type != VIRTIO_NET_HDR_GSO_NONE)
        head->tap.hdr_len = (uint16_t)(head->tap.hdr_len + BH_VLAN_SIZE);
}

static bool is_spoofed(const struct bh_nic *nic, const uint8_t *frame)
{
    return !nic->options.trusted && memcmp(frame + BH_MAC_SIZE, nic->options.mac, BH_MAC_SIZE) != 0;
}

static bool prepare(struct bh_nic *nic, const struct stream *stream, const struct bh_packet *packet,
                    struct head *head)
{
    uint32_t size =
        packet->data_length < BH_FRAME_HEADERS_MAX ? packet->data_length : BH_FRAME_HEADERS_MAX;

    if (size < BH_ETHERNET_SIZE) {
        nic->stats.tx_malformed++;
        return false;
    }
    head->frame = head->bytes + BH_VLAN_SIZE;
    head->size = size;
    copy(stream, packet->data_offset, head->frame, size);
    if (is_spoofed(nic, head->frame)) {
        nic->stats.tx_spoofed++;
        return false;
    }
    if (!bh_offload_transmit(head->frame, size, packet->data_length,
                             nic->options.mtu + BH_ETHERNET_SIZE, &packet->info, &head->tap)) {
        nic->stats.tx_malformed++;
        return false;
    }
    if (packet->info.has_vlan)
        insert_tag(head, packet->info.vlan);
    return true;
}

static bool send_frame(struct bh_nic *nic, uint32_t tap, const struct stream *stream,
                       const struct bh_packet *packet)
{
    struct iovec pieces[2 + PIECES_MAX];
    struct head head;
    uint32_t copied;
    int count = 2;

    if (!nic->link_up || !prepare(nic, stream, packet, &head))
        return false;
    copied =
        packet->data_length < BH_FRAME_HEADERS_MAX ? packet->data_length : BH_FRAME_HEADERS_MAX;
    pieces[0] = (struct iovec){&head.tap, sizeof(head.tap)};
    pieces[1] = (struct iovec){head.frame, head.size};
    count += cut(stream, packet->data_offset + copied, packet->data_length - copied, pieces + 2);
    return bh_tap_write(nic->tap[tap].watch.fd, pieces, count);
}

/* --- messages ----------------------------------------------------------------------------- */

static uint32_t queue_index(const struct bh_nic *nic, const struct bh_nic_queue *queue)
{
    return (uint32_t)(queue - nic->queue);
}

static void send_message(struct bh_nic *nic, struct bh_nic_queue *queue,
                         const struct stream *stream, const struct bh_packet *packet)
{
    uint32_t index = queue_index(nic, queue);
    uint32_t tap = index % nic->tap_count;

    if (send_frame(nic, tap, stream, packet)) {
        nic->stats.tx_packets++;
        nic->stats.queue[index].tx_packets++;
        nic->stats.tap[tap].tx_packets++;
        nic->stats.tx_bytes += packet->data_length;
    } else {
        nic->stats.tx_dropped++;
    }
    (void)bh_bucket_take(&nic->transmit_bucket, packet->data_length, nic->clock());
    nic->sent = queue->sent;
    queue->sent += packet->data_length;
}

/* Looks for the message at `offset`; false when none begins there. */
static bool next_message(const struct stream *stream, uint32_t offset, struct rndis_header *header)
{
    if (stream->size - offset < sizeof(*header))
        return false;
    copy(stream, offset, header, sizeof(*header));
    return header->length >= sizeof(*header) && header->length <= stream->size - offset;
}

static bool transmit_data(struct bh_nic *nic, struct bh_nic_queue *queue,
                          const struct stream *stream)
{
    uint8_t head[BH_PACKET_HEAD_MAX];
    struct rndis_header header = {0};
    struct bh_packet packet;
    uint32_t offset = 0;

    for (uint32_t i = 0; i < BH_RNDIS_PACKETS_MAX && offset < stream->size; i++) {
        if (!next_message(stream, offset, &header) || header.type != RNDIS_PACKET)
            return false;
        copy(stream, offset, head,
             header.length < BH_PACKET_HEAD_MAX ? header.length : BH_PACKET_HEAD_MAX);
        if (!bh_packet_parse(head, header.length, &packet))
            return false;
        packet.data_offset += offset;
        send_message(nic, queue, stream, &packet);
        offset += header.length;
    }
    return offset == stream->size;
}

static bool transmit_control(struct bh_nic *nic, const struct stream *stream)
{
    const struct bh_oid_card card = {&nic->options, &nic->stats, nic->link_up};
    uint8_t message[BH_RNDIS_REQUEST_MAX];
    uint8_t answer[BH_RNDIS_ANSWER_MAX] = {0};
    uint32_t size;

    if (stream->size > sizeof(message))
        return false;
    copy(stream, 0, message, stream->size);
    size = bh_rndis_control(&card, &nic->state, message, stream->size, answer);
    return size == 0 || bh_nic_answer(nic, answer, size);
}

uint32_t bh_nic_transmit(struct bh_nic *nic, struct bh_nic_queue *queue,
                         const struct bh_vmbus_packet *packet, const struct nvsp_message *message)
{
    bool control = message->rndis.channel_type == NVSP_CHANNEL_CONTROL;
    struct stream stream;
    bool done;

    stream.count = 0;
    stream.size = 0;
    if (!add_section(nic, &message->rndis, &stream) || !add_ranges(queue, packet, &stream))
        return NVSP_FAIL;
    if (control)
        done = queue == &nic->queue[0] && transmit_control(nic, &stream);
    else
        done = nic->state.initialized && transmit_data(nic, queue, &stream);
    if (!done && !control)
        nic->stats.tx_malformed++;
    return done ? NVSP_SUCCESS : NVSP_INVALID_RNDIS_PACKET;
}
