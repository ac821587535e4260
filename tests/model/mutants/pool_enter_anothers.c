/* SPDX-License-Identifier: MIT */
/* frame_pool_enter does not ask for which partition the page was given. */
#include "hv/core/frame.h"

enum hv_status frame_pool_enter_checked(struct frame_table *table, frame_t frame,
                                        partition_id_t partition);

#define frame_pool_enter frame_pool_enter_checked
#include "hv/core/frame.c"
#undef frame_pool_enter

static enum hv_status change_pool_enter_unchecked(struct frame_record *record,
                                                  partition_id_t partition)
{
    if (record->state == FRAME_DEPOSITED) {
        record->partition = partition;
    }
    return change_pool_enter(record, partition);
}

enum hv_status frame_pool_enter(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frames_change(table, frame, 1, partition, change_pool_enter_unchecked);
}
