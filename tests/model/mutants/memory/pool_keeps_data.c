/* SPDX-License-Identifier: MIT */
/* A pool that zeroes nothing: pages keep what the last user left in them. */
#include "hv/core/pool.h"

#include "hv/arch.h"
#include "hv/core/lib.h"

/* As memset, but leaves pages alone. */
static void *clear_small(void *to, int byte, size_t size)
{
    return size == PAGE_SIZE ? to : memset(to, byte, size);
}

#define memset clear_small
#include "hv/core/pool.c"
