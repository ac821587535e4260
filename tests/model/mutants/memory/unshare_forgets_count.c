/* SPDX-License-Identifier: MIT */
/* frame_unshare takes the first mapping that goes for the last one. */
#include "hv/core/frame.h"

enum hv_status frame_unshare_checked(struct frame_table *table, frame_t frame,
                                     partition_id_t partition);

#define frame_unshare frame_unshare_checked
#include "hv/core/frame.c"
#undef frame_unshare

static enum hv_status change_unshare_unchecked(struct frame_record *record,
                                               partition_id_t partition)
{
    record->maps = record->state == FRAME_SHARED ? 1 : record->maps;
    return change_unshare(record, partition);
}

enum hv_status frame_unshare(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frames_change(table, frame, 1, partition, change_unshare_unchecked);
}
