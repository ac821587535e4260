// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hv/abi/partition.h"
#include "parent/driver/deposit.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/memory.h"

#define FRAMES_MAX (1ull << 40) /* of a guest's address space: 52 bits */

struct region {
    struct list_head list;
    u64 base; /* guest frame */
    u64 frames;
    u64 mapped; /* frames from the first on that the child has */
    u32 map_flags;
    bool large; /* 2 MiB pages are allowed */
    struct page **pages;
};

struct map_input {
    struct hv_input_map_gpa_pages head;
    u64 source[HV_MAP_GPA_PAGES_MAX];
};

/* --- pieces ------------------------------------------------------------------------------- */

static bool is_large_run(const struct region *region, u64 at)
{
    unsigned long first = page_to_pfn(region->pages[at]);
    unsigned i;

    if (!region->large || (region->base + at) % HV_LARGE_PAGE_FRAMES ||
        first % HV_LARGE_PAGE_FRAMES || region->frames - at < HV_LARGE_PAGE_FRAMES)
        return false;
    for (i = 1; i < HV_LARGE_PAGE_FRAMES; i++)
        if (page_to_pfn(region->pages[at + i]) != first + i)
            return false;
    return true;
}

/* How many units (frames, or runs of 512) of one kind begin at `at`, up to `max`. */
static u16 count_units(const struct region *region, u64 at, bool large, u16 max)
{
    u64 step = large ? HV_LARGE_PAGE_FRAMES : 1;
    u16 count = 0;

    while (count < max && at < region->frames && is_large_run(region, at) == large) {
        count++;
        at += step;
    }
    return count;
}

/* --- mapping ------------------------------------------------------------------------------ */

/* Maps some units from region->mapped on. 0 or a negative errno. */
static int map_some(u64 partition_id, struct region *region, struct map_input *input)
{
    u64 at = region->mapped;
    bool large = is_large_run(region, at);
    u64 step = large ? HV_LARGE_PAGE_FRAMES : 1;
    u16 count = count_units(region, at, large, HV_MAP_GPA_PAGES_MAX);
    struct bh_rep_call call = {
        .code = HVCALL_MAP_GPA_PAGES,
        .count = count,
        .in = input,
        .in_size = sizeof(input->head) + count * sizeof(input->source[0]),
    };
    u16 status;
    u16 done;
    u16 i;

    input->head = (struct hv_input_map_gpa_pages){
        .partition_id = partition_id,
        .target_base = region->base + at,
        .flags = region->map_flags | (large ? HV_MAP_LARGE : 0),
    };
    for (i = 0; i < count; i++)
        input->source[i] = page_to_pfn(region->pages[at + i * step]);
    status = bh_hypercall_rep(&call, &done);
    region->mapped += done * step;
    if (status == HV_STATUS_INSUFFICIENT_MEMORY)
        return bh_deposit(partition_id, BH_DEPOSIT_MAP);
    return bh_status_to_errno(status);
}

static int map_region(u64 partition_id, struct region *region)
{
    struct map_input *input = kmalloc(sizeof(*input), GFP_KERNEL);
    int err = 0;

    if (!input)
        return -ENOMEM;
    while (!err && region->mapped < region->frames) {
        err = map_some(partition_id, region, input);
        if (!err && fatal_signal_pending(current))
            err = -EINTR;
        cond_resched();
    }
    kfree(input);
    return err;
}

/* Takes the region out of the child. The frames must not be freed when this fails. */
static int unmap_region(u64 partition_id, struct region *region)
{
    u64 at = 0;

    while (at < region->mapped) {
        bool large = is_large_run(region, at);
        struct hv_input_unmap_gpa_pages input = {
            .partition_id = partition_id,
            .target_base = region->base + at,
            .flags = large ? HV_MAP_LARGE : 0,
        };
        u64 left = (region->mapped - at) / (large ? HV_LARGE_PAGE_FRAMES : 1);
        struct bh_rep_call call = {
            .code = HVCALL_UNMAP_GPA_PAGES,
            .count = count_units(region, at, large, min_t(u64, left, HV_UNMAP_GPA_PAGES_MAX)),
            .in = &input,
            .in_size = sizeof(input),
        };
        u16 done;
        u16 status = bh_hypercall_rep(&call, &done);

        if (status != HV_STATUS_SUCCESS)
            return bh_status_to_errno(status);
        at += call.count * (large ? HV_LARGE_PAGE_FRAMES : 1ull);
        cond_resched();
    }
    region->mapped = 0;
    return 0;
}

