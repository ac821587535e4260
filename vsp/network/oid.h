/* SPDX-License-Identifier: MIT */
/*
 * The objects that a client queries and sets: what the card is, what it can do,
 * filters, offloads, scaling, counters.
 */
#ifndef VSP_NETWORK_OID_H
#define VSP_NETWORK_OID_H

#include "vsp/network/state.h"

#define BH_OID_SIZE_MAX 512u

struct bh_oid_card {
    const struct bh_nic_options *options;
    const struct bh_nic_stats *stats;
    bool link_up;
};

/* Writes at most BH_OID_SIZE_MAX bytes; enum rndis_status. */
uint32_t bh_oid_query(const struct bh_oid_card *card, const struct bh_nic_state *state,
                      uint32_t oid, uint8_t *value, uint32_t *size);

/* Changes `state`, or refuses and changes nothing. `value` is a private copy. */
uint32_t bh_oid_set(const struct bh_oid_card *card, struct bh_nic_state *state, uint32_t oid,
                    const uint8_t *value, uint32_t size);

#endif
