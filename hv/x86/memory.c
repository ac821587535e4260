/* SPDX-License-Identifier: MIT */
/* Own page tables (W^X, 4 KiB for the image, 2 MiB for the pool), page pool, windows. */
#include "hv/x86/memory.h"

#include "hv/abi/bulkhead.h"
#include "hv/arch.h"
#include "hv/core/lib.h"
#include "hv/core/log.h"
#include "hv/x86/layout.h"
#include "hv/x86/lp.h"
#include "hv/x86/panic.h"

#define PTE_PRESENT  (1ull << 0)
#define PTE_WRITE    (1ull << 1)
#define PTE_UNCACHED (3ull << 3) /* PCD and PWT */
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY    (1ull << 6)
#define PTE_LARGE    (1ull << 7)
#define PTE_NO_EXEC  (1ull << 63)
#define PTE_ADDRESS  0x000ffffffffff000ull
#define PTE_TABLE    (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)
#define PTE_DATA     (PTE_PRESENT | PTE_WRITE | PTE_NO_EXEC | PTE_ACCESSED | PTE_DIRTY)

#define OBJECT_SIZE  ((uint64_t)HV_OBJECT_SLOT * HV_OBJECT_SLOTS)
#define BOOT_MAP_END 0x100000000ull
#define POOL_FIXED   (SIZE_2M / 2)
#define POOL_PER_LP  0x1c000ull /* stacks, save areas, VP: 25 pages */

extern char image_load_start[], image_load_end[], boot_stack_guard[];
extern char image_text_start[], image_text_end[];

struct frame_table memory_frames;
struct memory_region memory_image, memory_pool;

static uint64_t *root_table;
static uint64_t *window_table; /* the page table of the windows of all LPs */

static struct {
    struct spinlock lock;
    void *first; /* free pages, linked through their first word */
    uint64_t free, total;
} page_list;

/* ---- pages ---- */

static void *pool_address(uint64_t spa)
{
    return (void *)(HV_POOL_BASE + spa);
}

spa_t memory_spa(const void *address)
{
    const uint64_t raw = (uint64_t)address;
    return spa_make(raw >= HV_IMAGE_BASE ? raw - HV_IMAGE_BASE : raw - HV_POOL_BASE);
}

void *page_alloc(void)
{
    spinlock_acquire(&page_list.lock);
    void *page = page_list.first;
    if (page != NULL) {
        page_list.first = *(void **)page;
        page_list.free--;
    }
    spinlock_release(&page_list.lock);
    if (page != NULL)
        memset(page, 0, PAGE_SIZE);
    return page;
}

void page_free(void *page)
{
    spinlock_acquire(&page_list.lock);
    *(void **)page = page_list.first;
    page_list.first = page;
    page_list.free++;
    spinlock_release(&page_list.lock);
}

/* The list was filled from the pool's end, so that until pages come back it gives neighbours. */
void *memory_alloc_pages(unsigned count)
{
    char *first = page_alloc();
    bool fits = first != NULL;
    for (unsigned i = 1; i < count && fits; i++)
        fits = page_alloc() == first + i * PAGE_SIZE;
    if (!fits)
        refuse("out of memory while starting: the hypervisor's pool is too small");
    return first;
}

void arch_fill_pool_stats(struct bh_hypervisor_stats *stats)
{
    stats->pool_pages_total = page_list.total;
    stats->pool_pages_free = __atomic_load_n(&page_list.free, __ATOMIC_RELAXED);
}

static bool boot_source_take(struct nested_source *source, spa_t *page)
{
    (void)source;
    void *taken = page_alloc();
    if (taken == NULL)
        return false;
    *page = memory_spa(taken);
    return true;
}

static void boot_source_give(struct nested_source *source, spa_t page)
{
    (void)source;
    page_free(pool_address(page.raw));
}

struct nested_source memory_boot_source = {boot_source_take, boot_source_give};

/* ---- page tables ---- */

/* The table below `table` that `address` goes through; level 3 = PML4. */
static uint64_t *next_table(uint64_t *table, unsigned level, uint64_t address)
{
    uint64_t *entry = &table[address >> (12 + 9 * level) & 511];
    if (!(*entry & PTE_PRESENT))
        *entry = memory_spa(memory_alloc_pages(1)).raw | PTE_TABLE;
    return pool_address(*entry & PTE_ADDRESS);
}

