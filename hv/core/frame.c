/* SPDX-License-Identifier: MIT */
/*
 * A record packs state (bits 0-3), partition (4-15) and map count (16-31).
 * Records are written under the table's lock only, which the functions that
 * write ask for as struct frame_table_locked. Readers outside the lock get one
 * whole record, old or new.
 */
#include "hv/core/frame.h"

#include "hv/core/lib.h"

_Static_assert(FRAME_STATE_COUNT <= 16, "the state has four bits");
_Static_assert(PARTITION_MAX <= 4096, "the partition has twelve bits");
_Static_assert(FRAME_ABSENT == 0, "a zeroed record is an absent frame");

struct frame_table_locked {
    struct frame_table *table;
};

static struct frame_table_locked table_lock(struct frame_table *table)
{
    spinlock_acquire(&table->lock);
    return (struct frame_table_locked){table};
}

static void table_unlock(struct frame_table_locked locked)
{
    spinlock_release(&locked.table->lock);
}

struct frame_record frame_lookup(const struct frame_table *table, frame_t frame)
{
    uint32_t raw = 0;

    if (frame < table->count)
        raw = __atomic_load_n(&table->record[frame], __ATOMIC_RELAXED);
    return (struct frame_record){
        .state = (enum frame_state)(raw & 0xf),
        .partition = (partition_id_t)((raw >> 4) & 0xfff),
        .maps = raw >> 16,
    };
}

static void record_write(struct frame_table_locked locked, frame_t frame,
                         struct frame_record record)
{
    struct frame_table *table = locked.table;
    uint32_t raw = (uint32_t)record.state | (uint32_t)record.partition << 4 | record.maps << 16;

    table->state_count[frame_lookup(table, frame).state]--;
    table->state_count[record.state]++;
    __atomic_store_n(&table->record[frame], raw, __ATOMIC_RELAXED);
}

void frame_table_init(struct frame_table *table, void *storage, frame_t count)
{
    memset(table, 0, sizeof(*table));
    memset(storage, 0, frame_table_size(count));
    table->record = storage;
    table->count = count;
    table->state_count[FRAME_ABSENT] = count;
    spinlock_init(&table->lock);
}

static bool frame_is_deposited(struct frame_record record)
{
    return record.state == FRAME_DEPOSITED || record.state == FRAME_POOL_FREE ||
           record.state == FRAME_POOL_USED;
}

static bool frame_is_child(partition_id_t partition)
{
    return partition > PARTITION_PARENT && partition < PARTITION_MAX;
}

static enum hv_status range_check(struct frame_table_locked locked, frame_t first, frame_t count)
{
    if (first > locked.table->count || count > locked.table->count - first)
        return HV_STATUS_INVALID_PARAMETER;
    for (frame_t frame = first; frame < first + count; frame++) {
        struct frame_record record = frame_lookup(locked.table, frame);

        if (record.state == FRAME_SHARED || frame_is_deposited(record))
            return HV_STATUS_OPERATION_DENIED;
    }
    return HV_STATUS_SUCCESS;
}

enum hv_status frame_table_set_range(struct frame_table *table, frame_t first, frame_t count,
                                     enum frame_state state, partition_id_t partition)
{
    if (state > FRAME_PARENT ||
        partition != (state == FRAME_PARENT ? PARTITION_PARENT : PARTITION_NONE))
        return HV_STATUS_INVALID_PARAMETER;
    struct frame_table_locked locked = table_lock(table);
    enum hv_status status = range_check(locked, first, count);

    if (status == HV_STATUS_SUCCESS)
        for (frame_t frame = first; frame < first + count; frame++)
            record_write(locked, frame, (struct frame_record){state, partition, 0});
    table_unlock(locked);
    return status;
}

uint64_t frame_table_state_count(struct frame_table *table, enum frame_state state)
{
    return __atomic_load_n(&table->state_count[state], __ATOMIC_RELAXED);
}

uint64_t frame_table_deposited_count(struct frame_table *table)
{
    struct frame_table_locked locked = table_lock(table);
    uint64_t count = table->state_count[FRAME_DEPOSITED] + table->state_count[FRAME_POOL_FREE] +
                     table->state_count[FRAME_POOL_USED];

    table_unlock(locked);
    return count;
}

/* Why a frame that is not in the state a change needs is refused. */
static enum hv_status refuse(const struct frame_record *record, bool owner)
{
    if (record->state == FRAME_ABSENT)
        return HV_STATUS_INVALID_PARAMETER;
    return owner ? HV_STATUS_OPERATION_DENIED : HV_STATUS_ACCESS_DENIED;
}

