/* SPDX-License-Identifier: MIT */
/* RNDIS control messages of a client, and their answers. */
#ifndef VSP_NETWORK_RNDIS_H
#define VSP_NETWORK_RNDIS_H

#include "vsp/network/oid.h"

#define BH_RNDIS_REQUEST_MAX     4096u
#define BH_RNDIS_ANSWER_MAX      (24u + BH_OID_SIZE_MAX)
#define BH_RNDIS_PACKETS_MAX     8u      /* data packets in one message of a client */
#define BH_RNDIS_TRANSFER_MAX    0x4000u /* of several together; one alone may be longer */
#define BH_RNDIS_ALIGNMENT_SHIFT 3u

/*
 * Does what a message of `length` bytes, a private copy, asks for. Returns the
 * size of the answer; 0: none is due, because the message is no request, or not
 * even that.
 */
uint32_t bh_rndis_control(const struct bh_oid_card *card, struct bh_nic_state *state,
                          const uint8_t *message, uint32_t length,
                          uint8_t answer[BH_RNDIS_ANSWER_MAX]);

/* A message that tells the client of the link. Returns its size. */
uint32_t bh_rndis_link(bool up, uint8_t message[BH_RNDIS_ANSWER_MAX]);

#endif
