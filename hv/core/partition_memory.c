/* SPDX-License-Identifier: MIT */
/*
 * Memory of a child: pages of the parent that both map. The frame table says
 * who may have what and is asked before the nested tables change; a frame leaves
 * the table's account only after no processor can reach it any more.
 */
#include "hv/core/partition.h"

#include "hv/arch.h"
#include "hv/core/cpuid_override.h"

#define RELEASE_TABLES 8u /* at a time */

static enum hv_status share(struct partition *partition, frame_t frame, bool large)
{
    return large ? frame_share_2m(partition->frames, frame, partition->id)
                 : frame_share(partition->frames, frame, partition->id);
}

void partition_unshare(struct partition *partition, frame_t frame, bool large)
{
    if (large)
        frame_unshare_2m(partition->frames, frame, partition->id);
    else
        frame_unshare(partition->frames, frame, partition->id);
    partition->frames_mapped -= large ? FRAMES_PER_2M : 1;
}

static bool is_free(struct partition *partition, gpa_t gpa, uint64_t size)
{
    struct nested_leaf leaf;
    for (uint64_t at = gpa.raw; at < gpa.raw + size; at = leaf.gpa.raw + leaf.size)
        if (nested_lookup(&partition->nested, gpa_make(at), &leaf))
            return false;
    return true;
}

static enum hv_status map_locked(struct partition *partition, gpa_t gpa, frame_t frame, bool large,
                                 uint32_t flags, struct nested_change *change)
{
    const uint64_t size = large ? SIZE_2M : SIZE_4K;
    if (!is_free(partition, gpa, size))
        return HV_STATUS_OPERATION_DENIED;
    const enum hv_status status =
        nested_prepare_map(&partition->nested, gpa, frame_spa(frame), size, flags, change);
    if (status == HV_STATUS_SUCCESS)
        nested_commit(change);
    return status;
}

void partition_finish_change(struct partition *partition, struct nested_change *change)
{
    if (change->retired.raw != 0)
        arch_flush_partition(partition);
    spinlock_acquire(&partition->memory_lock);
    nested_finish(change);
    spinlock_release(&partition->memory_lock);
}

enum hv_status partition_map(struct partition *partition, gpa_t gpa, frame_t frame, bool large,
                             uint32_t flags)
{
    enum hv_status status = share(partition, frame, large);
    if (status != HV_STATUS_SUCCESS)
        return status;
    partition->frames_mapped += large ? FRAMES_PER_2M : 1;
    spinlock_acquire(&partition->memory_lock);
    struct nested_change change;
    status = map_locked(partition, gpa, frame, large, flags, &change);
    spinlock_release(&partition->memory_lock);
    if (status == HV_STATUS_SUCCESS)
        partition_finish_change(partition, &change);
    else
        partition_unshare(partition, frame, large);
    return status;
}

/* Is it all there, as it was mapped? A large page may have been split since. */
static bool is_whole(const struct partition *partition, gpa_t gpa, bool large, frame_t first)
{
    struct nested_leaf leaf;
    for (uint64_t i = 0; large && i < FRAMES_PER_2M; i += leaf.size >> PAGE_SHIFT)
        if (!nested_lookup(&partition->nested, gpa_make(gpa.raw + (i << PAGE_SHIFT)), &leaf) ||
            spa_frame(leaf.spa) != first + i)
            return false;
    return !large || first % FRAMES_PER_2M == 0;
}

static enum hv_status unmap_locked(struct partition *partition, gpa_t gpa, bool large,
                                   frame_t *frame, struct nested_change *change)
{
    struct nested_leaf leaf;
    const uint64_t size = large ? SIZE_2M : SIZE_4K;
    const enum hv_status status = nested_prepare_unmap(&partition->nested, gpa, size, change);
    if (status != HV_STATUS_SUCCESS)
        return status;
    if (!nested_lookup(&partition->nested, gpa, &leaf) ||
        !is_whole(partition, gpa, large, spa_frame(leaf.spa)))
        return HV_STATUS_INVALID_PARAMETER;
    *frame = spa_frame(leaf.spa);
    nested_commit(change);
    return HV_STATUS_SUCCESS;
}

enum hv_status partition_unmap(struct partition *partition, gpa_t gpa, bool large, frame_t *frame)
{
    struct nested_change change;
    spinlock_acquire(&partition->memory_lock);
    const enum hv_status status = unmap_locked(partition, gpa, large, frame, &change);
    spinlock_release(&partition->memory_lock);
    if (status == HV_STATUS_SUCCESS)
        partition_finish_change(partition, &change);
    return status;
}

/* The page or the hole at the cursor, settled with the frame table. No VP runs any more. */
static void release_next(struct partition *partition)
{
    struct nested_leaf leaf;
    if (nested_lookup(&partition->nested, partition->release_cursor, &leaf))
        partition_unshare(partition, spa_frame(leaf.base), leaf.size == SIZE_2M);
    partition->release_cursor = gpa_make(leaf.gpa.raw + leaf.size);
}

bool partition_release_memory(struct partition *partition, reftime_t until)
{
    if (partition->nested.root.raw == 0)
        return true;
    cpuid_override_drop(partition);
    do {
        if (partition->release_cursor.raw < 1ull << NESTED_GPA_BITS)
            release_next(partition);
        else if (nested_destroy(&partition->nested, RELEASE_TABLES))
            return true;
    } while (arch_time_now() < until);
    return false;
}
