/* SPDX-License-Identifier: MIT */
/* frame_pool_return does not ask for which partition the page is in use. */
#include "hv/core/frame.h"

enum hv_status frame_pool_return_checked(struct frame_table *table, frame_t frame,
                                         partition_id_t partition);

#define frame_pool_return frame_pool_return_checked
#include "hv/core/frame.c"
#undef frame_pool_return

static enum hv_status change_pool_return_unchecked(struct frame_record *record,
                                                   partition_id_t partition)
{
    if (record->state == FRAME_POOL_USED) {
        record->partition = partition;
    }
    return change_pool_return(record, partition);
}

enum hv_status frame_pool_return(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frames_change(table, frame, 1, partition, change_pool_return_unchecked);
}
