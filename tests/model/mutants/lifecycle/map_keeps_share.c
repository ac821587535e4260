/* SPDX-License-Identifier: MIT */
/* A mapping that fails stays counted in the frame table. */
#include "hv/core/partition.h"

#define partition_map partition_map_checked
enum hv_status partition_map(struct partition *partition, gpa_t gpa, frame_t frame, bool large,
                             uint32_t flags);
#include "hv/core/partition_memory.c"
#undef partition_map

enum hv_status partition_map(struct partition *partition, gpa_t gpa, frame_t frame, bool large,
                             uint32_t flags)
{
    const enum hv_status status = partition_map_checked(partition, gpa, frame, large, flags);
    if (status == HV_STATUS_INSUFFICIENT_MEMORY)
        share(partition, frame, large);
    return status;
}
