/* SPDX-License-Identifier: MIT */
/* All counters of the hypervisor, read at about one moment. */
#ifndef PARENT_TOOLS_BHSTAT_SNAPSHOT_H
#define PARENT_TOOLS_BHSTAT_SNAPSHOT_H

#include <stdint.h>

#include "parent/partition/host.h"

struct bhstat_partition {
    struct bh_partition_stats stats;
    uint32_t vp_count;
    struct bh_vp_stats *vp;
};

struct bhstat_snapshot {
    struct bh_info info;
    struct bh_hypervisor_stats hypervisor;
    uint32_t lp_count;
    struct bh_lp_stats *lp;
    uint32_t partition_count;
    struct bhstat_partition *partition;
};

/* Fills `snapshot`; on failure nothing is left to release. */
bool bhstat_snapshot_take(struct bh_host *host, struct bhstat_snapshot *snapshot,
                          struct bh_error *error);
void bhstat_snapshot_release(struct bhstat_snapshot *snapshot);

/* The partition's counters in an earlier snapshot, or NULL where it was not there yet. */
const struct bh_partition_stats *bhstat_snapshot_find(const struct bhstat_snapshot *snapshot,
                                                      uint64_t partition_id);
/* The VP's counters in an earlier snapshot, or NULL where it was not there yet. */
const struct bh_vp_stats *bhstat_snapshot_find_vp(const struct bhstat_snapshot *snapshot,
                                                  uint64_t partition_id, uint32_t vp);

#endif
