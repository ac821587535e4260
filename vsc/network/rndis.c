/* SPDX-License-Identifier: MIT */
#include "vsc/network/rndis.h"

#include <string.h>

#define BODY ((uint32_t)sizeof(struct rndis_header)) /* where offsets count from */

_Static_assert(VSC_RNDIS_PACKET_HEAD == sizeof(struct rndis_header) + sizeof(struct rndis_packet),
               "head of a data packet");

/* --- to the card -------------------------------------------------------------------------- */

static uint32_t build(uint8_t *to, uint32_t type, const void *body, uint32_t size)
{
    const struct rndis_header header = {type, BODY + size};

    memcpy(to, &header, sizeof(header));
    memcpy(to + BODY, body, size);
    return header.length;
}

uint32_t vsc_rndis_initialize(uint8_t *to, uint32_t request_id, uint32_t transfer_max)
{
    const struct rndis_initialize body = {request_id, RNDIS_MAJOR_VERSION, RNDIS_MINOR_VERSION,
                                          transfer_max};

    return build(to, RNDIS_INITIALIZE, &body, sizeof(body));
}

uint32_t vsc_rndis_halt(uint8_t *to, uint32_t request_id)
{
    return build(to, RNDIS_HALT, &request_id, sizeof(request_id));
}

uint32_t vsc_rndis_query(uint8_t *to, uint32_t request_id, uint32_t oid)
{
    const struct rndis_request body = {.request_id = request_id, .oid = oid};

    return build(to, RNDIS_QUERY, &body, sizeof(body));
}

uint32_t vsc_rndis_set(uint8_t *to, uint32_t request_id, uint32_t oid, const void *data,
                       uint32_t size)
{
    uint8_t body[VSC_RNDIS_REQUEST_MAX - BODY];
    const struct rndis_request request = {
        .request_id = request_id, .oid = oid, .length = size, .offset = sizeof(request)};

    memcpy(body, &request, sizeof(request));
    memcpy(body + sizeof(request), data, size);
    return build(to, RNDIS_SET, body, (uint32_t)sizeof(request) + size);
}

void vsc_rndis_packet(uint8_t *to, uint32_t size)
{
    const struct rndis_header header = {RNDIS_PACKET, VSC_RNDIS_PACKET_HEAD + size};
    const struct rndis_packet body = {.data_offset = sizeof(body), .data_length = size};

    memcpy(to, &header, sizeof(header));
    memcpy(to + sizeof(header), &body, sizeof(body));
}

/* --- from the card ------------------------------------------------------------------------ */

/* The word with that number behind the header; 0 when the message is too short. */
static uint32_t word(const uint8_t *message, uint32_t length, uint32_t number)
{
    uint32_t value = 0;

    if (length >= BODY + 4 * number + 4)
        memcpy(&value, message + BODY + (size_t)4 * number, sizeof(value));
    return value;
}

/* Data at a body-relative offset. */
static bool set_data(const uint8_t *message, uint32_t length, uint32_t offset, uint32_t size,
                     struct vsc_rndis_message *parsed)
{
    if (size != 0 && (offset > length - BODY || size > length - BODY - offset))
        return false;
    parsed->data = message + BODY + offset;
    parsed->size = size;
    return true;
}

bool vsc_rndis_parse(const uint8_t *message, uint32_t length, struct vsc_rndis_message *parsed)
{
    struct rndis_header header;

    *parsed = (struct vsc_rndis_message){0};
    if (length < sizeof(header))
        return false;
    memcpy(&header, message, sizeof(header));
    if (header.length < sizeof(header) || header.length > length)
        return false;
    length = header.length;
    parsed->type = header.type;
    switch (header.type) {
    case RNDIS_PACKET:
        return length >= VSC_RNDIS_PACKET_HEAD &&
               set_data(message, length, word(message, length, 0), word(message, length, 1),
                        parsed);
    case RNDIS_QUERY | RNDIS_COMPLETION:
        parsed->request_id = word(message, length, 0);
        parsed->status = word(message, length, 1);
        return set_data(message, length, word(message, length, 3), word(message, length, 2),
                        parsed);
    case RNDIS_INITIALIZE | RNDIS_COMPLETION:
    case RNDIS_SET | RNDIS_COMPLETION:
        parsed->request_id = word(message, length, 0);
        parsed->status = word(message, length, 1);
        return true;
    case RNDIS_INDICATE_STATUS:
        parsed->status = word(message, length, 0);
        return true;
    default:
        return true;
    }
}
