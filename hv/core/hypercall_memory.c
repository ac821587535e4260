/* SPDX-License-Identifier: MIT */
/*
 * Memory of child partitions: what the parent deposits and takes back, and
 * what it shares. Each call changes tables for as long as its time allows, then
 * makes all LPs forget once, then settles who owns the frames.
 */
#include "hv/abi/partition.h"
#include "hv/arch.h"
#include "hv/core/hypercall.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define MAP_ACCESS \
    (HV_MAP_READABLE | HV_MAP_WRITABLE | HV_MAP_KERNEL_EXECUTABLE | HV_MAP_USER_EXECUTABLE)
#define MAP_FLAGS (MAP_ACCESS | HV_MAP_ADJUSTABLE | HV_MAP_LARGE)
#define ACCESS_FLAGS                                                                         \
    (HV_GPA_ACCESS_CLEAR_ACCESSED | HV_GPA_ACCESS_SET_ACCESSED | HV_GPA_ACCESS_CLEAR_DIRTY | \
     HV_GPA_ACCESS_SET_DIRTY)
#define FRAME_BITS (NESTED_GPA_BITS - PAGE_SHIFT)

_Static_assert(HV_UNMAP_GPA_PAGES_MAX * sizeof(frame_t) <= PAGE_SIZE, "frames fit the output page");

/* ---- deposits ---- */

static enum hv_status change_parent(struct partition *parent, frame_t frame, bool map)
{
    struct nested_change change;
    const gpa_t gpa = gpa_make(frame << PAGE_SHIFT);
    spinlock_acquire(&parent->memory_lock);
    const enum hv_status status =
        map ? nested_prepare_map(&parent->nested, gpa, frame_spa(frame), SIZE_4K,
                                 NESTED_WRITE | NESTED_EXECUTE, &change)
            : nested_prepare_unmap(&parent->nested, gpa, SIZE_4K, &change);
    if (status == HV_STATUS_SUCCESS) {
        nested_commit(&change);
        nested_finish(&change);
    }
    spinlock_release(&parent->memory_lock);
    return status == HV_STATUS_SUCCESS ? status : HV_STATUS_NO_RESOURCES;
}

static enum hv_status take_frame(struct partition *parent, struct partition *child, frame_t frame)
{
    enum hv_status status = frame_deposit(parent->frames, frame, child->id);
    if (status != HV_STATUS_SUCCESS)
        return status;
    status = change_parent(parent, frame, false);
    if (status != HV_STATUS_SUCCESS)
        frame_withdraw(parent->frames, frame, child->id);
    return status;
}

enum hv_status hypercall_deposit_memory(struct hypercall *call)
{
    struct partition *parent = call->vp->partition;
    const uint64_t *frames = call->rep_input;
    const uint32_t first = call->done;
    struct partition *child = call->target;
    enum hv_status status = HV_STATUS_SUCCESS;
    for (; status == HV_STATUS_SUCCESS && hypercall_next(call); call->done++) {
        status = take_frame(parent, child, frames[call->done]);
        if (status != HV_STATUS_SUCCESS)
            break;
    }
    if (call->done > first)
        arch_flush_partition(parent);
    for (uint32_t i = first; i < call->done; i++)
        pool_add(&child->pool, frames[i]);
    return status;
}

/* The tables that deposits split are joined again: they are the hypervisor's own memory. */
static void join_parent(struct partition *parent, gpa_t gpa)
{
    bool joined = true;
    for (uint64_t size = SIZE_2M; joined && size <= SIZE_1G; size *= SIZE_1G / SIZE_2M) {
        struct nested_change change;
        spinlock_acquire(&parent->memory_lock);
        joined = nested_prepare_join(&parent->nested, gpa, size, &change);
        if (joined)
            nested_commit(&change);
        spinlock_release(&parent->memory_lock);
        if (joined)
            partition_finish_change(parent, &change);
    }
}

static enum hv_status return_frame(struct partition *parent, struct partition *child,
                                   frame_t *frame)
{
    if (!pool_withdraw(&child->pool, frame))
        return HV_STATUS_NO_RESOURCES;
    enum hv_status status = frame_withdraw(parent->frames, *frame, child->id);
    if (status == HV_STATUS_SUCCESS)
        status = change_parent(parent, *frame, true);
    if (status == HV_STATUS_SUCCESS)
        join_parent(parent, gpa_make(*frame << PAGE_SHIFT));
    return status;
}

enum hv_status hypercall_withdraw_memory(struct hypercall *call)
{
    uint64_t *frames = call->output;
    struct partition *child = call->target;
    enum hv_status status = HV_STATUS_SUCCESS;
    while (hypercall_next(call)) {
        status = return_frame(call->vp->partition, child, &frames[call->done]);
        if (status != HV_STATUS_SUCCESS)
            break;
        call->done++;
    }
    return status;
}

/* ---- shared memory ---- */

static bool fits(uint64_t base, uint32_t reps, uint64_t step)
{
    return base < 1ull << FRAME_BITS && reps * step <= (1ull << FRAME_BITS) - base;
}

