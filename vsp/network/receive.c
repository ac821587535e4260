/* SPDX-License-Identifier: MIT */
/*
 * From the tap to the guest. A frame is read into the worker's memory, looked at
 * and completed there, and copied once into allocations of the receive buffer.
 * Frames for one queue that come together go in one packet of the bus.
 */
#include <string.h>

#include "vsp/network/nic_parts.h"
#include "vsp/network/packet.h"
#include "vsp/network/tap.h"

#define DRAIN_MAX 1024 /* frames; a tap keeps no more by itself */

/* --- packets of the bus ------------------------------------------------------------------- */

/* The client gives a chain back by the number of its first allocation, and one, so never by 0. */
static bool send_pages(struct bh_nic_queue *queue, const struct bh_loan_chain *chain,
                       uint32_t channel_type, const struct vmbus_transfer_range *ranges,
                       uint32_t count)
{
    const struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET,
                                         .rndis = {channel_type, NVSP_NO_SECTION, 0}};

    return bh_vmbus_channel_send_pages(queue->channel, chain->first + UINT64_C(1),
                                       VMBUS_PACKET_WANTS_COMPLETION, NVSP_RECEIVE_BUFFER_ID,
                                       ranges, count, &message, sizeof(message));
}

bool bh_nic_send_batch(struct bh_nic *nic, struct bh_nic_queue *queue)
{
    if (!send_pages(queue, &queue->batch, NVSP_CHANNEL_DATA, queue->batch_range,
                    queue->batch_count))
        return false;
    bh_loans_lend(&nic->loans, &queue->batch);
    queue->batch_count = 0;
    return true;
}

bool bh_nic_send_answer(struct bh_nic *nic, struct bh_nic_queue *queue)
{
    const struct vmbus_transfer_range range = {queue->answer_size,
                                               queue->answer.first * nic->receive.unit};

    if (!send_pages(queue, &queue->answer, NVSP_CHANNEL_CONTROL, &range, 1))
        return false;
    bh_loans_lend(&nic->loans, &queue->answer);
    return true;
}

bool bh_nic_answer(struct bh_nic *nic, const uint8_t *message, uint32_t size)
{
    struct bh_nic_queue *queue = &nic->queue[0];
    uint16_t loan;

    if (nic->receive.size == 0 || nic->loans.free_count == 0 || queue->answer.first != BH_LOAN_NONE)
        return false;
    loan = bh_loans_take(&nic->loans, &queue->answer);
    queue->answer_size = size;
    bh_shared_write(&nic->receive, loan * nic->receive.unit, message, size);
    return true;
}

/* --- frames ------------------------------------------------------------------------------- */

