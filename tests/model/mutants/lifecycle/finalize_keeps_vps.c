/* SPDX-License-Identifier: MIT */
/* hypercall_finalize_partition leaves the VPs where they are. */
#include "hv/core/hypercall.h"

#define hypercall_finalize_partition hypercall_finalize_partition_checked
enum hv_status hypercall_finalize_partition(struct hypercall *call);
#include "hv/core/hypercall_partition.c"
#undef hypercall_finalize_partition

enum hv_status hypercall_finalize_partition(struct hypercall *call)
{
    struct partition *partition = call->target;
    partition->state = PARTITION_FINALIZED;
    call->again = !port_release_all(partition) || !partition_release_memory(partition, 0);
    return HV_STATUS_SUCCESS;
}
