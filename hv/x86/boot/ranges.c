/* SPDX-License-Identifier: MIT */
/* Range arithmetic. RAM ranges never overlap any other range of the list after ranges_init. */
#include "hv/x86/boot/ranges.h"

#define ADDRESS_LIMIT (1ull << 52) /* architectural end of physical addresses */

static bool append(struct ranges *ranges, uint64_t base, uint64_t end, uint32_t type)
{
    if (base >= end)
        return true;
    if (ranges->count == RANGES_MAX)
        return false;
    ranges->range[ranges->count++] = (struct boot_range){base, end - base, type};
    return true;
}

/* At most the limit: a sum that overflows lies beyond it too. */
static uint64_t end_of(uint64_t base, uint64_t size)
{
    uint64_t end;
    return __builtin_add_overflow(base, size, &end) || end > ADDRESS_LIMIT ? ADDRESS_LIMIT : end;
}

static uint64_t range_end(const struct boot_range *range)
{
    return end_of(range->base, range->size);
}

/* Cuts [base, end) out of entry i, which may leave a piece on either side. */
static bool cut(struct ranges *ranges, unsigned i, uint64_t base, uint64_t end)
{
    const uint64_t old_end = range_end(&ranges->range[i]);
    const uint32_t type = ranges->range[i].type;
    const uint64_t left_end = u64_min(base, old_end);
    ranges->range[i].size = left_end > ranges->range[i].base ? left_end - ranges->range[i].base : 0;
    return append(ranges, u64_max(end, ranges->range[i].base), old_end, type);
}

static void drop_empty(struct ranges *ranges)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < ranges->count; i++)
        if (ranges->range[i].size != 0)
            ranges->range[kept++] = ranges->range[i];
    ranges->count = kept;
}

/* Orders by base; the list is short and this happens a few times at boot. */
static void sort(struct ranges *ranges)
{
    for (unsigned i = 1; i < ranges->count; i++) {
        const struct boot_range moving = ranges->range[i];
        unsigned at = i;
        for (; at > 0 && ranges->range[at - 1].base > moving.base; at--)
            ranges->range[at] = ranges->range[at - 1];
        ranges->range[at] = moving;
    }
}

/* Removes RAM in [base, end); the pieces cut off are appended and met again by the loop. */
static bool remove_ram(struct ranges *ranges, uint64_t base, uint64_t end)
{
    for (unsigned i = 0; i < ranges->count; i++) {
        const struct boot_range *range = &ranges->range[i];
        if (range->type != BOOT_RANGE_RAM || range->base >= end || range_end(range) <= base)
            continue;
        if (!cut(ranges, i, base, end))
            return false;
    }
    drop_empty(ranges);
    return true;
}

/* RAM that the map names twice is listed once. */
static bool append_ram(struct ranges *ranges, const struct boot_range *range)
{
    if (range->base >= ADDRESS_LIMIT)
        return true;
    const uint64_t base = ALIGN_UP(range->base, PAGE_SIZE);
    const uint64_t end = ALIGN_DOWN(range_end(range), PAGE_SIZE);
    return base >= end ||
           (remove_ram(ranges, base, end) && append(ranges, base, end, BOOT_RANGE_RAM));
}

bool ranges_init(struct ranges *ranges, const struct boot_info *boot)
{
    ranges->count = 0;
    for (unsigned i = 0; i < boot->range_count; i++) {
        const struct boot_range *range = &boot->range[i];
        if (range->type == BOOT_RANGE_RAM
                ? !append_ram(ranges, range)
                : !append(ranges, range->base, range_end(range), range->type))
            return false;
    }
    for (unsigned i = 0; i < boot->range_count; i++) {
        const struct boot_range *range = &boot->range[i];
        if (range->type != BOOT_RANGE_RAM && !remove_ram(ranges, ALIGN_DOWN(range->base, PAGE_SIZE),
                                                         ALIGN_UP(range_end(range), PAGE_SIZE)))
            return false;
    }
    sort(ranges);
    return true;
}

bool ranges_retype(struct ranges *ranges, uint64_t base, uint64_t size, uint32_t type)
{
    const unsigned before = ranges->count;
    const uint64_t end = ALIGN_UP(end_of(base, size), PAGE_SIZE);
    base = ALIGN_DOWN(base, PAGE_SIZE);
    if (base >= end)
        return true;
    for (unsigned i = 0; i < before; i++) {
        const struct boot_range *range = &ranges->range[i];
        if (range->type != BOOT_RANGE_RAM)
            continue;
        if (!append(ranges, u64_max(range->base, base), u64_min(range_end(range), end), type))
            return false;
    }
    if (!remove_ram(ranges, base, end))
        return false;
    sort(ranges);
    return true;
}

bool ranges_reserve_modules(struct ranges *ranges, const struct boot_info *boot)
{
    for (unsigned i = 0; i < boot->module_count; i++)
        if (!ranges_retype(ranges, boot->module[i].base, boot->module[i].size, BOOT_RANGE_RESERVED))
            return false;
    return true;
}

bool ranges_limit_ram(struct ranges *ranges, uint64_t bytes, uint32_t type)
{
    uint64_t kept = 0;
    bytes = ALIGN_DOWN(bytes, PAGE_SIZE);
    for (unsigned i = 0; i < ranges->count; i++) {
        const struct boot_range range = ranges->range[i];
        if (range.type != BOOT_RANGE_RAM)
            continue;
        if (kept + range.size > bytes)
            return ranges_retype(ranges, range.base + (bytes - kept), ADDRESS_LIMIT, type);
        kept += range.size;
    }
    return true;
}

bool ranges_find(const struct ranges *ranges, enum ranges_end end, uint64_t size, uint64_t align,
                 uint64_t floor, uint64_t ceiling, uint64_t *base)
{
    for (unsigned i = 0; i < ranges->count; i++) {
        const struct boot_range *range =
            &ranges->range[end == RANGES_LOW ? i : ranges->count - 1 - i];
        const uint64_t low = ALIGN_UP(u64_max(range->base, floor), align);
        const uint64_t high = u64_min(range_end(range), ceiling);
        if (range->type != BOOT_RANGE_RAM || low > high || high - low < size)
            continue;
        *base = end == RANGES_LOW ? low : ALIGN_DOWN(high - size, align);
        return true;
    }
    return false;
}

uint64_t ranges_ram_bytes(const struct ranges *ranges)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < ranges->count; i++)
        if (ranges->range[i].type == BOOT_RANGE_RAM)
            sum += ranges->range[i].size;
    return sum;
}

uint64_t ranges_ram_end(const struct ranges *ranges)
{
    uint64_t end = 0;
    for (unsigned i = 0; i < ranges->count; i++)
        if (ranges->range[i].type == BOOT_RANGE_RAM)
            end = u64_max(end, range_end(&ranges->range[i]));
    return end;
}
