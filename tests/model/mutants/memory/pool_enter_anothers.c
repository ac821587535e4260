/* SPDX-License-Identifier: MIT */
/* frame_pool_enter does not ask for which partition the page was given. */
#include "hv/core/frame.h"

enum hv_status frame_pool_enter_checked(struct frame_table *table, frame_t frame,
                                        partition_id_t partition);

#define frame_pool_enter frame_pool_enter_checked
#include "hv/core/frame.c"
#undef frame_pool_enter

enum hv_status frame_pool_enter(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    struct frame_table_locked locked = table_lock(table);
    struct frame_record record = frame_lookup(table, frame);

    if (record.state == FRAME_DEPOSITED) {
        record.partition = partition;
        record_write(locked, frame, record);
    }
    table_unlock(locked);
    return frame_pool_enter_checked(table, frame, partition);
}
