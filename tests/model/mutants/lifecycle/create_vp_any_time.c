/* SPDX-License-Identifier: MIT */
/* partition_add_vp does not ask for the state of the partition. */
#include "hv/core/partition.h"

#define partition_add_vp partition_add_vp_checked
enum hv_status partition_add_vp(struct partition *partition, uint32_t index);
#include "hv/core/partition.c"
#undef partition_add_vp

enum hv_status partition_add_vp(struct partition *partition, uint32_t index)
{
    const enum partition_state state = partition->state;
    partition->state = PARTITION_ACTIVE;
    const enum hv_status status = partition_add_vp_checked(partition, index);
    partition->state = state;
    return status;
}
