/* SPDX-License-Identifier: MIT */
/* Partitions: the table of them, and their memory as the hypervisor reaches it. */
#include "hv/core/partition.h"

#include "hv/abi/partition.h"
#include "hv/arch.h"
#include "hv/core/lib.h"
#include "hv/core/vp.h"

static struct {
    struct spinlock lock;
    uint32_t count;
    struct partition *entry[PARTITION_MAX];
} partitions;

static bool pool_source_take(struct nested_source *source, spa_t *page)
{
    return pool_take(&CONTAINER_OF(source, struct partition, pool_source)->pool, page);
}

static void pool_source_give(struct nested_source *source, spa_t page)
{
    pool_return(&CONTAINER_OF(source, struct partition, pool_source)->pool, page);
}

void partition_init(struct partition *partition, partition_id_t id, struct frame_table *frames)
{
    memset(partition, 0, sizeof *partition);
    partition->id = id;
    partition->frames = frames;
    spinlock_init(&partition->register_lock);
    spinlock_init(&partition->memory_lock);
    spinlock_init(&partition->ports.lock);
    pool_init(&partition->pool, frames, id);
    partition->pool_source = (struct nested_source){pool_source_take, pool_source_give};
    partition->has_apic = partition->has_x2apic = true;
    partition->synthetic_features = ~0ull;
    partition->share = (struct sched_params){.weight = BH_WEIGHT_DEFAULT};
}

void partition_register(struct partition *partition)
{
    partitions.entry[partition->id] = partition;
    __atomic_fetch_add(&partitions.count, 1, __ATOMIC_RELAXED);
}

static partition_id_t free_id(void)
{
    for (partition_id_t id = PARTITION_PARENT + 1; id < PARTITION_MAX; id++)
        if (partitions.entry[id] == NULL)
            return id;
    return PARTITION_NONE;
}

struct partition *partition_create(struct frame_table *frames)
{
    struct partition *partition = arch_alloc_partition();
    if (partition == NULL)
        return NULL;
    spinlock_acquire(&partitions.lock);
    const partition_id_t id = free_id();
    if (id != PARTITION_NONE) {
        partition_init(partition, id, frames);
        partition_register(partition);
    }
    spinlock_release(&partitions.lock);
    if (id == PARTITION_NONE) {
        arch_free_partition(partition);
        return NULL;
    }
    return partition;
}

void partition_delete(struct partition *partition)
{
    spinlock_acquire(&partitions.lock);
    partitions.entry[partition->id] = NULL;
    __atomic_fetch_sub(&partitions.count, 1, __ATOMIC_RELAXED);
    spinlock_release(&partitions.lock);
    arch_free_partition(partition);
}

uint32_t partition_count(void)
{
    return __atomic_load_n(&partitions.count, __ATOMIC_RELAXED);
}

struct partition *partition_acquire(struct partition *caller, uint64_t id, enum hv_status *status)
{
    const uint64_t wanted = id == HV_PARTITION_ID_SELF ? caller->id : id;
    struct partition *partition = NULL;
    *status = HV_STATUS_INVALID_PARTITION_ID;
    if (wanted >= PARTITION_MAX || (wanted != caller->id && !partition_is_parent(caller)))
        return NULL;
    spinlock_acquire(&partitions.lock);
    partition = partitions.entry[wanted];
    if (partition != NULL) {
        *status = HV_STATUS_SUCCESS;
        if (__atomic_exchange_n(&partition->busy, 1, __ATOMIC_ACQUIRE))
            partition = NULL;
    }
    spinlock_release(&partitions.lock);
    return partition;
}

void partition_release(struct partition *partition)
{
    __atomic_store_n(&partition->busy, 0, __ATOMIC_RELEASE);
}

/* ---- VPs ---- */

