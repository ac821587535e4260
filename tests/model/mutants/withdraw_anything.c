/* SPDX-License-Identifier: MIT */
/* frame_withdraw does not ask whether the frame was ever given. */
#include "hv/core/frame.h"

enum hv_status frame_withdraw_checked(struct frame_table *table, frame_t frame,
                                      partition_id_t partition);

#define frame_withdraw frame_withdraw_checked
#include "hv/core/frame.c"
#undef frame_withdraw

static enum hv_status change_withdraw_unchecked(struct frame_record *record,
                                                partition_id_t partition)
{
    if (record->state == FRAME_HYPERVISOR || record->state == FRAME_UNASSIGNED) {
        *record = (struct frame_record){FRAME_DEPOSITED, partition, 0};
    }
    return change_withdraw(record, partition);
}

enum hv_status frame_withdraw(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frames_change(table, frame, 1, partition, change_withdraw_unchecked);
}
