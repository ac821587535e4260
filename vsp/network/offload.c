/* SPDX-License-Identifier: MIT */
#include "vsp/network/offload.h"

#include <string.h>

#include "vsp/protocol/rndis.h"

/* --- from the client ---------------------------------------------------------------------- */

/* The transport header's offset that the client names; 0 when it is not of use. */
static size_t named_offset(const struct bh_packet_info *info, size_t head_length, unsigned position)
{
    size_t offset =
        info->checksum >> RNDIS_TX_TRANSPORT_OFFSET_SHIFT & RNDIS_TX_TRANSPORT_OFFSET_MASK;

    return offset >= BH_ETHERNET_SIZE && offset + position + 2 <= head_length ? offset : 0;
}

static bool transmit_checksum(uint8_t *head, size_t head_length,
                              const struct bh_frame_layout *layout,
                              const struct bh_packet_info *info, struct virtio_net_hdr *header)
{
    bool tcp = (info->checksum & RNDIS_TX_TCP_CHECKSUM) != 0;
    bool udp = (info->checksum & RNDIS_TX_UDP_CHECKSUM) != 0;
    uint8_t protocol = tcp ? BH_PROTOCOL_TCP : BH_PROTOCOL_UDP;
    unsigned position = bh_checksum_position(protocol);
    size_t offset;

    if ((info->checksum & RNDIS_TX_IP_CHECKSUM) != 0 && layout->ip_version == 4)
        bh_frame_finish_ip4(head, layout);
    if (!tcp && !udp)
        return true;
    if (tcp && udp)
        return false;
    offset = layout->protocol == protocol ? layout->transport_offset
                                          : named_offset(info, head_length, position);
    if (offset == 0)
        return false;
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = (uint16_t)offset;
    header->csum_offset = (uint16_t)position;
    return true;
}

/* Clients leave the lengths of IP at zero, and the pseudo header without a length. */
static void complete_headers(uint8_t *head, size_t length, const struct bh_frame_layout *layout)
{
    uint8_t *ip = head + layout->ip_offset;
    size_t segment = length - layout->transport_offset;
    uint16_t sum = bh_checksum_fold(bh_checksum_pseudo(head, layout, (uint32_t)segment));

    memcpy(head + layout->transport_offset + 16, &sum, sizeof(sum));
    if (layout->ip_version == 4) {
        bh_store_be16(ip + 2, (uint16_t)(length - layout->ip_offset));
        bh_frame_finish_ip4(head, layout);
    } else {
        bh_store_be16(ip + 4, (uint16_t)(length - layout->ip_offset - 40));
    }
}

static bool transmit_segments(uint8_t *head, size_t length, size_t frame_max,
                              const struct bh_frame_layout *layout, uint32_t lso,
                              struct virtio_net_hdr *header)
{
    uint32_t mss = lso & RNDIS_LSO_MSS_MASK;
    uint8_t version = (lso & RNDIS_LSO_IPV6) != 0 ? 6 : 4;

    if ((lso & RNDIS_LSO_VERSION_2) == 0 || layout->protocol != BH_PROTOCOL_TCP ||
        layout->ip_version != version || length - layout->ip_offset > 65535)
        return false;
    if (mss < BH_MSS_MIN || layout->payload_offset + (size_t)mss > frame_max)
        return false;
    complete_headers(head, length, layout);
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = layout->transport_offset;
    header->csum_offset = 16;
    if (length - layout->payload_offset > mss) {
        header->gso_type = version == 6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
        header->gso_size = (uint16_t)mss;
        header->hdr_len = layout->payload_offset;
    }
    return true;
}

bool bh_offload_transmit(uint8_t *head, size_t head_length, size_t length, size_t frame_max,
                         const struct bh_packet_info *info, struct virtio_net_hdr *header)
{
    struct bh_frame_layout layout;

    *header = (struct virtio_net_hdr){0};
    if (head_length > length || !bh_frame_parse(head, head_length, &layout))
        return false;
    if (layout.tagged)
        frame_max += BH_VLAN_SIZE;
    if (info->has_lso)
        return transmit_segments(head, length, frame_max, &layout, info->lso, header);
    if (length > frame_max)
        return false;
    return !info->has_checksum || transmit_checksum(head, head_length, &layout, info, header);
}

/* --- to the client ------------------------------------------------------------------------ */

/* The sum of the pseudo header is in the checksum's place already. */
static bool complete_checksum(uint8_t *frame, size_t length, const struct virtio_net_hdr *header)
{
    size_t start = header->csum_start;
    size_t place = start + header->csum_offset;
    uint16_t sum;

    if (start >= length || place + sizeof(sum) > length)
        return false;
    sum = (uint16_t)~bh_checksum_fold(bh_checksum_add(0, frame + start, length - start));
    if (sum == 0)
        sum = 0xffff; /* of UDP, 0 means none; for TCP both are the same number */
    memcpy(frame + place, &sum, sizeof(sum));
    return true;
}

void bh_offload_receive(uint8_t *frame, size_t length, const struct virtio_net_hdr *header,
                        struct bh_packet_info *info)
{
    size_t head_length = length < BH_FRAME_HEADERS_MAX ? length : BH_FRAME_HEADERS_MAX;
    bool verified = (header->flags & VIRTIO_NET_HDR_F_DATA_VALID) != 0;
    struct bh_frame_layout layout;

    if ((header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0)
        verified =
            header->gso_type != VIRTIO_NET_HDR_GSO_NONE || complete_checksum(frame, length, header);
    if (!verified || !bh_frame_parse(frame, head_length, &layout) || layout.protocol == 0)
        return;
    info->has_checksum = true;
    info->checksum =
        layout.protocol == BH_PROTOCOL_TCP ? RNDIS_RX_TCP_SUCCEEDED : RNDIS_RX_UDP_SUCCEEDED;
}
