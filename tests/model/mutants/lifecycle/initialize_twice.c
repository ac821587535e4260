/* SPDX-License-Identifier: MIT */
/* hypercall_initialize_partition does not ask whether it was done before. */
#include "hv/core/hypercall.h"

#define hypercall_initialize_partition hypercall_initialize_partition_checked
enum hv_status hypercall_initialize_partition(struct hypercall *call);
#include "hv/core/hypercall_partition.c"
#undef hypercall_initialize_partition

enum hv_status hypercall_initialize_partition(struct hypercall *call)
{
    if (call->target->state == PARTITION_ACTIVE)
        call->target->state = PARTITION_CREATED;
    return hypercall_initialize_partition_checked(call);
}
