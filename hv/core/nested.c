/* SPDX-License-Identifier: MIT */
/*
 * Level 1 entries map 4 KiB, level 2 entries 2 MiB, level 3 entries 1 GiB; the
 * root is the one table of level 4 entries.
 */
#include "hv/core/nested.h"

#include "hv/arch.h"

#define LEVELS        4u
#define TABLE_ENTRIES 512u

const struct nested_format nested_format_npt = {
    .present = 1ull << 0,
    .table = 1ull << 0 | 1ull << 1 | 1ull << 2, /* present, writable, user */
    .leaf = 1ull << 0 | 1ull << 2,
    .large = 1ull << 7,
    .write = 1ull << 1,
    .no_execute = 1ull << 63,
    .uncached = 1ull << 3 | 1ull << 4,
    .accessed = 1ull << 5,
    .dirty = 1ull << 6,
    .address = 0x000ffffffffff000ull,
};

static uint64_t level_size(unsigned level)
{
    return SIZE_4K << (9 * (level - 1));
}

static unsigned level_index(gpa_t gpa, unsigned level)
{
    return (unsigned)(gpa.raw / level_size(level)) % TABLE_ENTRIES;
}

static bool entry_is_table(const struct nested_format *format, uint64_t entry, unsigned level)
{
    return level > 1 && (entry & format->present) && !(entry & format->large);
}

static uint64_t entry_read(spa_t table, unsigned index)
{
    uint64_t *entries = arch_window_map(table);
    uint64_t entry = __atomic_load_n(&entries[index], __ATOMIC_RELAXED);

    arch_window_unmap(entries);
    return entry;
}

static uint64_t entry_exchange(spa_t table, unsigned index, uint64_t entry)
{
    uint64_t *entries = arch_window_map(table);
    uint64_t old = __atomic_exchange_n(&entries[index], entry, __ATOMIC_ACQ_REL);

    arch_window_unmap(entries);
    return old;
}

/* Stores entry if *old is there still, else reads *old again. */
static bool entry_replace(spa_t table, unsigned index, uint64_t *old, uint64_t entry)
{
    uint64_t *entries = arch_window_map(table);
    bool replaced = __atomic_compare_exchange_n(&entries[index], old, entry, false,
                                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);

    arch_window_unmap(entries);
    return replaced;
}

static uint64_t entry_of_leaf(const struct nested_format *format, spa_t spa, unsigned level,
                              uint32_t flags)
{
    return spa.raw | format->leaf | (level > 1 ? format->large : 0) |
           (flags & NESTED_WRITE ? format->write : 0) |
           (flags & NESTED_EXECUTE ? format->execute : format->no_execute) |
           (flags & NESTED_UNCACHED ? format->uncached : format->cached);
}

static uint32_t entry_use(const struct nested_format *format, uint64_t entry)
{
    return (entry & format->accessed ? NESTED_ACCESSED : 0) |
           (entry & format->dirty ? NESTED_DIRTY : 0);
}

static uint32_t entry_flags(const struct nested_format *format, uint64_t entry)
{
    uint64_t execute = format->execute | format->no_execute;
    uint64_t caching = format->cached | format->uncached;

    return (entry & format->write ? NESTED_WRITE : 0) |
           ((entry & execute) == format->execute ? NESTED_EXECUTE : 0) |
           ((entry & caching) == format->uncached ? NESTED_UNCACHED : 0) | entry_use(format, entry);
}

static bool table_take(struct nested *nested, spa_t *table)
{
    if (!nested->source->take(nested->source, table))
        return false;
    nested->table_pages++;
    return true;
}

/* Gives back a table and those below it, *budget tables at most; true when all are gone. */
static bool table_release(struct nested *nested, spa_t table, unsigned level, unsigned *budget)
{
    if (level > 1) {
        uint64_t *entries = arch_window_map(table);
        bool released = true;

        for (unsigned i = 0; i < TABLE_ENTRIES && released; i++) {
            if (entry_is_table(nested->format, entries[i], level)) {
                spa_t below = spa_make(entries[i] & nested->format->address);

                released = table_release(nested, below, level - 1, budget);
                entries[i] = released ? 0 : entries[i];
            }
        }
        arch_window_unmap(entries);
        if (!released)
            return false;
    }
    if (*budget == 0)
        return false;
    (*budget)--;
    nested->table_pages--;
    nested->source->give(nested->source, table);
    return true;
}

/* Fills a table with the pages that a larger page, an entry of level, consists of. */
static void table_fill(const struct nested_format *format, spa_t table, uint64_t entry,
                       unsigned level)
{
    uint64_t *entries = arch_window_map(table);
    uint64_t part = level == 2 ? entry & ~format->large : entry;

    for (unsigned i = 0; i < TABLE_ENTRIES; i++)
        entries[i] = part + i * level_size(level - 1);
    arch_window_unmap(entries);
}

