/* SPDX-License-Identifier: MIT */
/*
 * RNDIS without a bus: the first byte says whether the rest is a control message,
 * several of them with their lengths in front, a data packet, or a frame.
 */
#include <stdlib.h>
#include <string.h>

#include "vsp/network/offload.h"
#include "vsp/network/packet.h"
#include "vsp/network/rndis.h"
#include "vsp/protocol/nvsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* Exactly as long as it is, so that a byte too many is found. */
static uint8_t *private_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));

    must(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

static void try_control(const uint8_t *data, size_t size)
{
    struct bh_nic_options options = {.name = "nic0", .mtu = 1500, .queues = 4};
    struct bh_nic_state state = {.version = NVSP_VERSION_61};
    struct bh_nic_stats stats = {0};
    struct bh_oid_card card = {&options, &stats, true};

    while (size > 2) {
        size_t length = data[0] | (size_t)(data[1] & 15) << 8;
        uint8_t answer[BH_RNDIS_ANSWER_MAX];
        uint8_t *message;

        data += 2;
        size -= 2;
        if (length > size)
            length = size;
        message = private_copy(data, length);
        must(bh_rndis_control(&card, &state, message, (uint32_t)length, answer) <= sizeof(answer));
        free(message);
        data += length;
        size -= length;
        for (unsigned i = 0; i < state.rss.table_count; i++)
            must(state.rss.table[i] < options.queues);
    }
}

static void try_packet(const uint8_t *data, size_t size)
{
    size_t head = size < BH_PACKET_HEAD_MAX ? size : BH_PACKET_HEAD_MAX;
    uint8_t *copy = private_copy(data, head);
    struct bh_packet packet;

    if (bh_packet_parse(copy, (uint32_t)size, &packet))
        must(packet.data_offset >= 44 && packet.data_offset <= size &&
             packet.data_length <= size - packet.data_offset);
    free(copy);
}

static void try_frame(const uint8_t *data, size_t size)
{
    struct bh_packet_info info = {.has_checksum = true, .has_lso = (data[0] & 1) != 0};
    struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
    size_t length;
    size_t head;
    uint8_t *copy;

    memcpy(&info.checksum, data, 4);
    memcpy(&info.lso, data, 4);
    memcpy(&header.csum_start, data, 2);
    memcpy(&header.csum_offset, data + 2, 2);
    length = size - 4 + (size_t)data[3] * 200; /* what is behind the head is not looked at */
    copy = private_copy(data + 4, size - 4);
    bh_offload_receive(copy, size - 4, &header, &info);
    head = size - 4 < BH_FRAME_HEADERS_MAX ? size - 4 : BH_FRAME_HEADERS_MAX;
    if (bh_offload_transmit(copy, head, length, 1514, &info, &header) &&
        (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0)
        must(header.csum_start + header.csum_offset + 2u <= head);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5)
        return 0;
    if (data[0] % 3 == 0)
        try_control(data + 1, size - 1);
    else if (data[0] % 3 == 1)
        try_packet(data + 1, size - 1);
    else
        try_frame(data + 1, size - 1);
    return 0;
}
