/* SPDX-License-Identifier: MIT */
#include "vsp/network/frame.h"

#include <string.h>

#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define TYPE_VLAN 0x8100u

#define IP4_SIZE     20u
#define IP6_SIZE     40u
#define TCP_SIZE     20u
#define UDP_SIZE     8u
#define IP6_HEADERS  8 /* extension headers that are followed */
#define IP4_FRAGMENT 0x3fffu
#define IP6_HOP      0u
#define IP6_ROUTING  43u
#define IP6_OPTIONS  60u

uint16_t bh_load_be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

void bh_store_be16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* --- headers ------------------------------------------------------------------------------ */

static void parse_transport(const uint8_t *head, size_t length, unsigned protocol, size_t offset,
                            struct bh_frame_layout *layout)
{
    size_t size = UDP_SIZE;

    if (protocol == BH_PROTOCOL_TCP) {
        if (offset + TCP_SIZE > length)
            return;
        size = (size_t)(head[offset + 12] >> 4) * 4;
        if (size < TCP_SIZE)
            return;
    } else if (protocol != BH_PROTOCOL_UDP) {
        return;
    }
    if (offset + size > length)
        return;
    layout->protocol = (uint8_t)protocol;
    layout->transport_offset = (uint16_t)offset;
    layout->payload_offset = (uint16_t)(offset + size);
}

static void parse_ip4(const uint8_t *head, size_t length, struct bh_frame_layout *layout)
{
    const uint8_t *ip = head + layout->ip_offset;
    size_t size;

    if (layout->ip_offset + IP4_SIZE > length || ip[0] >> 4 != 4)
        return;
    size = (size_t)(ip[0] & 15) * 4;
    if (size < IP4_SIZE || layout->ip_offset + size > length)
        return;
    layout->ip_version = 4;
    if ((bh_load_be16(ip + 6) & IP4_FRAGMENT) == 0)
        parse_transport(head, length, ip[9], layout->ip_offset + size, layout);
}

/* A fragment header ends the walk: what follows it need not be a transport header. */
static void parse_ip6(const uint8_t *head, size_t length, struct bh_frame_layout *layout)
{
    const uint8_t *ip = head + layout->ip_offset;
    size_t offset = layout->ip_offset + IP6_SIZE;
    unsigned next;

    if (offset > length || ip[0] >> 4 != 6)
        return;
    layout->ip_version = 6;
    next = ip[6];
    for (int i = 0; i < IP6_HEADERS; i++) {
        if (next != IP6_HOP && next != IP6_ROUTING && next != IP6_OPTIONS)
            break;
        if (offset + 8 > length)
            return;
        next = head[offset];
        offset += ((size_t)head[offset + 1] + 1) * 8;
    }
    parse_transport(head, length, next, offset, layout);
}

bool bh_frame_parse(const uint8_t *head, size_t length, struct bh_frame_layout *layout)
{
    size_t offset = BH_ETHERNET_SIZE;
    unsigned type;

    *layout = (struct bh_frame_layout){0};
    if (length < BH_ETHERNET_SIZE)
        return false;
    type = bh_load_be16(head + 12);
    if (type == TYPE_VLAN && length >= BH_ETHERNET_SIZE + BH_VLAN_SIZE) {
        layout->tagged = true;
        type = bh_load_be16(head + 16);
        offset += BH_VLAN_SIZE;
    }
    layout->ip_offset = (uint16_t)offset;
    if (type == TYPE_IPV4)
        parse_ip4(head, length, layout);
    else if (type == TYPE_IPV6)
        parse_ip6(head, length, layout);
    return true;
}

/* --- checksums ---------------------------------------------------------------------------- */

/* The sum is the same in any order of bytes as long as that stays, so words of any size will do. */
static inline uint64_t add_word(uint64_t sum, const uint8_t *data)
{
    uint64_t word;

    memcpy(&word, data, sizeof(word));
    sum += word;
    return sum + (sum < word); /* the carry comes back in at the end */
}

/* The dearest part of a frame for the guest whose sender has left the checksum open. */
uint64_t bh_checksum_add(uint64_t sum, const uint8_t *data, size_t length)
{
    uint64_t rest = 0;

    for (; length >= 4 * sizeof(rest); data += 4 * sizeof(rest), length -= 4 * sizeof(rest)) {
        sum = add_word(sum, data);
        sum = add_word(sum, data + sizeof(rest));
        sum = add_word(sum, data + 2 * sizeof(rest));
        sum = add_word(sum, data + 3 * sizeof(rest));
    }
    for (; length >= sizeof(rest); data += sizeof(rest), length -= sizeof(rest))
        sum = add_word(sum, data);
    memcpy(&rest, data, length);
    return add_word(sum, (const uint8_t *)&rest);
}

uint16_t bh_checksum_fold(uint64_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t bh_checksum_pseudo(const uint8_t *head, const struct bh_frame_layout *layout,
                            uint32_t segment)
{
    const uint8_t *ip = head + layout->ip_offset;
    uint8_t tail[8] = {(uint8_t)(segment >> 24),
                       (uint8_t)(segment >> 16),
                       (uint8_t)(segment >> 8),
                       (uint8_t)segment,
                       0,
                       0,
                       0,
                       layout->protocol};
    uint64_t sum = bh_checksum_add(0, tail, sizeof(tail));

    if (layout->ip_version == 4)
        return bh_checksum_add(sum, ip + 12, 8);
    return bh_checksum_add(sum, ip + 8, 32);
}

unsigned bh_checksum_position(uint8_t protocol)
{
    return protocol == BH_PROTOCOL_TCP ? 16 : 6;
}

void bh_frame_finish_ip4(uint8_t *head, const struct bh_frame_layout *layout)
{
    uint8_t *ip = head + layout->ip_offset;
    uint16_t sum;

    memset(ip + 10, 0, 2);
    sum = (uint16_t)~bh_checksum_fold(bh_checksum_add(0, ip, (size_t)(ip[0] & 15) * 4));
    memcpy(ip + 10, &sum, sizeof(sum));
}
