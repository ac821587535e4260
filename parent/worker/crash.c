/* SPDX-License-Identifier: MIT */
#include "parent/worker/crash.h"

#include <string.h>

bool bh_crash_look(struct bh_crash_watch *watch, struct bh_host *host, uint64_t partition_id,
                   uint64_t parameters[BH_CRASH_PARAMETERS])
{
    struct bh_partition_stats stats;
    struct bh_error error;

    if (partition_id != watch->partition_id)
        *watch = (struct bh_crash_watch){.partition_id = partition_id};
    if (host == NULL || partition_id == 0 ||
        !bh_host_partition_stats(host, partition_id, &stats, &error) ||
        stats.crash_count <= watch->seen)
        return false;
    watch->seen = stats.crash_count;
    memcpy(parameters, stats.crash_parameter, sizeof(stats.crash_parameter));
    return true;
}