/*
 * Puts a new table in the place of a hole or of a larger page, *entry, and
 * returns the new entry there. A processor may set the accessed and the dirty
 * bit of the page meanwhile; then the table is filled again, with these.
 */
static enum hv_status table_insert(struct nested *nested, spa_t table, unsigned index,
                                   unsigned level, uint64_t *entry)
{
    const struct nested_format *format = nested->format;
    uint64_t old = *entry;
    spa_t below;

    if (!table_take(nested, &below))
        return HV_STATUS_INSUFFICIENT_MEMORY;
    *entry = below.raw | format->table;
    do {
        if (old & format->present)
            table_fill(format, below, old, level);
    } while (!entry_replace(table, index, &old, *entry));
    return HV_STATUS_SUCCESS;
}

/* Finds the entry of a level that gpa has; build: makes the way there, else leaves table 0. */
static enum hv_status entry_find(struct nested_change *change, gpa_t gpa, bool build)
{
    struct nested *nested = change->nested;
    spa_t table = nested->root;

    for (unsigned level = LEVELS; level > change->level; level--) {
        unsigned index = level_index(gpa, level);
        uint64_t entry = entry_read(table, index);

        if (!build && !(entry & nested->format->present))
            return HV_STATUS_SUCCESS;
        if (!entry_is_table(nested->format, entry, level)) {
            enum hv_status status = table_insert(nested, table, index, level, &entry);

            if (status != HV_STATUS_SUCCESS)
                return status;
        }
        table = spa_make(entry & nested->format->address);
    }
    change->table = table;
    change->index = level_index(gpa, change->level);
    return HV_STATUS_SUCCESS;
}

static enum hv_status size_check(uint64_t size, gpa_t gpa, spa_t spa)
{
    if (size != SIZE_4K && size != SIZE_2M)
        return HV_STATUS_INVALID_PARAMETER;
    if ((gpa.raw | spa.raw) % size != 0)
        return HV_STATUS_INVALID_ALIGNMENT;
    return gpa.raw >> NESTED_GPA_BITS ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_SUCCESS;
}

static struct nested_change change_make(struct nested *nested, uint64_t size)
{
    unsigned level = size == SIZE_4K ? 1 : size == SIZE_2M ? 2 : 3;

    return (struct nested_change){.nested = nested, .level = level};
}

enum hv_status nested_init(struct nested *nested, const struct nested_format *format,
                           struct nested_source *source, uint64_t largest_leaf)
{
    *nested = (struct nested){.format = format, .source = source, .largest_leaf = largest_leaf};
    return table_take(nested, &nested->root) ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_MEMORY;
}

/* The largest page that begins at an address, ends by end and that the processor has. */
static uint64_t identity_size(const struct nested *nested, uint64_t address, uint64_t end)
{
    uint64_t size = nested->largest_leaf;

    while (address % size != 0 || size > end - address)
        size = size == SIZE_1G ? SIZE_2M : SIZE_4K;
    return size;
}

enum hv_status nested_map_identity(struct nested *nested, spa_t first, uint64_t size,
                                   uint32_t flags)
{
    uint64_t limit = 1ull << NESTED_GPA_BITS;
    uint64_t end = first.raw + size;

    if ((first.raw | size) & PAGE_MASK || first.raw > limit || size > limit - first.raw)
        return HV_STATUS_INVALID_PARAMETER;
    for (uint64_t at = first.raw, step; at < end; at += step) {
        step = identity_size(nested, at, end);
        struct nested_change change = change_make(nested, step);
        enum hv_status status = entry_find(&change, gpa_make(at), true);

        if (status != HV_STATUS_SUCCESS)
            return status;
        change.entry = entry_of_leaf(nested->format, spa_make(at), change.level, flags);
        nested_commit(&change);
        nested_finish(&change);
    }
    return HV_STATUS_SUCCESS;
}

enum hv_status nested_prepare_map(struct nested *nested, gpa_t gpa, spa_t spa, uint64_t size,
                                  uint32_t flags, struct nested_change *change)
{
    *change = change_make(nested, size);
    enum hv_status status = size_check(size, gpa, spa);

    if (status != HV_STATUS_SUCCESS)
        return status;
    if (spa.raw & ~nested->format->address)
        return HV_STATUS_INVALID_PARAMETER;
    change->entry = entry_of_leaf(nested->format, spa, change->level, flags);
    return entry_find(change, gpa, true);
}

