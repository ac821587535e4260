/* SPDX-License-Identifier: MIT */
/* partition_destroy_vp leaves the VP in the partition. */
#include "hv/core/partition.h"

#define partition_destroy_vp partition_destroy_vp_checked
void partition_destroy_vp(struct partition *partition, uint32_t index);
#include "hv/core/partition.c"
#undef partition_destroy_vp

void partition_destroy_vp(struct partition *partition, uint32_t index)
{
    struct vp *vp = partition->vp[index];
    partition_destroy_vp_checked(partition, index);
    partition->vp[index] = vp;
}
