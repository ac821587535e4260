/* SPDX-License-Identifier: MIT */
/* frame_share does not ask whether another child maps the frame. */
#include "hv/core/frame.h"

enum hv_status frame_share_checked(struct frame_table *table, frame_t frame,
                                   partition_id_t partition);

#define frame_share frame_share_checked
#include "hv/core/frame.c"
#undef frame_share

static enum hv_status change_share_unchecked(struct frame_record *record, partition_id_t partition)
{
    if (record->state == FRAME_SHARED) {
        record->partition = partition;
    }
    return change_share(record, partition);
}

enum hv_status frame_share(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frames_change(table, frame, 1, partition, change_share_unchecked);
}