enum hv_status nested_prepare_unmap(struct nested *nested, gpa_t gpa, uint64_t size,
                                    struct nested_change *change)
{
    *change = change_make(nested, size);
    enum hv_status status = size_check(size, gpa, spa_make(0));

    return status == HV_STATUS_SUCCESS ? entry_find(change, gpa, false) : status;
}

/* The entry for the page of this size whose parts fill a table, or 0. */
static uint64_t table_join(const struct nested_format *format, spa_t table, uint64_t size)
{
    const uint64_t use = format->accessed | format->dirty;
    const uint64_t part = size / TABLE_ENTRIES;
    uint64_t *entries = arch_window_map(table);
    const uint64_t first = entries[0] & ~use;
    bool whole = (first & format->present) && (part == SIZE_4K || (first & format->large)) &&
                 (first & format->address) % size == 0;

    for (unsigned i = 1; i < TABLE_ENTRIES && whole; i++)
        whole = (entries[i] & ~use) == first + i * part;
    arch_window_unmap(entries);
    return whole ? first | format->large | use : 0;
}

bool nested_prepare_join(struct nested *nested, gpa_t gpa, uint64_t size,
                         struct nested_change *change)
{
    struct nested_leaf leaf;

    *change = change_make(nested, size);
    nested_lookup(nested, gpa, &leaf);
    if (leaf.size >= size || size > nested->largest_leaf)
        return false;
    entry_find(change, gpa, false); /* through tables only: the page found is smaller */
    const uint64_t entry = entry_read(change->table, change->index);

    change->entry = table_join(nested->format, spa_make(entry & nested->format->address), size);
    return change->entry != 0;
}

bool nested_commit(struct nested_change *change)
{
    const struct nested_format *format = change->nested->format;

    if (change->table.raw == 0)
        return false;
    uint64_t old = entry_exchange(change->table, change->index, change->entry);

    if (entry_is_table(format, old, change->level))
        change->retired = spa_make(old & format->address);
    return (old & format->present) && (old & ~(format->accessed | format->dirty)) != change->entry;
}

void nested_finish(struct nested_change *change)
{
    unsigned budget = UINT32_MAX;

    if (change->retired.raw != 0) {
        table_release(change->nested, change->retired, change->level - 1, &budget);
        change->retired = spa_make(0);
    }
}

bool nested_lookup(const struct nested *nested, gpa_t gpa, struct nested_leaf *leaf)
{
    const struct nested_format *format = nested->format;
    spa_t table = nested->root;
    unsigned level = LEVELS;
    uint64_t limit = 1ull << NESTED_GPA_BITS;

    if (gpa.raw >= limit) {
        *leaf = (struct nested_leaf){gpa_make(ALIGN_DOWN(gpa.raw, limit)), limit, {0}, {0}, 0};
        return false;
    }
    uint64_t entry = entry_read(table, level_index(gpa, level));

    while (entry_is_table(format, entry, level)) {
        table = spa_make(entry & format->address);
        level--;
        entry = entry_read(table, level_index(gpa, level));
    }
    uint64_t size = level_size(level);

    *leaf = (struct nested_leaf){.gpa = gpa_make(ALIGN_DOWN(gpa.raw, size)), .size = size};
    if (!(entry & format->present))
        return false;
    leaf->base = spa_make(entry & format->address);
    leaf->spa = spa_make(leaf->base.raw + gpa.raw % size);
    leaf->flags = entry_flags(format, entry);
    return true;
}

static uint64_t use_bits(const struct nested_format *format, uint32_t use)
{
    return (use & NESTED_ACCESSED ? format->accessed : 0) |
           (use & NESTED_DIRTY ? format->dirty : 0);
}

uint32_t nested_harvest(struct nested *nested, gpa_t gpa, uint32_t clear, uint32_t set)
{
    const struct nested_format *format = nested->format;
    struct nested_leaf leaf;

    if (!nested_lookup(nested, gpa, &leaf))
        return 0;
    struct nested_change at = change_make(nested, leaf.size);

    entry_find(&at, gpa, false);
    uint64_t *entries = arch_window_map(at.table);
    uint64_t old =
        __atomic_fetch_and(&entries[at.index], ~use_bits(format, clear), __ATOMIC_ACQ_REL);

    __atomic_fetch_or(&entries[at.index], use_bits(format, set), __ATOMIC_ACQ_REL);
    arch_window_unmap(entries);
    return entry_use(format, old);
}

bool nested_destroy(struct nested *nested, unsigned budget)
{
    if (nested->root.raw != 0 && table_release(nested, nested->root, LEVELS, &budget))
        nested->root = spa_make(0);
    return nested->root.raw == 0;
}
