/* SPDX-License-Identifier: MIT */
#include "vsc/guest/memory.h"

#include "vsc/guest/console.h"

#define MAPPED (1ull << 30) /* bytes that entry.S maps */

extern char image_end[];

static uint64_t next;
static uint64_t limit;

void memory_begin(uint64_t end)
{
    next = (uint64_t)image_end;
    limit = end < MAPPED ? end : MAPPED;
}

void *memory_pages(uint32_t count)
{
    uint64_t at = next;

    if (at + (uint64_t)count * PAGE_SIZE > limit)
        guest_fail("memory", "the guest has too little of it");
    next += (uint64_t)count * PAGE_SIZE;
    return (void *)at;
}

uint64_t memory_mark(void)
{
    return next;
}

void memory_release(uint64_t mark)
{
    next = mark;
}
