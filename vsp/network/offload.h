/* SPDX-License-Identifier: MIT */
/*
 * Checksum and segmentation offloads, both ways: what a client says in RNDIS
 * per-packet information against what a tap device says in virtio_net_hdr.
 */
#ifndef VSP_NETWORK_OFFLOAD_H
#define VSP_NETWORK_OFFLOAD_H

#include <linux/virtio_net.h>

#include "vsp/network/frame.h"

/* Smaller segments would make work for the parent and serve nobody. */
#define BH_MSS_MIN 48u

/* Per-packet information, of one packet; `checksum` and so on are valid where there is `has_`. */
struct bh_packet_info {
    bool has_checksum;
    bool has_lso;
    bool has_vlan;
    bool has_hash;
    uint32_t checksum;
    uint32_t lso;
    uint32_t vlan;
    uint32_t hash;
};

/*
 * From a client: fills the tap's header for a frame of `length` bytes whose
 * first `head_length` are at `head`, and completes there what clients leave out.
 * `frame_max` is the longest frame without a tag that may be on the wire. False:
 * the frame and what the client says of it do not fit together, it is to be dropped.
 */
bool bh_offload_transmit(uint8_t *head, size_t head_length, size_t length, size_t frame_max,
                         const struct bh_packet_info *info, struct virtio_net_hdr *header);

/*
 * To a client: completes the checksum of a frame in private memory where the
 * tap has left that to its reader, and says in `info` what is verified. Of a
 * frame that is longer than a segment (`header` has a GSO type) only the latter.
 */
void bh_offload_receive(uint8_t *frame, size_t length, const struct virtio_net_hdr *header,
                        struct bh_packet_info *info);

#endif
