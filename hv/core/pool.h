/* SPDX-License-Identifier: MIT */
/*
 * A partition's pool: the pages that were deposited for it, from which the
 * hypervisor pays whatever the partition costs.
 *
 * Free pages are linked through their own first eight bytes. No partition maps
 * them, so nobody but the hypervisor can write a link; each page is checked
 * against the frame table all the same before it is believed, and a list that
 * does not fit is given up instead of followed (lost_pages counts its pages).
 *
 * A page is zero whenever it leaves the list, and is zeroed when it comes back
 * from use: no secret gets from one user to the next, or to the parent.
 *
 * To deposit:  frame_deposit, unmap from the parent and flush, pool_add.
 * To withdraw: pool_withdraw, frame_withdraw, map in the parent again.
 *
 * Locks: the pool's own; inside it the frame table's.
 */
#ifndef HV_CORE_POOL_H
#define HV_CORE_POOL_H

#include "hv/core/frame.h"
#include "hv/core/spinlock.h"
#include "hv/core/types.h"

struct pool {
    struct frame_table *frames;
    partition_id_t partition;
    frame_t first; /* of the free list, or POOL_EMPTY */
    uint64_t free_pages;
    uint64_t used_pages;
    uint64_t lost_pages; /* of lists given up */
    struct spinlock lock;
};

#define POOL_EMPTY UINT64_MAX

void pool_init(struct pool *pool, struct frame_table *frames, partition_id_t partition);

/* A frame that frame_deposit accepted for this partition. The status is the frame table's. */
enum hv_status pool_add(struct pool *pool, frame_t frame);

/* A zeroed page in use from now on; false when the pool is empty. */
bool pool_take(struct pool *pool, spa_t *page);
/* Zeroes a page that pool_take gave and frees it. */
enum hv_status pool_return(struct pool *pool, spa_t page);

/* A zeroed page that has left the pool, ready for frame_withdraw; false when none is free. */
bool pool_withdraw(struct pool *pool, frame_t *frame);

#endif
