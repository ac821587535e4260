/* SPDX-License-Identifier: MIT */
/*
 * An address space of emulated devices: I/O ports, or MMIO. Addresses that no
 * device has read as all ones and ignore writes, as a PC does, and never fail.
 *
 * Devices are added before VPs run; after that a bus does not change, so any
 * thread may use it. What a device does when two threads call it is its own
 * affair.
 */
#ifndef PARENT_WORKER_BUS_H
#define PARENT_WORKER_BUS_H

#include <stdbool.h>
#include <stdint.h>

/* `size` is 1, 2, 4 or 8 bytes; `offset` + `size` is inside the device's range. */
struct bh_bus_device {
    uint64_t (*read)(void *context, uint64_t offset, unsigned size);
    void (*write)(void *context, uint64_t offset, unsigned size, uint64_t value);
    void *context;
};

#define BH_BUS_RANGES_MAX 32u

struct bh_bus_range {
    uint64_t base;
    uint64_t length;
    struct bh_bus_device device;
};

struct bh_bus {
    unsigned count;
    struct bh_bus_range range[BH_BUS_RANGES_MAX]; /* by base, without overlap */
};

/* False when the range is empty, overlaps another one, or there is no room. */
bool bh_bus_add(struct bh_bus *bus, uint64_t base, uint64_t length,
                const struct bh_bus_device *device);

/* An access that is not inside one device is done byte by byte. */
uint64_t bh_bus_read(const struct bh_bus *bus, uint64_t address, unsigned size);
void bh_bus_write(const struct bh_bus *bus, uint64_t address, unsigned size, uint64_t value);

#endif
