/* SPDX-License-Identifier: MIT */
#include "tests/unit/hv/low_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD 4096u

void low_memory_map(uint64_t address, size_t size)
{
    void *at = mmap((void *)address, size + GUARD, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (at != (void *)address || mprotect(at, size, PROT_READ | PROT_WRITE) != 0) {
        perror("low_memory_map");
        abort();
    }
}

void low_memory_unmap(uint64_t address, size_t size)
{
    munmap((void *)address, size + GUARD);
}

void low_put(uint64_t address, uint64_t value, size_t size)
{
    memcpy((void *)address, &value, size);
}

uint64_t low_get(uint64_t address, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, (const void *)address, size);
    return value;
}