/* --- regions ------------------------------------------------------------------------------ */

#define PIN_AT_ONCE 4096u /* then others may run */

static void free_region(struct region *region)
{
    kvfree(region->pages);
    kfree(region);
}

static int pin_region(struct region *region, u64 user)
{
    u64 pinned = 0;

    while (pinned < region->frames) {
        int want = (int)min_t(u64, region->frames - pinned, PIN_AT_ONCE);
        int got = pin_user_pages_fast(user + pinned * PAGE_SIZE, want, FOLL_WRITE | FOLL_LONGTERM,
                                      region->pages + pinned);

        if (got <= 0) {
            unpin_user_pages(region->pages, pinned);
            return got < 0 ? got : -EFAULT;
        }
        pinned += (u64)got;
        cond_resched();
    }
    return 0;
}

static void unpin_region(struct region *region)
{
    u64 at;

    for (at = 0; at < region->frames; at += PIN_AT_ONCE) {
        unpin_user_pages_dirty_lock(region->pages + at,
                                    min_t(u64, region->frames - at, PIN_AT_ONCE), true);
        cond_resched();
    }
}

/* Out of the child, unpinned, freed. Memory that the child keeps is leaked, and said so. */
static int remove_region(struct bh_partition *partition, struct region *region)
{
    int err = unmap_region(partition->id, region);

    if (err) {
        pr_err("partition %llu keeps %llu pages at frame 0x%llx (error %d); they are lost until "
               "the next boot\n",
               partition->id, region->frames, region->base, err);
        return err;
    }
    unpin_region(region);
    list_del(&region->list);
    free_region(region);
    return 0;
}

static struct region *find_overlap(struct bh_partition *partition, u64 base, u64 frames)
{
    struct region *region;

    list_for_each_entry(region, &partition->regions, list)
        if (base < region->base + region->frames && region->base < base + frames)
            return region;
    return NULL;
}

static struct region *create_region(struct bh_partition *partition,
                                    const struct mshv_user_mem_region *args, u64 frames)
{
    struct region *region = kzalloc(sizeof(*region), GFP_KERNEL);

    if (!region)
        return NULL;
    region->base = args->guest_pfn;
    region->frames = frames;
    region->large = partition->pt_flags & BIT_ULL(MSHV_PT_BIT_GPA_SUPER_PAGES);
    region->map_flags = HV_MAP_READABLE | HV_MAP_ADJUSTABLE;
    if (args->flags & BIT(MSHV_SET_MEM_BIT_WRITABLE))
        region->map_flags |= HV_MAP_WRITABLE;
    if (args->flags & BIT(MSHV_SET_MEM_BIT_EXECUTABLE))
        region->map_flags |= HV_MAP_KERNEL_EXECUTABLE | HV_MAP_USER_EXECUTABLE;
    region->pages = kvmalloc_array(frames, sizeof(*region->pages), GFP_KERNEL_ACCOUNT);
    if (region->pages)
        return region;
    kfree(region);
    return NULL;
}

static int add_region(struct bh_partition *partition, const struct mshv_user_mem_region *args,
                      u64 frames)
{
    struct region *region;
    int err;

    if (find_overlap(partition, args->guest_pfn, frames))
        return -EEXIST;
    region = create_region(partition, args, frames);
    if (!region)
        return -ENOMEM;
    err = pin_region(region, args->userspace_addr);
    if (err) {
        free_region(region);
        return err;
    }
    list_add(&region->list, &partition->regions);
    err = map_region(partition->id, region);
    if (err)
        (void)remove_region(partition, region);
    return err;
}

static int remove_exact(struct bh_partition *partition, u64 base, u64 frames)
{
    struct region *region = find_overlap(partition, base, frames);

    if (!region || region->base != base || region->frames != frames)
        return -EINVAL;
    return remove_region(partition, region);
}

int bh_memory_set(struct bh_partition *partition, const struct mshv_user_mem_region *args)
{
    u64 frames = args->size >> PAGE_SHIFT;

    if (!args->size || !PAGE_ALIGNED(args->size) || args->flags & ~MSHV_SET_MEM_FLAGS_MASK ||
        memchr_inv(args->rsvd, 0, sizeof(args->rsvd)) || args->guest_pfn >= FRAMES_MAX ||
        frames > FRAMES_MAX - args->guest_pfn)
        return -EINVAL;
    if (args->flags & BIT(MSHV_SET_MEM_BIT_UNMAP))
        return remove_exact(partition, args->guest_pfn, frames);
    if (!PAGE_ALIGNED(args->userspace_addr) ||
        !access_ok((const void __user *)args->userspace_addr, args->size))
        return -EINVAL;
    return add_region(partition, args, frames);
}

