/* SPDX-License-Identifier: MIT */
/*
 * The system calls this library makes on the driver's nodes, as a table, so
 * that tests can put a simulated driver behind it. Functions return -1 and set
 * errno as the system calls do; `map` returns NULL.
 */
#ifndef PARENT_PARTITION_DEVICE_H
#define PARENT_PARTITION_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

struct bh_device_layer {
    int (*open)(const char *path);
    int (*ioctl)(int fd, unsigned long request, void *argument);
    int (*close)(int fd);
    void *(*map)(int fd, size_t size, long offset); /* shared, readable and writable */
    void (*unmap)(void *at, size_t size);
    bool (*on_bulkhead)(void); /* by CPUID: is there a driver to expect at all? */
};

extern const struct bh_device_layer bh_device_layer_kernel;

#endif
