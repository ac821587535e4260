/* SPDX-License-Identifier: MIT */
/* RNDIS messages as a client builds and reads them: no state, no memory of its own. */
#ifndef VSC_NETWORK_RNDIS_H
#define VSC_NETWORK_RNDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "vsp/protocol/rndis.h"

#define VSC_RNDIS_PACKET_HEAD \
    44u /* bytes before a frame that is sent without further information */
#define VSC_RNDIS_REQUEST_MAX 128u

/* Each writes a message and returns its length. */
uint32_t vsc_rndis_initialize(uint8_t *to, uint32_t request_id, uint32_t transfer_max);
uint32_t vsc_rndis_halt(uint8_t *to, uint32_t request_id);
uint32_t vsc_rndis_query(uint8_t *to, uint32_t request_id, uint32_t oid);

/* `size` of at most VSC_RNDIS_REQUEST_MAX - 28 bytes of data. */
uint32_t vsc_rndis_set(uint8_t *to, uint32_t request_id, uint32_t oid, const void *data,
                       uint32_t size);

/* The head of a frame of `size` bytes: VSC_RNDIS_PACKET_HEAD bytes. */
void vsc_rndis_packet(uint8_t *to, uint32_t size);

/* What a message from the card is; pointers go into it. */
struct vsc_rndis_message {
    uint32_t type;
    uint32_t request_id; /* of a completion */
    uint32_t status;     /* of a completion or an indication */
    const uint8_t *data; /* a frame, or a query's value */
    uint32_t size;
};

/* False when it is not well formed. */
bool vsc_rndis_parse(const uint8_t *message, uint32_t length, struct vsc_rndis_message *parsed);

#endif