static uint64_t *leaf_table(uint64_t address, unsigned leaf_level)
{
    uint64_t *table = root_table;
    for (unsigned level = 3; level > leaf_level; level--)
        table = next_table(table, level, address);
    return table;
}

static void map_4k(uint64_t address, uint64_t spa, uint64_t flags)
{
    leaf_table(address, 0)[address >> 12 & 511] = spa | flags;
}

static void map_2m(uint64_t address, uint64_t spa, uint64_t flags)
{
    leaf_table(address, 1)[address >> 21 & 511] = spa | flags | PTE_LARGE;
}

static void map_image_part(const char *start, const char *end, uint64_t flags)
{
    for (uint64_t at = (uint64_t)start; at < (uint64_t)end; at += PAGE_SIZE)
        if (at != (uint64_t)boot_stack_guard)
            map_4k(at, at - HV_IMAGE_BASE, flags);
}

static void map_all(void)
{
    map_image_part(image_text_start, image_text_end, PTE_PRESENT | PTE_ACCESSED);
    map_image_part(image_text_end, image_rodata_end, PTE_PRESENT | PTE_NO_EXEC | PTE_ACCESSED);
    map_image_part(image_rodata_end, image_end, PTE_DATA);
    for (uint64_t at = 0; at < memory_pool.size; at += SIZE_2M)
        map_2m(HV_POOL_BASE + memory_pool.base + at, memory_pool.base + at, PTE_DATA);
    window_table = leaf_table(HV_WINDOW_BASE, 0);
    for (uint64_t at = 0; at < OBJECT_SIZE; at += SIZE_2M)
        leaf_table(HV_OBJECT_BASE + at, 0);
}

void memory_load_tables(void)
{
    cpu_write_cr3(memory_spa(root_table).raw);
}

void memory_drop_boot_map(void)
{
    __atomic_store_n(&root_table[0], 0, __ATOMIC_RELEASE);
}

void *memory_alloc_stack(void)
{
    static uint64_t next_slot;
    const uint64_t slot = __atomic_fetch_add(&next_slot, 1, __ATOMIC_RELAXED);
    const uint64_t top = HV_STACK_BASE + (slot + 1) * HV_STACK_SLOT;
    for (uint64_t at = top - HV_STACK_SIZE; at < top; at += PAGE_SIZE)
        map_4k(at, memory_spa(memory_alloc_pages(1)).raw, PTE_DATA);
    return (void *)top;
}

void *memory_map_device(spa_t page)
{
    static uint64_t next = HV_DEVICE_BASE;
    const uint64_t address = next;
    next += PAGE_SIZE;
    map_4k(address, page.raw, PTE_DATA | PTE_UNCACHED);
    return (void *)address;
}

/* ---- objects ---- */

void memory_map_object(uint64_t address, spa_t page)
{
    map_4k(address, page.raw, PTE_DATA);
}

spa_t memory_object_spa(uint64_t address)
{
    return spa_make(leaf_table(address, 0)[address >> 12 & 511] & PTE_ADDRESS);
}

spa_t memory_unmap_object(uint64_t address)
{
    const spa_t page = memory_object_spa(address);
    map_4k(address, 0, 0);
    return page;
}

/* ---- windows ---- */

void *arch_window_map(spa_t page)
{
    struct lp *lp = lp_this();
    ASSERT(lp->windows < HV_WINDOW_PAGES);
    const uint64_t slot = lp->index * HV_WINDOW_PAGES + lp->windows++;
    void *address = (void *)(HV_WINDOW_BASE + slot * PAGE_SIZE);
    window_table[slot] = page.raw | PTE_DATA;
    cpu_invalidate_page(address);
    return address;
}

void arch_window_unmap(void *window)
{
    const uint64_t slot = ((uint64_t)window - HV_WINDOW_BASE) / PAGE_SIZE;
    window_table[slot] = 0;
    cpu_invalidate_page(window);
    lp_this()->windows--;
}

/* ---- start ---- */

/*
 * What the pool must hold: frame records; tables to split the parent's large
 * pages (for half of all of them); identity tables (one page for 512 GiB); and a
 * fixed part for each LP and for the start.
 */
static uint64_t pool_size(uint64_t ram_end, uint64_t ram, uint32_t lps)
{
    const uint64_t frame_records = frame_table_size(ram_end >> PAGE_SHIFT);
    const uint64_t split_tables = ram / SIZE_2M / 2 * PAGE_SIZE;
    return ALIGN_UP(frame_records + split_tables + POOL_FIXED + lps * POOL_PER_LP, SIZE_2M);
}

