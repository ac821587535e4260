/* SPDX-License-Identifier: MIT */
#include "parent/worker/guest_memory.h"

#include <string.h>

void bh_guest_memory_init(struct bh_guest_memory *memory, uint8_t *host, uint64_t size)
{
    uint64_t low = size < BH_LOW_RAM_END ? size : BH_LOW_RAM_END;

    memset(memory, 0, sizeof(*memory));
    memory->count = size > low ? 2 : 1;
    memory->region[0] = (struct bh_memory_region){.gpa = 0, .size = low, .host = host};
    memory->region[1] =
        (struct bh_memory_region){.gpa = BH_HIGH_RAM_BASE, .size = size - low, .host = host + low};
}

void *bh_guest_memory_at(const struct bh_guest_memory *memory, uint64_t gpa, uint64_t length)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct bh_memory_region *region = &memory->region[i];
        uint64_t offset = gpa - region->gpa;

        if (gpa >= region->gpa && offset <= region->size && length <= region->size - offset)
            return region->host + offset;
    }
    return NULL;
}

bool bh_guest_memory_fill(const struct bh_guest_memory *memory, uint64_t gpa, const void *data,
                          uint64_t length)
{
    void *to = bh_guest_memory_at(memory, gpa, length);

    if (to == NULL)
        return false;
    if (data != NULL)
        memcpy(to, data, length);
    else
        memset(to, 0, length);
    return true;
}

unsigned bh_guest_memory_e820(const struct bh_guest_memory *memory,
                              struct bh_e820_entry map[BH_E820_MAX])
{
    unsigned count = 0;

    map[count++] = (struct bh_e820_entry){0, BH_CONVENTIONAL_END, BH_E820_RAM};
    map[count++] = (struct bh_e820_entry){BH_CONVENTIONAL_END,
                                          BH_FIRMWARE_END - BH_CONVENTIONAL_END, BH_E820_RESERVED};
    map[count++] = (struct bh_e820_entry){BH_FIRMWARE_END, memory->region[0].size - BH_FIRMWARE_END,
                                          BH_E820_RAM};
    if (memory->count > 1)
        map[count++] =
            (struct bh_e820_entry){BH_HIGH_RAM_BASE, memory->region[1].size, BH_E820_RAM};
    return count;
}
