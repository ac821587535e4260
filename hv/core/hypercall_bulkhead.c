/* SPDX-License-Identifier: MIT */
/* Bulkhead's own calls: what this is, what it logged, what it counted. */
#include "hv/abi/bulkhead.h"

#include "hv/arch.h"
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/log.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

enum hv_status hypercall_get_info(struct hypercall *call)
{
    struct bh_info *info = call->output;
    info->abi_version = BH_ABI_VERSION;
    info->partition_count = partition_count();
    info->uptime = arch_time_now();
    info->tsc_hz = arch_tsc_hz();
    arch_fill_info(info);
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_read_log(struct hypercall *call)
{
    const struct bh_log_input *input = call->input;
    struct bh_log_output *output = call->output;
    output->position = input->position;
    output->length = (uint32_t)log_read(&output->position, output->text, sizeof output->text);
    output->end = log_written();
    return HV_STATUS_SUCCESS;
}

static void fill_hypervisor(struct partition *parent, struct bh_hypervisor_stats *stats)
{
    struct frame_table *frames = parent->frames;
    const uint64_t absent = frame_table_state_count(frames, FRAME_ABSENT);
    stats->uptime = arch_time_now();
    stats->frames_total = frames->count - absent;
    stats->frames_hypervisor = frame_table_state_count(frames, FRAME_HYPERVISOR);
    stats->frames_shared = frame_table_state_count(frames, FRAME_SHARED);
    stats->frames_parent = frame_table_state_count(frames, FRAME_PARENT) + stats->frames_shared;
    stats->frames_deposited = frame_table_deposited_count(frames);
    stats->frames_unassigned = frame_table_state_count(frames, FRAME_UNASSIGNED);
    stats->log_bytes = log_written();
    stats->log_lost_bytes = log_lost();
    arch_fill_pool_stats(stats);
}

static void fill_partition(struct partition *partition, struct bh_partition_stats *stats)
{
    stats->partition_id = partition->id;
    stats->vp_count = partition->vp_count;
    stats->frames_deposited_free = partition->pool.free_pages;
    stats->frames_deposited =
        partition->pool.free_pages + partition->pool.used_pages + partition->pool.lost_pages;
    stats->frames_mapped = partition->frames_mapped;
    stats->frames_owned = partition_is_parent(partition)
                              ? frame_table_state_count(partition->frames, FRAME_PARENT) +
                                    frame_table_state_count(partition->frames, FRAME_SHARED)
                              : stats->frames_deposited;
    stats->nested_table_pages = partition->nested.table_pages;
    stats->hypercalls = partition->hypercalls;
    stats->crash_count = partition->crash_count;
    memcpy(stats->crash_parameter, partition->crash_parameter, sizeof stats->crash_parameter);
    stats->share = BH_SHARE(partition->share.weight, partition->share.reserve / SCHED_SHARE_UNIT,
                            partition->share.cap / SCHED_SHARE_UNIT);
}

static void fill_vp(struct vp *vp, struct bh_vp_stats *stats)
{
    *stats = vp->stats;
    stats->time_guest = arch_ticks_to_reftime(vp->stats.time_guest);
    stats->time_hypervisor = arch_ticks_to_reftime(vp->stats.time_hypervisor);
    stats->time_halted = arch_ticks_to_reftime(vp->stats.time_halted);
}

static enum hv_status fill_for_partition(struct partition *partition,
                                         const struct bh_stats_input *input, void *output)
{
    if (input->object == BH_STATS_PARTITION) {
        fill_partition(partition, output);
        return HV_STATUS_SUCCESS;
    }
    if (input->object != BH_STATS_VP)
        return HV_STATUS_INVALID_PARAMETER;
    struct vp *vp = partition_vp(partition, input->index);
    if (vp == NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    fill_vp(vp, output);
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_get_stats(struct hypercall *call)
{
    const struct bh_stats_input *input = call->input;
    if (input->object == BH_STATS_HYPERVISOR) {
        fill_hypervisor(call->vp->partition, call->output);
        return HV_STATUS_SUCCESS;
    }
    if (input->object == BH_STATS_LP)
        return arch_fill_lp_stats(input->index, call->output) ? HV_STATUS_SUCCESS
                                                              : HV_STATUS_INVALID_PARAMETER;
    enum hv_status status;
    struct partition *partition = hypercall_acquire(call, input->partition_id, &status);
    if (partition == NULL)
        return status;
    status = fill_for_partition(partition, input, call->output);
    partition_release(partition);
    return status;
}
