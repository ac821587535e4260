/* SPDX-License-Identifier: MIT */
/* What the sources of this library share of a partition. */
#ifndef PARENT_PARTITION_INTERNAL_H
#define PARENT_PARTITION_INTERNAL_H

#include "parent/partition/device.h"

struct bh_partition {
    const struct bh_device_layer *layer;
    int fd;
};

#endif
