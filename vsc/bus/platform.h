/* SPDX-License-Identifier: MIT */
/*
 * What the clients need of the machine they run in, as a table: the guest puts
 * hypercalls and interrupts behind it, tests put a server in the same process.
 */
#ifndef VSC_BUS_PLATFORM_H
#define VSC_BUS_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VSC_MILLISECOND 10000ull /* of `clock` */
#define VSC_SECOND      10000000ull

struct vsc_platform {
    void *context;
    /* A message on a connection; false when the port is full now. */
    bool (*post)(void *context, uint32_t connection, const void *payload, size_t size);
    /* A doorbell. */
    void (*signal)(void *context, uint32_t connection);
    /* The number of the frame of 4 KiB in which an address lies. */
    uint64_t (*frame)(void *context, const void *address);
    /* Reference time, 100 ns. */
    uint64_t (*clock)(void *context);
    /*
     * Hands what has come to vsc_bus_message and vsc_bus_event. When nothing has and `sleep` is
     * set, waits for an interrupt first; one comes at least every second.
     */
    void (*serve)(void *context, bool sleep);
};

#endif
