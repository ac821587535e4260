/* SPDX-License-Identifier: MIT */
#include "parent/worker/bus.h"

#include <stddef.h>
#include <string.h>

bool bh_bus_add(struct bh_bus *bus, uint64_t base, uint64_t length,
                const struct bh_bus_device *device)
{
    unsigned at = 0;

    if (length == 0 || base + length < base || bus->count == BH_BUS_RANGES_MAX)
        return false;
    while (at < bus->count && bus->range[at].base < base)
        at++;
    if (at > 0 && bus->range[at - 1].base + bus->range[at - 1].length > base)
        return false;
    if (at < bus->count && base + length > bus->range[at].base)
        return false;
    memmove(&bus->range[at + 1], &bus->range[at], (bus->count - at) * sizeof(bus->range[0]));
    bus->range[at] = (struct bh_bus_range){.base = base, .length = length, .device = *device};
    bus->count++;
    return true;
}

/* The range that holds `address`, or NULL. */
static const struct bh_bus_range *find(const struct bh_bus *bus, uint64_t address)
{
    unsigned low = 0;
    unsigned high = bus->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct bh_bus_range *range = &bus->range[middle];

        if (address < range->base)
            high = middle;
        else if (address - range->base >= range->length)
            low = middle + 1;
        else
            return range;
    }
    return NULL;
}

static bool holds(const struct bh_bus_range *range, uint64_t address, unsigned size)
{
    return range != NULL && range->length - (address - range->base) >= size;
}

static uint64_t ones(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
}

uint64_t bh_bus_read(const struct bh_bus *bus, uint64_t address, unsigned size)
{
    const struct bh_bus_range *range = find(bus, address);
    uint64_t value = 0;

    if (holds(range, address, size))
        return range->device.read(range->device.context, address - range->base, size) & ones(size);
    if (size == 1)
        return 0xff;
    for (unsigned i = 0; i < size; i++)
        value |= bh_bus_read(bus, address + i, 1) << 8 * i;
    return value;
}

void bh_bus_write(const struct bh_bus *bus, uint64_t address, unsigned size, uint64_t value)
{
    const struct bh_bus_range *range = find(bus, address);

    if (holds(range, address, size))
        range->device.write(range->device.context, address - range->base, size, value & ones(size));
    else if (size > 1)
        for (unsigned i = 0; i < size; i++)
            bh_bus_write(bus, address + i, 1, value >> 8 * i & 0xff);
}
