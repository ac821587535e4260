/* SPDX-License-Identifier: MIT */
/* frame_withdraw does not ask whether the page is free. */
#include "hv/core/frame.h"

enum hv_status frame_withdraw_checked(struct frame_table *table, frame_t frame,
                                      partition_id_t partition);

#define frame_withdraw frame_withdraw_checked
#include "hv/core/frame.c"
#undef frame_withdraw

enum hv_status frame_withdraw(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    struct frame_table_locked locked = table_lock(table);
    struct frame_record record = frame_lookup(table, frame);

    if (frame_is_deposited(record) && record.partition == partition) {
        record.state = FRAME_DEPOSITED;
        record_write(locked, frame, record);
    }
    table_unlock(locked);
    return frame_withdraw_checked(table, frame, partition);
}