/* The card's own address, or what the guest's filter lets in. */
static bool wants(const struct bh_nic *nic, const uint8_t *frame)
{
    static const uint8_t broadcast[BH_MAC_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t filter = nic->state.filter;

    if ((filter & NDIS_FILTER_PROMISCUOUS) != 0) {
        if (nic->options.trusted)
            return true;
        filter |= NDIS_FILTER_DIRECTED | NDIS_FILTER_ALL_MULTICAST | NDIS_FILTER_BROADCAST;
    }
    if (memcmp(frame, broadcast, BH_MAC_SIZE) == 0)
        return (filter & NDIS_FILTER_BROADCAST) != 0;
    if ((frame[0] & 1) != 0)
        return (filter & (NDIS_FILTER_MULTICAST | NDIS_FILTER_ALL_MULTICAST)) != 0;
    return (filter & NDIS_FILTER_DIRECTED) != 0 &&
           (nic->options.trusted || memcmp(frame, nic->options.mac, BH_MAC_SIZE) == 0);
}

static struct bh_nic_queue *choose_queue(struct bh_nic *nic, uint32_t length,
                                         struct bh_packet_info *info)
{
    uint32_t head = length < BH_FRAME_HEADERS_MAX ? length : BH_FRAME_HEADERS_MAX;
    struct bh_frame_layout layout;
    uint32_t queue = 0;

    if (nic->state.rss.enabled && bh_frame_parse(nic->frame, head, &layout) &&
        bh_rss_hash(&nic->state.rss, nic->frame, &layout, &info->hash)) {
        info->has_hash = true;
        queue = bh_rss_queue(&nic->state.rss, info->hash);
    }
    return nic->queue[queue].channel != NULL ? &nic->queue[queue] : &nic->queue[0];
}

/* One part of the frame, or all of it, into an allocation. */
static void add_range(struct bh_nic *nic, struct bh_nic_queue *queue,
                      const struct bh_packet_info *info, struct bh_packet_part part,
                      const uint8_t *data, uint32_t size)
{
    uint32_t offset = bh_loans_take(&nic->loans, &queue->batch) * nic->receive.unit;
    uint8_t header[BH_PACKET_HEADER_MAX];
    uint32_t header_size = bh_packet_build(header, info, part, size);

    bh_shared_write(&nic->receive, offset, header, header_size);
    bh_shared_write(&nic->receive, offset + header_size, data, size);
    queue->batch_range[queue->batch_count++] =
        (struct vmbus_transfer_range){header_size + size, offset};
}

/* All parts of a frame must be in one packet of the bus. */
static void add_frame(struct bh_nic *nic, struct bh_nic_queue *queue, uint32_t length,
                      const struct bh_packet_info *info)
{
    uint32_t room = nic->receive.unit - BH_PACKET_HEADER_MAX;
    struct bh_packet_part part = {RNDIS_PART | RNDIS_PART_FIRST, nic->part_id};

    if (length <= room) {
        part.flags = 0;
        add_range(nic, queue, info, part, nic->frame, length);
        return;
    }
    nic->part_id++;
    for (uint32_t at = 0; at < length; at += room) {
        uint32_t size = length - at < room ? length - at : room;

        if (at + size == length)
            part.flags |= RNDIS_PART_LAST;
        add_range(nic, queue, info, part, nic->frame + at, size);
        part.flags = RNDIS_PART;
    }
}

static uint32_t count_parts(const struct bh_nic *nic, uint32_t length)
{
    uint32_t room = nic->receive.unit - BH_PACKET_HEADER_MAX;

    return (length + room - 1) / room;
}

/* Is a frame of this length what the guest takes? */
static bool fits(const struct bh_nic *nic, const struct virtio_net_hdr *header, uint32_t parts)
{
    if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
        return parts == 1;
    return (nic->state.coalesce_ip4 || nic->state.coalesce_ip6) && parts <= BH_RECEIVE_PARTS_MAX;
}

/* False when the frame's queue has no room: nothing more is to be taken from the tap. */
static bool deliver(struct bh_nic *nic, uint32_t length, const struct virtio_net_hdr *header)
{
    uint32_t parts = count_parts(nic, length);
    struct bh_packet_info info = {0};
    struct bh_nic_queue *queue;

    if (length < BH_ETHERNET_SIZE || !wants(nic, nic->frame))
        return true;
    if (!fits(nic, header, parts)) {
        nic->stats.rx_dropped++;
        return true;
    }
    if (nic->state.verify_checksum)
        bh_offload_receive(nic->frame, length, header, &info);
    queue = choose_queue(nic, length, &info);
    if (queue->batch_count + parts > BH_RECEIVE_BATCH && !bh_nic_send_batch(nic, queue)) {
        nic->stats.rx_dropped++;
        return false;
    }
    add_frame(nic, queue, length, &info);
    nic->stats.rx_packets++;
    nic->stats.queue[queue - nic->queue].rx_packets++;
    nic->stats.rx_bytes += length;
    return true;
}

/* --- taps --------------------------------------------------------------------------------- */

static bool has_waiting(const struct bh_nic *nic)
{
    for (uint32_t i = 0; i < BH_NIC_QUEUES_MAX; i++)
        if (nic->queue[i].channel != NULL && nic->queue[i].batch_count != 0)
            return true;
    return false;
}

bool bh_nic_can_receive(const struct bh_nic *nic)
{
    struct bh_bucket bucket = nic->receive_bucket;

    return nic->loans.free_count >= BH_RECEIVE_RESERVE + BH_RECEIVE_PARTS_MAX &&
           !has_waiting(nic) && bh_bucket_wait(&bucket, nic->clock()) == 0;
}

static void send_batches(struct bh_nic *nic)
{
    for (uint32_t i = 0; i < BH_NIC_QUEUES_MAX; i++) {
        struct bh_nic_queue *queue = &nic->queue[i];

        if (queue->channel == NULL || queue->batch_count == 0)
            continue;
        (void)bh_nic_send_batch(nic, queue);
        bh_vmbus_channel_flush(queue->channel);
    }
}

void bh_nic_receive(struct bh_nic *nic, struct bh_nic_tap *tap)
{
    struct virtio_net_hdr header = {0};
    bool room = true;

    for (int i = 0; i < BH_READY_FRAMES && room; i++) {
        long length;

        if (nic->loans.free_count < BH_RECEIVE_RESERVE + BH_RECEIVE_PARTS_MAX ||
            !bh_bucket_take(&nic->receive_bucket, 0, nic->clock()))
            break;
        length = bh_tap_read(tap->watch.fd, &header, nic->frame, sizeof(nic->frame));
        tap->gone = length < 0;
        if (length <= 0)
            break;
        nic->stats.tap[tap - nic->tap].rx_packets++;
        (void)bh_bucket_take(&nic->receive_bucket, (uint64_t)length, nic->clock());
        room = deliver(nic, (uint32_t)length, &header);
    }
    send_batches(nic);
}

void bh_nic_drain(struct bh_nic *nic, struct bh_nic_tap *tap)
{
    struct virtio_net_hdr header = {0};

    for (int i = 0; i < DRAIN_MAX; i++)
        if (bh_tap_read(tap->watch.fd, &header, nic->frame, sizeof(nic->frame)) <= 0)
            break;
}