static uint32_t access_of(uint32_t flags)
{
    uint32_t access = flags & HV_MAP_WRITABLE ? NESTED_WRITE : 0;
    if (flags & (HV_MAP_KERNEL_EXECUTABLE | HV_MAP_USER_EXECUTABLE))
        access |= NESTED_EXECUTE;
    return access;
}

static enum hv_status check_range(const struct partition *child, uint64_t base, uint32_t reps,
                                  uint64_t step)
{
    if (child->state != PARTITION_ACTIVE)
        return HV_STATUS_INVALID_PARTITION_STATE;
    return fits(base, reps, step) ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

enum hv_status hypercall_map_gpa_pages(struct hypercall *call)
{
    const struct hv_input_map_gpa_pages *input = call->input;
    const uint64_t *source = call->rep_input;
    const bool large = input->flags & HV_MAP_LARGE;
    const uint64_t step = large ? HV_LARGE_PAGE_FRAMES : 1;
    if ((input->flags & ~MAP_FLAGS) || !(input->flags & HV_MAP_READABLE))
        return HV_STATUS_INVALID_PARAMETER;
    struct partition *child = call->target;
    enum hv_status status = check_range(child, input->target_base, call->reps, step);
    while (status == HV_STATUS_SUCCESS && hypercall_next(call)) {
        const uint64_t target = input->target_base + call->done * step;
        status = partition_map(child, gpa_make(target << PAGE_SHIFT), source[call->done], large,
                               access_of(input->flags));
        if (status == HV_STATUS_SUCCESS)
            call->done++;
    }
    return status;
}

enum hv_status hypercall_unmap_gpa_pages(struct hypercall *call)
{
    const struct hv_input_unmap_gpa_pages *input = call->input;
    frame_t *frames = call->output; /* this call has no output: the page is free for use */
    const bool large = input->flags & HV_MAP_LARGE;
    const uint64_t step = large ? HV_LARGE_PAGE_FRAMES : 1;
    uint32_t count = 0;
    if (input->flags & ~HV_MAP_LARGE)
        return HV_STATUS_INVALID_PARAMETER;
    struct partition *child = call->target;
    enum hv_status status = check_range(child, input->target_base, call->reps, step);
    while (status == HV_STATUS_SUCCESS && count < HV_UNMAP_GPA_PAGES_MAX && hypercall_next(call)) {
        const uint64_t target = input->target_base + call->done * step;
        status = partition_unmap(child, gpa_make(target << PAGE_SHIFT), large, &frames[count]);
        if (status == HV_STATUS_SUCCESS) {
            call->done++;
            count++;
        }
    }
    if (count > 0)
        arch_flush_partition(child);
    for (uint32_t i = 0; i < count; i++)
        partition_unshare(child, frames[i], large);
    return status;
}

/* ---- accessed and dirty bits ---- */

/* They are told for 4 KiB: a larger page is split first, by a change that is not committed. */
static enum hv_status harvest(struct partition *child, gpa_t gpa, uint32_t clear, uint32_t set,
                              uint8_t *state)
{
    struct nested_change split;
    spinlock_acquire(&child->memory_lock);
    const enum hv_status status = nested_prepare_unmap(&child->nested, gpa, SIZE_4K, &split);
    if (status == HV_STATUS_SUCCESS) {
        const uint32_t use = nested_harvest(&child->nested, gpa, clear, set);
        *state = (uint8_t)((use & NESTED_ACCESSED ? HV_GPA_ACCESSED : 0) |
                           (use & NESTED_DIRTY ? HV_GPA_DIRTY : 0));
    }
    spinlock_release(&child->memory_lock);
    return status;
}

/*
 * After the flush a write sets the bit anew. Until then one may go unseen, but the caller looks at
 * the page only after the call. The flush also sets the bits of pages that the hypervisor writes.
 */
enum hv_status hypercall_get_gpa_access(struct hypercall *call)
{
    const struct hv_input_get_gpa_access *input = call->input;
    uint8_t *states = call->output;
    const uint32_t clear = (input->flags & HV_GPA_ACCESS_CLEAR_ACCESSED ? NESTED_ACCESSED : 0) |
                           (input->flags & HV_GPA_ACCESS_CLEAR_DIRTY ? NESTED_DIRTY : 0);
    const uint32_t set = (input->flags & HV_GPA_ACCESS_SET_ACCESSED ? NESTED_ACCESSED : 0) |
                         (input->flags & HV_GPA_ACCESS_SET_DIRTY ? NESTED_DIRTY : 0);
    if (input->flags & ~ACCESS_FLAGS)
        return HV_STATUS_INVALID_PARAMETER;
    struct partition *child = call->target;
    enum hv_status status = check_range(child, input->base, call->reps, 1);
    if (status == HV_STATUS_SUCCESS && !child->tracks_access)
        status = HV_STATUS_OPERATION_DENIED;
    while (status == HV_STATUS_SUCCESS && hypercall_next(call)) {
        const gpa_t gpa = gpa_make((input->base + call->done) << PAGE_SHIFT);
        status = harvest(child, gpa, clear, set, &states[call->done]);
        if (status == HV_STATUS_SUCCESS)
            call->done++;
    }
    if (clear != 0)
        arch_flush_partition(child);
    return status;
}
