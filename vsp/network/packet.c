/* SPDX-License-Identifier: MIT */
#include "vsp/network/packet.h"

#include <string.h>

#define BODY        ((uint32_t)sizeof(struct rndis_header)) /* where offsets count from */
#define PACKET_SIZE (BODY + (uint32_t)sizeof(struct rndis_packet))
#define ELEMENT     ((uint32_t)sizeof(struct rndis_info))

/* --- from the client ---------------------------------------------------------------------- */

static void note_info(struct bh_packet_info *info, uint32_t type, uint32_t value)
{
    switch (type) {
    case RNDIS_INFO_CHECKSUM:
        info->has_checksum = true;
        info->checksum = value;
        break;
    case RNDIS_INFO_LSO:
        info->has_lso = true;
        info->lso = value;
        break;
    case RNDIS_INFO_VLAN:
        info->has_vlan = true;
        info->vlan = value;
        break;
    case RNDIS_INFO_HASH:
        info->has_hash = true;
        info->hash = value;
        break;
    default:
        break;
    }
}

/* Each round takes at least ELEMENT bytes off. */
static bool parse_info(const uint8_t *at, uint32_t length, struct bh_packet_info *info)
{
    struct rndis_info element;
    uint32_t value;

    while (length != 0) {
        if (length < ELEMENT)
            return false;
        memcpy(&element, at, sizeof(element));
        if (element.size < ELEMENT || element.size > length || element.offset < ELEMENT ||
            element.offset > element.size)
            return false;
        if (element.size - element.offset >= sizeof(value)) {
            memcpy(&value, at + element.offset, sizeof(value));
            note_info(info, element.type, value);
        }
        at += element.size;
        length -= element.size;
    }
    return true;
}

/* Is [offset, offset + size), body-relative, behind the packet's own fields and below `limit`? */
static bool within(uint32_t offset, uint32_t size, uint32_t limit)
{
    return offset >= sizeof(struct rndis_packet) && offset <= limit - BODY &&
           size <= limit - BODY - offset;
}

bool bh_packet_parse(const uint8_t *head, uint32_t length, struct bh_packet *packet)
{
    uint32_t head_length = length < BH_PACKET_HEAD_MAX ? length : BH_PACKET_HEAD_MAX;
    struct rndis_packet fields;

    *packet = (struct bh_packet){0};
    if (length < PACKET_SIZE)
        return false;
    memcpy(&fields, head + BODY, sizeof(fields));
    if (!within(fields.data_offset, fields.data_length, length))
        return false;
    packet->data_offset = BODY + fields.data_offset;
    packet->data_length = fields.data_length;
    if (fields.info_length == 0)
        return true;
    return within(fields.info_offset, fields.info_length, head_length) &&
           parse_info(head + BODY + fields.info_offset, fields.info_length, &packet->info);
}

/* --- to the client ------------------------------------------------------------------------ */

static uint32_t add_info(uint8_t *header, uint32_t at, uint32_t type, const void *value)
{
    const struct rndis_info element = {ELEMENT + 4, type, ELEMENT};

    memcpy(header + at, &element, sizeof(element));
    memcpy(header + at + ELEMENT, value, 4);
    return at + ELEMENT + 4;
}

uint32_t bh_packet_build(uint8_t header[BH_PACKET_HEADER_MAX], const struct bh_packet_info *info,
                         struct bh_packet_part part, uint32_t data_length)
{
    const struct rndis_packet_id id = {1, part.flags, part.id};
    struct rndis_packet fields = {.data_length = data_length};
    struct rndis_header start = {.type = RNDIS_PACKET};
    uint32_t size = PACKET_SIZE;

    if (info->has_checksum)
        size = add_info(header, size, RNDIS_INFO_CHECKSUM, &info->checksum);
    if (info->has_hash)
        size = add_info(header, size, RNDIS_INFO_HASH, &info->hash);
    if (part.flags != 0)
        size = add_info(header, size, RNDIS_INFO_PACKET_ID | RNDIS_INFO_INTERNAL, &id);
    if (size != PACKET_SIZE) {
        fields.info_offset = sizeof(fields);
        fields.info_length = size - PACKET_SIZE;
    }
    fields.data_offset = size - BODY;
    start.length = size + data_length;
    memcpy(header, &start, sizeof(start));
    memcpy(header + BODY, &fields, sizeof(fields));
    return size;
}