static void choose_pool(struct ranges *ranges, const struct boot_info *boot, uint32_t lps)
{
    struct ranges free = *ranges;
    if (!ranges_reserve_modules(&free, boot) ||
        !ranges_retype(&free, 0, memory_image.base + memory_image.size, BOOT_RANGE_RESERVED))
        refuse("the firmware's memory map has more entries than the hypervisor can hold");
    memory_pool.size = pool_size(ranges_ram_end(ranges), ranges_ram_bytes(ranges), lps);
    if (!ranges_find(&free, RANGES_HIGH, memory_pool.size, SIZE_2M, 0, BOOT_MAP_END,
                     &memory_pool.base))
        refuse("too little memory: no %lu MiB in one piece below 4 GiB for the hypervisor; this "
               "machine has %lu MiB in all",
               memory_pool.size >> 20, ranges_ram_bytes(ranges) >> 20);
}

/* The pool is reached through the boot map until the final tables are loaded. */
static void extend_boot_map_to_pool(void)
{
    extern uint64_t boot_pml4[], boot_pdpt_low[];
    boot_pml4[HV_POOL_BASE >> 39 & 511] = memory_spa(boot_pdpt_low).raw | PTE_TABLE;
}

static void fill_page_list(uint64_t used)
{
    for (uint64_t at = memory_pool.size; at > used; at -= PAGE_SIZE)
        page_free(pool_address(memory_pool.base + at - PAGE_SIZE));
    page_list.total = page_list.free;
}

static void fill_frame_table(const struct ranges *ranges)
{
    for (unsigned i = 0; i < ranges->count; i++) {
        const struct boot_range *range = &ranges->range[i];
        if (range->type == BOOT_RANGE_RAM)
            frame_table_set_range(&memory_frames, range->base >> PAGE_SHIFT,
                                  range->size >> PAGE_SHIFT, FRAME_PARENT, PARTITION_PARENT);
    }
}

static void reserve(struct ranges *ranges, const struct memory_region *region)
{
    if (!ranges_retype(ranges, region->base, region->size, BOOT_RANGE_RESERVED))
        refuse("the firmware's memory map has more entries than the hypervisor can hold");
    frame_table_set_range(&memory_frames, region->base >> PAGE_SHIFT, region->size >> PAGE_SHIFT,
                          FRAME_HYPERVISOR, PARTITION_NONE);
}

/* RAM that was the parent's in the frame table but no longer is in the map becomes nobody's. */
static void limit_parent(struct ranges *ranges, uint64_t parent_memory)
{
    struct ranges all = *ranges;
    if (parent_memory > ranges_ram_bytes(ranges))
        refuse("parent_memory=%luM is more than there is: beside the hypervisor this machine has "
               "%lu MiB",
               parent_memory >> 20, ranges_ram_bytes(ranges) >> 20);
    if (!ranges_limit_ram(ranges, parent_memory, BOOT_RANGE_RESERVED))
        refuse("the firmware's memory map has more entries than the hypervisor can hold");
    for (unsigned i = 0; i < all.count; i++)
        if (all.range[i].type == BOOT_RANGE_RAM)
            frame_table_set_range(&memory_frames, all.range[i].base >> PAGE_SHIFT,
                                  all.range[i].size >> PAGE_SHIFT, FRAME_UNASSIGNED,
                                  PARTITION_NONE);
    fill_frame_table(ranges);
}

void memory_init(struct ranges *ranges, const struct boot_info *boot, uint64_t parent_memory,
                 uint32_t lps)
{
    memory_image.base = (uint64_t)image_load_start;
    memory_image.size = (uint64_t)image_load_end - memory_image.base;
    choose_pool(ranges, boot, lps);
    extend_boot_map_to_pool();

    const frame_t frames = ranges_ram_end(ranges) >> PAGE_SHIFT;
    frame_table_init(&memory_frames, pool_address(memory_pool.base), frames);
    fill_page_list(ALIGN_UP(frame_table_size(frames), PAGE_SIZE));
    fill_frame_table(ranges);
    reserve(ranges, &memory_image);
    reserve(ranges, &memory_pool);
    if (parent_memory != 0)
        limit_parent(ranges, parent_memory);

    extern uint64_t boot_pdpt_low[];
    root_table = memory_alloc_pages(1);
    map_all();
    root_table[0] = memory_spa(boot_pdpt_low).raw | PTE_TABLE;
    memory_load_tables();
}
