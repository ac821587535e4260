/* SPDX-License-Identifier: MIT */
/* RNDIS data packets: taking apart those of a client, putting together those for it. */
#ifndef VSP_NETWORK_PACKET_H
#define VSP_NETWORK_PACKET_H

#include "vsp/network/offload.h"
#include "vsp/protocol/rndis.h"

/* Behind type and length, so much of a client's packet is looked at for information. */
#define BH_PACKET_HEAD_MAX 512u

struct bh_packet {
    uint32_t data_offset; /* of the frame, from the start of the message */
    uint32_t data_length;
    struct bh_packet_info info;
};

/*
 * `head` is a private copy of the first min(length, BH_PACKET_HEAD_MAX) bytes of
 * a message of `length` bytes. False when anything in it is out of bounds.
 */
bool bh_packet_parse(const uint8_t *head, uint32_t length, struct bh_packet *packet);

/* The longest header that bh_packet_build writes. */
#define BH_PACKET_HEADER_MAX 92u

/* A part of a frame that is longer than one allocation; flags are RNDIS_PART*. */
struct bh_packet_part {
    uint8_t flags; /* 0: the frame is whole */
    uint16_t id;
};

/*
 * The header of a message that holds `data_length` bytes of a frame behind it.
 * Returns its size, a multiple of 4.
 */
uint32_t bh_packet_build(uint8_t header[BH_PACKET_HEADER_MAX], const struct bh_packet_info *info,
                         struct bh_packet_part part, uint32_t data_length);

#endif