void bh_memory_release(struct bh_partition *partition)
{
    struct region *region;
    struct region *next;

    list_for_each_entry_safe(region, next, &partition->regions, list)
        (void)remove_region(partition, region);
}

/* --- accessed and dirty bits -------------------------------------------------------------- */

#define STATES_A_CALL 2048u /* one byte each; a whole number of bytes of bitmap */

static u64 access_flags(const struct mshv_gpap_access_bitmap *args)
{
    bool dirty = args->access_type == MSHV_GPAP_ACCESS_TYPE_DIRTY;

    switch (args->access_op) {
    case MSHV_GPAP_ACCESS_OP_CLEAR:
        return dirty ? HV_GPA_ACCESS_CLEAR_DIRTY : HV_GPA_ACCESS_CLEAR_ACCESSED;
    case MSHV_GPAP_ACCESS_OP_SET:
        return dirty ? HV_GPA_ACCESS_SET_DIRTY : HV_GPA_ACCESS_SET_ACCESSED;
    default:
        return 0;
    }
}

/* One piece of the bitmap; *done is the frames it covers. */
static int bitmap_piece(struct bh_partition *partition, const struct mshv_gpap_access_bitmap *args,
                        u64 at, u8 *states, u16 *done)
{
    struct hv_input_get_gpa_access input = {
        .partition_id = partition->id,
        .flags = access_flags(args),
        .base = args->gpap_base + at,
    };
    struct bh_rep_call call = {
        .code = HVCALL_GET_GPA_PAGES_ACCESS_STATES,
        .count = (u16)min_t(u64, args->page_count - at, STATES_A_CALL),
        .in = &input,
        .in_size = sizeof(input),
        .out = states,
        .out_element = 1,
    };
    u8 wanted = args->access_type == MSHV_GPAP_ACCESS_TYPE_DIRTY ? HV_GPA_DIRTY : HV_GPA_ACCESSED;
    u8 bitmap[STATES_A_CALL / 8] = {0};
    u16 wanted_count = call.count;
    u16 status;
    u16 some;
    u16 i;
    int err = 0;

    /* Large pages are split for it, which may take tables. */
    *done = 0;
    do {
        input.base = args->gpap_base + at + *done;
        call.count = wanted_count - *done;
        call.out = states + *done;
        status = bh_hypercall_rep(&call, &some);
        *done += some;
        if (status == HV_STATUS_INSUFFICIENT_MEMORY)
            err = bh_deposit(partition->id, BH_DEPOSIT_MAP);
    } while (status == HV_STATUS_INSUFFICIENT_MEMORY && !err);
    for (i = 0; i < *done; i++)
        if (states[i] & wanted)
            bitmap[i / 8] |= (u8)(1u << i % 8);
    if (copy_to_user(u64_to_user_ptr(args->bitmap_ptr + at / 8), bitmap, DIV_ROUND_UP(*done, 8)))
        return -EFAULT;
    return bh_status_to_errno(status);
}

int bh_memory_access_bitmap(struct bh_partition *partition, struct mshv_gpap_access_bitmap *args)
{
    u8 *states;
    u64 at = 0;
    int err = 0;

    if (args->access_type >= MSHV_GPAP_ACCESS_TYPE_COUNT ||
        args->access_op >= MSHV_GPAP_ACCESS_OP_COUNT ||
        memchr_inv(args->rsvd, 0, sizeof(args->rsvd)) || !args->bitmap_ptr ||
        args->gpap_base >= FRAMES_MAX || args->page_count > FRAMES_MAX - args->gpap_base)
        return -EINVAL;
    states = kmalloc(STATES_A_CALL, GFP_KERNEL);
    if (!states)
        return -ENOMEM;
    while (!err && at < args->page_count) {
        u16 done;

        err = bitmap_piece(partition, args, at, states, &done);
        at += done;
        if (!err && fatal_signal_pending(current))
            err = -EINTR;
        cond_resched();
    }
    args->page_count = at;
    kfree(states);
    return err;
}
