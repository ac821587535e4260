/* SPDX-License-Identifier: MIT */
/*
 * What is in an Ethernet frame, as far as offloads, hashes and filters must
 * know, and the Internet checksum. All functions look at a private copy of the
 * frame's first bytes and take nothing for granted.
 */
#ifndef VSP_NETWORK_FRAME_H
#define VSP_NETWORK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_MAC_SIZE          6u
#define BH_ETHERNET_SIZE     14u
#define BH_VLAN_SIZE         4u
#define BH_FRAME_MAX         (65535u + BH_ETHERNET_SIZE + BH_VLAN_SIZE)
#define BH_FRAME_HEADERS_MAX 256u /* the longest headers that are understood */

#define BH_PROTOCOL_TCP 6u
#define BH_PROTOCOL_UDP 17u

struct bh_frame_layout {
    uint8_t ip_version; /* 4, 6, or 0: no IP, or its header is wrong */
    uint8_t protocol;   /* BH_PROTOCOL_TCP or _UDP; 0: another, or a fragment */
    bool tagged;        /* an 802.1Q tag is in the frame */
    uint16_t ip_offset;
    uint16_t transport_offset; /* valid with a protocol */
    uint16_t payload_offset;   /* behind the TCP or UDP header; valid with a protocol */
};

/*
 * Describes a frame of which `length` bytes are at `head`; false when that is no
 * Ethernet header. A transport header that is not whole there counts as unknown.
 */
bool bh_frame_parse(const uint8_t *head, size_t length, struct bh_frame_layout *layout);

uint16_t bh_load_be16(const uint8_t *at);
void bh_store_be16(uint8_t *at, uint16_t value);

/* The one's complement sum of `length` bytes, on top of `sum`; a piece of odd length only last. */
uint64_t bh_checksum_add(uint64_t sum, const uint8_t *data, size_t length);

/* Folded to 16 bits and not inverted, in the order of the bytes added. */
uint16_t bh_checksum_fold(uint64_t sum);

/* The sum of the pseudo header of a transport segment of `segment` bytes. */
uint64_t bh_checksum_pseudo(const uint8_t *head, const struct bh_frame_layout *layout,
                            uint32_t segment);

/* Where the checksum is in the transport header. */
unsigned bh_checksum_position(uint8_t protocol);

/* Writes the checksum of the IPv4 header. */
void bh_frame_finish_ip4(uint8_t *head, const struct bh_frame_layout *layout);

#endif
