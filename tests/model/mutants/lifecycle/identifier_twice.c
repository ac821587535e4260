/* SPDX-License-Identifier: MIT */
/* partition_create takes an identifier that may be somebody's. */
#include "hv/core/partition.h"

#define partition_create partition_create_checked
struct partition *partition_create(struct frame_table *frames);
#include "hv/core/partition.c"
#undef partition_create

struct partition *partition_create(struct frame_table *frames)
{
    struct partition *partition = arch_alloc_partition();
    if (partition != NULL) {
        partition_init(partition, PARTITION_PARENT + 1, frames);
        partition_register(partition);
    }
    return partition;
}
