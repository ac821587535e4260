/* SPDX-License-Identifier: MIT */
/*
 * Receive-side scaling: the Toeplitz hash of a frame under the client's key, and
 * the client's table that maps it to a queue.
 */
#ifndef VSP_NETWORK_RSS_H
#define VSP_NETWORK_RSS_H

#include "vsp/network/frame.h"
#include "vsp/protocol/ndis.h"

#define BH_RSS_INPUT_MAX 36u /* two IPv6 addresses and two ports */

struct bh_rss {
    bool enabled;
    uint32_t hash_types; /* NDIS_HASH_* */
    uint16_t table_count;
    uint8_t table[NDIS_RSS_INDIRECTION_MAX];
    uint8_t key[NDIS_RSS_KEY_SIZE];
    /* What each half byte of the input adds to the hash: computed once a key. */
    uint32_t part[BH_RSS_INPUT_MAX * 2][16];
};

/*
 * An OID_GEN_RECEIVE_SCALE_PARAMETERS object of `size` bytes; `queues` is how
 * many there are. False when it is malformed; then nothing is changed.
 */
bool bh_rss_set(struct bh_rss *rss, const uint8_t *object, size_t size, uint32_t queues);

/* False when this frame has no hash of the types that are on. */
bool bh_rss_hash(const struct bh_rss *rss, const uint8_t *head,
                 const struct bh_frame_layout *layout, uint32_t *hash);

/* The queue of a frame with that hash. */
uint32_t bh_rss_queue(const struct bh_rss *rss, uint32_t hash);

#endif
