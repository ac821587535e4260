/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own memory: its page tables, its page pool, the frame table.
 *
 * The pool is one contiguous piece of RAM taken at boot and mapped at
 * HV_POOL_BASE. It begins with the frame table; the rest is handed out page by
 * page. It is the source of the parent's nested tables; children's come from
 * what is deposited for them.
 *
 * Locks: the page list's, a leaf.
 */
#ifndef HV_X86_MEMORY_H
#define HV_X86_MEMORY_H

#include "hv/core/frame.h"
#include "hv/core/nested.h"
#include "hv/x86/boot/ranges.h"

struct memory_region {
    uint64_t base;
    uint64_t size;
};

/* The image's writable part, the boot stack in it (bulkhead.ld). */
extern const char image_rodata_end[], image_end[];

extern struct frame_table memory_frames;
extern struct memory_region memory_image; /* where the hypervisor's image lies */
extern struct memory_region memory_pool;
extern struct nested_source memory_boot_source; /* pages of the pool, for the parent's tables */

/*
 * Chooses the pool, fills the frame table, switches to the final page tables
 * (this LP) and keeps the boot map of the first 4 GiB until memory_drop_boot_map.
 * `ranges` is the whole machine's map; on return the hypervisor's memory, and what
 * `parent_memory` (bytes, 0 = no limit) keeps from the parent, are reserved in it.
 * The boot modules are left alone.
 */
void memory_init(struct ranges *ranges, const struct boot_info *boot, uint64_t parent_memory,
                 uint32_t lps);

/* Takes the boot map out of the page tables; each LP must load them anew after it. */
void memory_drop_boot_map(void);
void memory_load_tables(void);

/* A zeroed page of the pool; NULL when it is used up. */
void *page_alloc(void);
void page_free(void *page);
/* Boot only: neighbouring zeroed pages; refuses the machine when there are none. */
void *memory_alloc_pages(unsigned count);

/* For pages of the pool and of the image. */
spa_t memory_spa(const void *address);

/* Boot only: a new stack with an unmapped page below it; the address of its upper end. */
void *memory_alloc_stack(void);

/* Pages of a partition's pool in a slot of HV_OBJECT_BASE. Unmapping returns the page; before it is
 * used for something else, every LP must invalidate the address. */
void memory_map_object(uint64_t address, spa_t page);
spa_t memory_unmap_object(uint64_t address);
spa_t memory_object_spa(uint64_t address);

/* Maps a device's registers, uncached. Boot only. */
void *memory_map_device(spa_t page);

#endif
