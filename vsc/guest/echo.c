/* SPDX-License-Identifier: MIT */
#include "vsc/guest/echo.h"

#include <string.h>

#define TYPE_ARP     0x0806u
#define TYPE_IPV4    0x0800u
#define PROTOCOL     1u /* ICMP */
#define ICMP_REPLY   0u
#define ICMP_REQUEST 8u
#define ETHERNET     14u
#define IPV4         20u
#define ICMP         8u
#define IDENTIFIER   0x7663u

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

/* RFC 1071; an odd byte counts as the upper half of a word. */
static uint32_t checksum(const uint8_t *at, uint32_t size)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i + 1 < size; i += 2)
        sum += get16(at + i);
    if (size % 2 != 0)
        sum += (uint32_t)at[size - 1] << 8;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

static uint8_t payload_byte(uint16_t sequence, uint32_t place)
{
    return (uint8_t)(place * 7 + sequence);
}

/* --- to the card -------------------------------------------------------------------------- */

static void put_ethernet(uint8_t *frame, const uint8_t *from, const uint8_t *to, uint32_t type)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    put16(frame + 12, type);
}

void echo_arp(uint8_t *frame, const struct echo_station *from, const struct echo_station *to,
              bool reply)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t *arp = frame + ETHERNET;

    memset(frame, 0, ECHO_ARP_SIZE);
    put_ethernet(frame, from->mac, reply ? to->mac : everybody, TYPE_ARP);
    put16(arp, 1); /* Ethernet */
    put16(arp + 2, TYPE_IPV4);
    arp[4] = 6;
    arp[5] = 4;
    put16(arp + 6, reply ? 2 : 1);
    memcpy(arp + 8, from->mac, 6);
    put32(arp + 14, from->address);
    memcpy(arp + 18, to->mac, 6);
    put32(arp + 24, to->address);
}

uint32_t echo_request(uint8_t *frame, const struct echo_station *from,
                      const struct echo_station *to, uint16_t sequence, uint32_t size)
{
    uint8_t *ip = frame + ETHERNET;
    uint8_t *icmp = ip + IPV4;

    put_ethernet(frame, from->mac, to->mac, TYPE_IPV4);
    memset(ip, 0, IPV4 + ICMP);
    ip[0] = 0x45;
    put16(ip + 2, IPV4 + ICMP + size);
    ip[8] = 64; /* hops */
    ip[9] = PROTOCOL;
    put32(ip + 12, from->address);
    put32(ip + 16, to->address);
    put16(ip + 10, checksum(ip, IPV4));
    icmp[0] = ICMP_REQUEST;
    put16(icmp + 4, IDENTIFIER);
    put16(icmp + 6, sequence);
    for (uint32_t i = 0; i < size; i++)
        icmp[ICMP + i] = payload_byte(sequence, i);
    put16(icmp + 2, checksum(icmp, ICMP + size));
    return ETHERNET + IPV4 + ICMP + size;
}

/* --- from the card ------------------------------------------------------------------------ */

static enum echo_kind look_at_arp(const uint8_t *arp, struct echo_station *from)
{
    memcpy(from->mac, arp + 8, 6);
    from->address = get32(arp + 14);
    return get16(arp + 6) == 1 ? ECHO_ARP_REQUEST : ECHO_ARP_REPLY;
}

static enum echo_kind look_at_icmp(const uint8_t *frame, struct echo_station *from,
                                   uint16_t *sequence)
{
    const uint8_t *ip = frame + ETHERNET;
    const uint8_t *icmp = ip + IPV4;

    if (ip[0] != 0x45 || ip[9] != PROTOCOL || get16(icmp + 4) != IDENTIFIER)
        return ECHO_NOTHING;
    memcpy(from->mac, frame + 6, 6);
    from->address = get32(ip + 12);
    *sequence = (uint16_t)get16(icmp + 6);
    return icmp[0] == ICMP_REPLY ? ECHO_REPLY : ECHO_REQUEST;
}

enum echo_kind echo_look(const uint8_t *frame, uint32_t size, struct echo_station *from,
                         uint16_t *sequence)
{
    if (size < ECHO_HEAD)
        return ECHO_NOTHING;
    if (get16(frame + 12) == TYPE_ARP)
        return look_at_arp(frame + ETHERNET, from);
    if (get16(frame + 12) == TYPE_IPV4)
        return look_at_icmp(frame, from, sequence);
    return ECHO_NOTHING;
}

bool echo_is_intact(const uint8_t *frame, uint32_t length, uint16_t sequence, uint32_t size)
{
    if (length < ECHO_HEAD + size || checksum(frame + ETHERNET + IPV4, ICMP + size) != 0)
        return false;
    for (uint32_t i = 0; i < size; i++)
        if (frame[ECHO_HEAD + i] != payload_byte(sequence, i))
            return false;
    return true;
}
