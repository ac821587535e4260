/* SPDX-License-Identifier: MIT */
/* hypercall_delete_partition does not ask whether anything is left. */
#include "hv/core/hypercall.h"

#define hypercall_delete_partition hypercall_delete_partition_checked
enum hv_status hypercall_delete_partition(struct hypercall *call);
#include "hv/core/hypercall_partition.c"
#undef hypercall_delete_partition

enum hv_status hypercall_delete_partition(struct hypercall *call)
{
    if (call->target->state == PARTITION_ACTIVE)
        return HV_STATUS_INVALID_PARTITION_STATE;
    partition_delete(call->target);
    call->target = NULL;
    return HV_STATUS_SUCCESS;
}
