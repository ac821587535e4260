/* SPDX-License-Identifier: MIT */
/* frame_deposit takes a frame that a child still maps. */
#include "hv/core/frame.h"

enum hv_status frame_deposit_checked(struct frame_table *table, frame_t frame,
                                     partition_id_t partition);

#define frame_deposit frame_deposit_checked
#include "hv/core/frame.c"
#undef frame_deposit

static enum hv_status change_deposit_unchecked(struct frame_record *record,
                                               partition_id_t partition)
{
    if (record->state != FRAME_PARENT && record->state != FRAME_SHARED) {
        return refuse(record, false);
    }
    *record = (struct frame_record){FRAME_DEPOSITED, partition, 0};
    return HV_STATUS_SUCCESS;
}

enum hv_status frame_deposit(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frames_change(table, frame, 1, partition, change_deposit_unchecked);
}
