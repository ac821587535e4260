/* SPDX-License-Identifier: MIT */
/* Sets of the 256 interrupt vectors. For one processor; who shares a set changes it atomically. */
#ifndef HV_CORE_VECTORS_H
#define HV_CORE_VECTORS_H

#include "hv/core/types.h"

#define VECTORS_NONE (-1)

static inline uint64_t vector_bit(uint8_t vector)
{
    return 1ull << (vector % 64);
}

static inline bool vectors_have(const uint64_t set[4], uint8_t vector)
{
    return set[vector / 64] & vector_bit(vector);
}

static inline void vectors_add(uint64_t set[4], uint8_t vector)
{
    set[vector / 64] |= vector_bit(vector);
}

static inline void vectors_remove(uint64_t set[4], uint8_t vector)
{
    set[vector / 64] &= ~vector_bit(vector);
}

/* VECTORS_NONE: the set is empty. */
static inline int vectors_highest(const uint64_t set[4])
{
    for (int word = 3; word >= 0; word--)
        if (set[word] != 0)
            return word * 64 + 63 - __builtin_clzll(set[word]);
    return VECTORS_NONE;
}

#endif
