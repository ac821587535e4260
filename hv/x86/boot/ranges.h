/* SPDX-License-Identifier: MIT */
/*
 * The memory map as a list of ranges: where free RAM can be found at boot, and
 * what the parent is told in its E820 map. Pure list work, tested on the host.
 */
#ifndef HV_X86_BOOT_RANGES_H
#define HV_X86_BOOT_RANGES_H

#include "hv/x86/boot/boot_info.h"

#define RANGES_MAX 160

struct ranges {
    struct boot_range range[RANGES_MAX];
    unsigned count;
};

/*
 * Copies the loader's map, as far as a processor can address. Where its entries
 * overlap, the one that is not RAM wins; RAM is cut to whole pages. False when it
 * does not fit.
 */
bool ranges_init(struct ranges *ranges, const struct boot_info *boot);

/* Makes the pages of RAM that lie in [base, base + size), be it in part, of another type. False:
 * list full. */
bool ranges_retype(struct ranges *ranges, uint64_t base, uint64_t size, uint32_t type);

/* What the loader put into RAM is not free. False: list full. */
bool ranges_reserve_modules(struct ranges *ranges, const struct boot_info *boot);

/* Keeps the lowest `bytes` of RAM, cut to whole pages, and gives the rest the type. False: list
 * full. */
bool ranges_limit_ram(struct ranges *ranges, uint64_t bytes, uint32_t type);

/*
 * Highest (or lowest) place for `size` bytes of RAM aligned to `align` in [floor, ceiling).
 * False when there is none.
 */
enum ranges_end { RANGES_LOW, RANGES_HIGH };
bool ranges_find(const struct ranges *ranges, enum ranges_end end, uint64_t size, uint64_t align,
                 uint64_t floor, uint64_t ceiling, uint64_t *base);

uint64_t ranges_ram_bytes(const struct ranges *ranges);
uint64_t ranges_ram_end(const struct ranges *ranges);

#endif
