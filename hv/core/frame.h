/* SPDX-License-Identifier: MIT */
/*
 * The ownership of every frame of RAM: one record of four bytes a frame, and
 * the only functions that change it.
 *
 * The rule that these transitions keep, whatever the order of the calls: no
 * partition maps a frame of the hypervisor, or a frame of a partition that did
 * not give it. In particular
 *   - a frame deposited for a partition is mapped nowhere, the parent included;
 *   - a child maps only frames that the parent shared with it, one child a frame;
 *   - a shared frame can not be deposited before its last mapping is gone;
 *   - withdrawal returns only what was deposited for that very partition, and
 *     only from outside its pool.
 *
 *              share (+1)                deposit           pool_enter     pool_take
 *   SHARED <---------------> PARENT <------------> DEPOSITED <-----> POOL_FREE <-----> POOL_USED
 *              unshare (-1)              withdraw          pool_leave     pool_return
 *
 * The caller takes the steps in the order that keeps the rule in the hardware
 * too: a frame leaves the parent's nested tables and TLBs after frame_deposit
 * and before pool_add; it enters a nested table after frame_withdraw or
 * frame_share; it leaves a child's nested table and TLBs before frame_unshare.
 *
 * Every function checks everything before it changes anything. The results are
 * TLFS status values:
 *   INVALID_PARAMETER     no such RAM
 *   INVALID_ALIGNMENT     the first of 512 frames is not a multiple of 512
 *   INVALID_PARTITION_ID  not a child's identifier
 *   ACCESS_DENIED         the frame belongs to somebody else
 *   OPERATION_DENIED      the owner is right, the frame's state is not
 *   NO_RESOURCES          the map count is at its end
 *
 * Locks: the table's own, a leaf; no other is taken inside.
 */
#ifndef HV_CORE_FRAME_H
#define HV_CORE_FRAME_H

#include "hv/abi/hypercall.h"
#include "hv/core/spinlock.h"
#include "hv/core/types.h"

enum frame_state {
    FRAME_ABSENT = 0, /* not RAM */
    FRAME_HYPERVISOR, /* the hypervisor's own */
    FRAME_UNASSIGNED, /* RAM that nobody has */
    FRAME_PARENT,     /* the parent's */
    FRAME_SHARED,     /* the parent's, and mapped in one child */
    FRAME_DEPOSITED,  /* given for a partition, on its way into its pool or out of it */
    FRAME_POOL_FREE,  /* in the pool's list of free pages */
    FRAME_POOL_USED,  /* in use by the hypervisor for that partition */
    FRAME_STATE_COUNT,
};

struct frame_record {
    enum frame_state state;
    partition_id_t partition; /* that it is deposited for, or shared with; or PARTITION_PARENT */
    uint32_t maps;            /* of a SHARED frame: how often that child maps it */
};

#define FRAME_MAPS_MAX 0xffffu
#define FRAMES_PER_2M  (SIZE_2M / SIZE_4K)

struct frame_table {
    uint32_t *record;
    frame_t count;
    uint64_t state_count[FRAME_STATE_COUNT];
    struct spinlock lock;
};

/* Bytes of storage that count frames need. */
static inline uint64_t frame_table_size(frame_t count)
{
    return count * sizeof(uint32_t);
}

/* storage: frame_table_size(count) bytes. All frames start ABSENT. */
void frame_table_init(struct frame_table *table, void *storage, frame_t count);

/*
 * Boot only: gives frames to the hypervisor, the parent (partition must be
 * PARTITION_PARENT) or nobody (UNASSIGNED, ABSENT; PARTITION_NONE). Refuses
 * frames that are shared or deposited.
 */
enum hv_status frame_table_set_range(struct frame_table *table, frame_t first, frame_t count,
                                     enum frame_state state, partition_id_t partition);

/* How many frames are in a state, and how many are deposited in any of the three states. */
uint64_t frame_table_state_count(struct frame_table *table, enum frame_state state);
uint64_t frame_table_deposited_count(struct frame_table *table);

/* Frames outside the table are ABSENT. */
struct frame_record frame_lookup(const struct frame_table *table, frame_t frame);

static inline enum frame_state frame_state(const struct frame_table *table, frame_t frame)
{
    return frame_lookup(table, frame).state;
}

enum hv_status frame_deposit(struct frame_table *table, frame_t frame, partition_id_t partition);
enum hv_status frame_withdraw(struct frame_table *table, frame_t frame, partition_id_t partition);

/* For hv/core/pool.c only. */
enum hv_status frame_pool_enter(struct frame_table *table, frame_t frame, partition_id_t partition);
enum hv_status frame_pool_leave(struct frame_table *table, frame_t frame, partition_id_t partition);
enum hv_status frame_pool_take(struct frame_table *table, frame_t frame, partition_id_t partition);
enum hv_status frame_pool_return(struct frame_table *table, frame_t frame,
                                 partition_id_t partition);

/* One mapping more, or one less, of a frame of the parent in a child. */
enum hv_status frame_share(struct frame_table *table, frame_t frame, partition_id_t partition);
enum hv_status frame_unshare(struct frame_table *table, frame_t frame, partition_id_t partition);

/* The same for the 512 frames from first, a multiple of 512: all of them or none. */
enum hv_status frame_share_2m(struct frame_table *table, frame_t first, partition_id_t partition);
enum hv_status frame_unshare_2m(struct frame_table *table, frame_t first, partition_id_t partition);

#endif
