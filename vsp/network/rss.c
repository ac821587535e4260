/* SPDX-License-Identifier: MIT */
#include "vsp/network/rss.h"

#include <string.h>

/* The 32 bits of the key that begin at `bit`. */
static uint32_t key_window(const uint8_t *key, unsigned bit)
{
    uint64_t window = 0;

    for (unsigned i = 0; i < 5; i++)
        window = window << 8 | key[bit / 8 + i];
    return (uint32_t)(window >> (8 - bit % 8));
}

static void fill_parts(struct bh_rss *rss)
{
    for (unsigned half = 0; half < BH_RSS_INPUT_MAX * 2; half++) {
        for (unsigned value = 0; value < 16; value++) {
            uint32_t part = 0;

            for (unsigned bit = 0; bit < 4; bit++)
                if ((value & 8u >> bit) != 0)
                    part ^= key_window(rss->key, half * 4 + bit);
            rss->part[half][value] = part;
        }
    }
}

/* --- parameters --------------------------------------------------------------------------- */

static bool table_fits(const uint8_t *object, size_t size, const struct ndis_rss_parameters *p,
                       uint32_t queues)
{
    size_t count = p->indirection_size / sizeof(uint32_t);
    uint32_t queue;

    if (count == 0 || count > NDIS_RSS_INDIRECTION_MAX || p->indirection_size % 4 != 0 ||
        p->indirection_offset > size || p->indirection_size > size - p->indirection_offset)
        return false;
    for (size_t i = 0; i < count; i++) {
        memcpy(&queue, object + p->indirection_offset + i * sizeof(queue), sizeof(queue));
        if (queue >= queues)
            return false;
    }
    return true;
}

static void copy_table(struct bh_rss *rss, const uint8_t *object,
                       const struct ndis_rss_parameters *p)
{
    rss->table_count = (uint16_t)(p->indirection_size / sizeof(uint32_t));
    for (size_t i = 0; i < rss->table_count; i++)
        rss->table[i] = object[p->indirection_offset + i * sizeof(uint32_t)]; /* below 256 */
}

bool bh_rss_set(struct bh_rss *rss, const uint8_t *object, size_t size, uint32_t queues)
{
    struct ndis_rss_parameters p;
    bool new_table;
    bool new_key;

    if (size < sizeof(p))
        return false;
    memcpy(&p, object, sizeof(p));
    if (p.header.type != NDIS_TYPE_RSS_PARAMETERS)
        return false;
    if ((p.flags & NDIS_RSS_DISABLE) != 0) {
        rss->enabled = false;
        return true;
    }
    new_table = (p.flags & NDIS_RSS_INDIRECTION_UNCHANGED) == 0;
    new_key = (p.flags & NDIS_RSS_KEY_UNCHANGED) == 0;
    if (new_table ? !table_fits(object, size, &p, queues) : rss->table_count == 0)
        return false;
    if (new_key && (p.key_size != NDIS_RSS_KEY_SIZE || p.key_offset > size ||
                    p.key_size > size - p.key_offset))
        return false;
    if (new_table)
        copy_table(rss, object, &p);
    if (new_key)
        memcpy(rss->key, object + p.key_offset, sizeof(rss->key));
    fill_parts(rss);
    rss->hash_types = p.hash;
    rss->enabled = true;
    return true;
}

/* --- frames ------------------------------------------------------------------------------- */

static uint32_t toeplitz(const struct bh_rss *rss, const uint8_t *input, size_t size)
{
    uint32_t hash = 0;

    for (size_t i = 0; i < size; i++)
        hash ^= rss->part[2 * i][input[i] >> 4] ^ rss->part[2 * i + 1][input[i] & 15];
    return hash;
}

bool bh_rss_hash(const struct bh_rss *rss, const uint8_t *head,
                 const struct bh_frame_layout *layout, uint32_t *hash)
{
    bool is_4 = layout->ip_version == 4;
    size_t addresses = is_4 ? 8 : 32;
    uint32_t with_ports = is_4 ? NDIS_HASH_TCP_IPV4 : NDIS_HASH_TCP_IPV6;
    uint32_t plain = is_4 ? NDIS_HASH_IPV4 : NDIS_HASH_IPV6;
    uint8_t input[BH_RSS_INPUT_MAX];

    if (!rss->enabled || layout->ip_version == 0)
        return false;
    memcpy(input, head + layout->ip_offset + (is_4 ? 12 : 8), addresses);
    if (layout->protocol == BH_PROTOCOL_TCP && (rss->hash_types & with_ports) != 0) {
        memcpy(input + addresses, head + layout->transport_offset, 4);
        *hash = toeplitz(rss, input, addresses + 4);
        return true;
    }
    if ((rss->hash_types & plain) == 0)
        return false;
    *hash = toeplitz(rss, input, addresses);
    return true;
}

uint32_t bh_rss_queue(const struct bh_rss *rss, uint32_t hash)
{
    return rss->table_count != 0 ? rss->table[hash % rss->table_count] : 0;
}
