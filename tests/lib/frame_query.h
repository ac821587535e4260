/* SPDX-License-Identifier: MIT */
/* What the rule of hv/core/frame.h says of a frame, as tests ask for it. */
#ifndef TESTS_LIB_FRAME_QUERY_H
#define TESTS_LIB_FRAME_QUERY_H

#include "hv/core/frame.h"

/* PARTITION_PARENT for the parent's (also shared) frames, the partition that frames are
 * deposited for, else PARTITION_NONE. */
static inline partition_id_t frame_owner(const struct frame_table *table, frame_t frame)
{
    const struct frame_record record = frame_lookup(table, frame);
    return record.state == FRAME_SHARED ? PARTITION_PARENT : record.partition;
}

/* The child that maps a SHARED frame, else PARTITION_NONE. */
static inline partition_id_t frame_sharer(const struct frame_table *table, frame_t frame)
{
    const struct frame_record record = frame_lookup(table, frame);
    return record.state == FRAME_SHARED ? record.partition : PARTITION_NONE;
}

/* How often that child maps it. */
static inline uint32_t frame_map_count(const struct frame_table *table, frame_t frame)
{
    return frame_lookup(table, frame).maps;
}

/* The parent's own frames, shared ones included, and what is not RAM: device registers. */
static inline bool frame_parent_may_map(const struct frame_table *table, frame_t frame)
{
    const enum frame_state state = frame_state(table, frame);
    return state == FRAME_PARENT || state == FRAME_SHARED || state == FRAME_ABSENT;
}

#endif