/* One frame from a state that it must be in, in the hands of who must have it, to another. */
static enum hv_status frame_move(struct frame_table *table, frame_t frame, partition_id_t partition,
                                 enum frame_state from, enum frame_state to)
{
    if (!frame_is_child(partition))
        return HV_STATUS_INVALID_PARTITION_ID;
    struct frame_table_locked locked = table_lock(table);
    const struct frame_record record = frame_lookup(table, frame);
    const bool owner = from == FRAME_PARENT
                           ? record.state == FRAME_PARENT || record.state == FRAME_SHARED
                           : frame_is_deposited(record) && record.partition == partition;
    const partition_id_t next = to == FRAME_PARENT ? PARTITION_PARENT : partition;
    enum hv_status status = HV_STATUS_SUCCESS;

    if (owner && record.state == from)
        record_write(locked, frame, (struct frame_record){to, next, 0});
    else
        status = refuse(&record, owner);
    table_unlock(locked);
    return status;
}

/* A checked change of one record: fills in the new record, or refuses and leaves it alone. */
typedef enum hv_status frame_change(struct frame_record *record, partition_id_t partition);

static enum hv_status change_share(struct frame_record *record, partition_id_t partition)
{
    if (record->state == FRAME_PARENT) {
        *record = (struct frame_record){FRAME_SHARED, partition, 1};
        return HV_STATUS_SUCCESS;
    }
    if (record->state != FRAME_SHARED)
        return refuse(record, false);
    if (record->partition != partition)
        return HV_STATUS_OPERATION_DENIED;
    if (record->maps == FRAME_MAPS_MAX)
        return HV_STATUS_NO_RESOURCES;
    record->maps++;
    return HV_STATUS_SUCCESS;
}

static enum hv_status change_unshare(struct frame_record *record, partition_id_t partition)
{
    if (record->state != FRAME_SHARED || record->partition != partition)
        return refuse(record, record->state == FRAME_SHARED || record->state == FRAME_PARENT);
    if (--record->maps == 0)
        *record = (struct frame_record){FRAME_PARENT, PARTITION_PARENT, 0};
    return HV_STATUS_SUCCESS;
}

/* Applies a change to count frames from first, a multiple of count, or to none of them. */
static enum hv_status frames_change(struct frame_table *table, frame_t first, frame_t count,
                                    partition_id_t partition, frame_change *change)
{
    if (first % count != 0)
        return HV_STATUS_INVALID_ALIGNMENT;
    if (!frame_is_child(partition))
        return HV_STATUS_INVALID_PARTITION_ID;
    if (first >= table->count || count > table->count - first)
        return HV_STATUS_INVALID_PARAMETER;
    struct frame_table_locked locked = table_lock(table);
    enum hv_status status = HV_STATUS_SUCCESS;

    for (frame_t frame = first; frame < first + count && status == HV_STATUS_SUCCESS; frame++) {
        struct frame_record trial = frame_lookup(table, frame);

        status = change(&trial, partition);
    }
    for (frame_t frame = first; frame < first + count && status == HV_STATUS_SUCCESS; frame++) {
        struct frame_record record = frame_lookup(table, frame);

        status = change(&record, partition);
        record_write(locked, frame, record);
    }
    table_unlock(locked);
    return status;
}

enum hv_status frame_deposit(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frame_move(table, frame, partition, FRAME_PARENT, FRAME_DEPOSITED);
}

enum hv_status frame_withdraw(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frame_move(table, frame, partition, FRAME_DEPOSITED, FRAME_PARENT);
}

enum hv_status frame_pool_enter(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frame_move(table, frame, partition, FRAME_DEPOSITED, FRAME_POOL_FREE);
}

enum hv_status frame_pool_leave(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frame_move(table, frame, partition, FRAME_POOL_FREE, FRAME_DEPOSITED);
}

enum hv_status frame_pool_take(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frame_move(table, frame, partition, FRAME_POOL_FREE, FRAME_POOL_USED);
}

enum hv_status frame_pool_return(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frame_move(table, frame, partition, FRAME_POOL_USED, FRAME_POOL_FREE);
}

enum hv_status frame_share(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frames_change(table, frame, 1, partition, change_share);
}

enum hv_status frame_unshare(struct frame_table *table, frame_t frame, partition_id_t partition)
{
    return frames_change(table, frame, 1, partition, change_unshare);
}

enum hv_status frame_share_2m(struct frame_table *table, frame_t first, partition_id_t partition)
{
    return frames_change(table, first, FRAMES_PER_2M, partition, change_share);
}

enum hv_status frame_unshare_2m(struct frame_table *table, frame_t first, partition_id_t partition)
{
    return frames_change(table, first, FRAMES_PER_2M, partition, change_unshare);
}
