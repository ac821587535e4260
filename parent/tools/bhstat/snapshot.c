/* SPDX-License-Identifier: MIT */
#include "parent/tools/bhstat/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More LPs or VPs than this is a damaged answer, not a big machine. */
#define COUNT_LIMIT 4096u

static void *allocate(uint64_t count, size_t size, struct bh_error *error)
{
    void *array;

    if (count > COUNT_LIMIT) {
        bh_error_set(error, EIO, "The hypervisor claims %llu processors.",
                     (unsigned long long)count);
        return NULL;
    }
    array = calloc(count > 0 ? count : 1, size);
    if (array == NULL)
        bh_error_set(error, ENOMEM, "Out of memory.");
    return array;
}

static bool take_lps(struct bh_host *host, struct bhstat_snapshot *snapshot, struct bh_error *error)
{
    snapshot->lp = allocate(snapshot->info.lp_count, sizeof(*snapshot->lp), error);
    if (snapshot->lp == NULL)
        return false;
    for (uint32_t i = 0; i < snapshot->info.lp_count; i++) {
        if (!bh_host_lp_stats(host, i, &snapshot->lp[i], error))
            return false;
        snapshot->lp_count = i + 1;
    }
    return true;
}

static bool take_partition(struct bh_host *host, uint64_t id, struct bhstat_partition *partition,
                           struct bh_error *error)
{
    if (!bh_host_partition_stats(host, id, &partition->stats, error))
        return false;
    partition->vp = allocate(partition->stats.vp_count, sizeof(*partition->vp), error);
    if (partition->vp == NULL)
        return false;
    for (uint32_t i = 0; i < partition->stats.vp_count; i++) {
        if (!bh_host_vp_stats(host, id, i, &partition->vp[i], error))
            return false;
        partition->vp_count = i + 1;
    }
    return true;
}

/* A child may end between the list and its turn: then it is left out. */
static bool take_listed(struct bh_host *host, const uint64_t *ids, uint32_t count,
                        struct bhstat_snapshot *snapshot, struct bh_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bhstat_partition *partition = &snapshot->partition[snapshot->partition_count];

        if (take_partition(host, ids[i], partition, error)) {
            snapshot->partition_count++;
            continue;
        }
        free(partition->vp);
        memset(partition, 0, sizeof(*partition));
        if (error->number != ENOENT)
            return false;
    }
    return true;
}

static bool take_partitions(struct bh_host *host, struct bhstat_snapshot *snapshot,
                            struct bh_error *error)
{
    uint64_t ids[COUNT_LIMIT];
    uint32_t count;

    if (!bh_host_partitions(host, ids, COUNT_LIMIT, &count, error))
        return false;
    if (count > COUNT_LIMIT)
        count = COUNT_LIMIT;
    snapshot->partition = allocate(count, sizeof(*snapshot->partition), error);
    return snapshot->partition != NULL && take_listed(host, ids, count, snapshot, error);
}

bool bhstat_snapshot_take(struct bh_host *host, struct bhstat_snapshot *snapshot,
                          struct bh_error *error)
{
    memset(snapshot, 0, sizeof(*snapshot));
    if (bh_host_info(host, &snapshot->info, error) &&
        bh_host_hypervisor_stats(host, &snapshot->hypervisor, error) &&
        take_lps(host, snapshot, error) && take_partitions(host, snapshot, error))
        return true;
    bhstat_snapshot_release(snapshot);
    return false;
}

void bhstat_snapshot_release(struct bhstat_snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->partition_count; i++)
        free(snapshot->partition[i].vp);
    free(snapshot->partition);
    free(snapshot->lp);
    memset(snapshot, 0, sizeof(*snapshot));
}

static const struct bhstat_partition *find(const struct bhstat_snapshot *snapshot,
                                           uint64_t partition_id)
{
    for (uint32_t i = 0; i < snapshot->partition_count; i++)
        if (snapshot->partition[i].stats.partition_id == partition_id)
            return &snapshot->partition[i];
    return NULL;
}

const struct bh_partition_stats *bhstat_snapshot_find(const struct bhstat_snapshot *snapshot,
                                                      uint64_t partition_id)
{
    const struct bhstat_partition *partition = find(snapshot, partition_id);

    return partition != NULL ? &partition->stats : NULL;
}

const struct bh_vp_stats *bhstat_snapshot_find_vp(const struct bhstat_snapshot *snapshot,
                                                  uint64_t partition_id, uint32_t vp)
{
    const struct bhstat_partition *partition = find(snapshot, partition_id);

    return partition != NULL && vp < partition->vp_count ? &partition->vp[vp] : NULL;
}
