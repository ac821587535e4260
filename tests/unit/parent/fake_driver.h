/* SPDX-License-Identifier: MIT */
/* A simulated /dev/bulkhead behind parent/partition/device.h: one hypervisor, in memory. */
#ifndef TESTS_UNIT_PARENT_FAKE_DRIVER_H
#define TESTS_UNIT_PARENT_FAKE_DRIVER_H

#include <stddef.h>

#include "parent/partition/device.h"
#include "parent/partition/host.h"

struct fake_driver {
    int open_errno;  /* not 0: open fails with it */
    int ioctl_errno; /* not 0: every ioctl fails with it */
    bool on_bulkhead;
    int open_files;
    struct bh_info info;
    struct bh_hypervisor_stats hypervisor;
    struct bh_lp_stats lp[4];
    struct bh_partition_stats partition;
    uint64_t vanished_partition; /* not 0: listed, but no longer there */
    struct bh_vp_stats vp[4];
    char log[16384];
    uint64_t log_start; /* position of the oldest byte kept */
    uint64_t log_end;
};

extern struct fake_driver fake_driver;
extern const struct bh_device_layer fake_device_layer;

/* Two LPs, one partition of two VPs, distinct numbers everywhere. */
void fake_driver_reset(void);

#endif