enum hv_status partition_add_vp(struct partition *partition, uint32_t index)
{
    struct vp *vp;
    if (partition->state != PARTITION_ACTIVE)
        return HV_STATUS_INVALID_PARTITION_STATE;
    if (index >= PARTITION_MAX_VPS || partition->vp[index] != NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    const enum hv_status status = arch_vp_create(partition, index, &vp);
    if (status != HV_STATUS_SUCCESS)
        return status;
    arch_set_time_lag(vp, partition->time_lag);
    __atomic_store_n(&partition->vp[index], vp, __ATOMIC_RELEASE);
    if (index >= partition->vp_count)
        partition->vp_count = index + 1;
    return HV_STATUS_SUCCESS;
}

void partition_destroy_vp(struct partition *partition, uint32_t index)
{
    struct vp *vp = partition->vp[index];
    __atomic_store_n(&partition->vp[index], NULL, __ATOMIC_RELEASE);
    /* From here on no LP finds the VP; after this, none still uses what it found. */
    arch_flush_partition(partition);
    arch_vp_destroy(vp);
}

/* An LP that took the new share can take the old one back: only a larger reserve is refused, and
 * then it is larger on every LP. */
enum hv_status partition_set_share(struct partition *partition, const struct sched_params *share)
{
    enum hv_status status =
        sched_params_are_valid(share) ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
    uint32_t i = 0;
    for (; i < partition->vp_count && status == HV_STATUS_SUCCESS; i++)
        if (partition->vp[i] != NULL)
            status = arch_vp_set_share(partition->vp[i], share);
    if (status == HV_STATUS_SUCCESS) {
        partition->share = *share;
        return status;
    }
    while (i-- > 0)
        if (partition->vp[i] != NULL)
            arch_vp_set_share(partition->vp[i], &partition->share);
    return status;
}

/* ---- time ---- */

reftime_t partition_time(const struct partition *partition)
{
    return (partition->time_frozen_at != 0 ? partition->time_frozen_at : arch_time_now()) -
           partition->time_lag;
}

/* The VPs stop before the clock and go on after it, so that none sees it jump. */
void partition_freeze_time(struct partition *partition, bool freeze)
{
    if (freeze == partition->time_frozen)
        return;
    if (!freeze)
        partition->time_lag = arch_time_now() - partition_time(partition);
    partition->time_frozen_at = 0;
    partition->time_frozen = freeze;
    for (uint32_t i = 0; i < partition->vp_count; i++)
        if (partition->vp[i] != NULL)
            arch_call_on_vp(partition->vp[i], vp_take_time, partition->vp[i]);
    if (freeze)
        partition->time_frozen_at = arch_time_now();
}

/* ---- reaching memory ---- */

/* The parent's addresses are the machine's; who owns the frame decides. */
static bool translate_parent(struct partition *partition, gpa_t gpa, spa_t *page)
{
    const frame_t frame = gpa.raw >> PAGE_SHIFT;
    const enum frame_state state = frame_state(partition->frames, frame);
    if (state != FRAME_PARENT && state != FRAME_SHARED)
        return false;
    *page = frame_spa(frame);
    return true;
}

static bool translate_child(struct partition *partition, gpa_t gpa, bool write, spa_t *page)
{
    struct nested_leaf leaf;
    spinlock_acquire(&partition->memory_lock);
    const bool found = partition->state == PARTITION_ACTIVE &&
                       nested_lookup(&partition->nested, gpa, &leaf) &&
                       (!write || (leaf.flags & NESTED_WRITE));
    if (found && write && !(leaf.flags & NESTED_DIRTY))
        nested_harvest(&partition->nested, gpa, 0, NESTED_ACCESSED | NESTED_DIRTY);
    spinlock_release(&partition->memory_lock);
    if (found)
        *page = spa_make(ALIGN_DOWN(leaf.spa.raw, PAGE_SIZE));
    return found;
}

bool partition_translate(struct partition *partition, gpa_t gpa, bool write, spa_t *page)
{
    return partition_is_parent(partition) ? translate_parent(partition, gpa, page)
                                          : translate_child(partition, gpa, write, page);
}

/* NULL: the range crosses a page, or no memory of the partition is there. */
static char *open_range(struct partition *partition, gpa_t gpa, size_t size, bool write)
{
    spa_t page;
    const bool fits = size <= PAGE_SIZE && (gpa.raw & PAGE_MASK) + size <= PAGE_SIZE;
    return fits && partition_translate(partition, gpa, write, &page) ? arch_window_map(page) : NULL;
}

bool partition_read(struct partition *partition, gpa_t gpa, void *to, size_t size)
{
    char *window = open_range(partition, gpa, size, false);
    if (window == NULL)
        return false;
    memcpy(to, window + (gpa.raw & PAGE_MASK), size);
    arch_window_unmap(window);
    return true;
}

bool partition_write(struct partition *partition, gpa_t gpa, const void *from, size_t size)
{
    char *window = open_range(partition, gpa, size, true);
    if (window == NULL)
        return false;
    memcpy(window + (gpa.raw & PAGE_MASK), from, size);
    arch_window_unmap(window);
    return true;
}
