/* SPDX-License-Identifier: MIT */
#include "parent/tools/bhstat/json.h"

#include "hv/abi/partition.h"

#define FRAME_SIZE 4096u

/* json_pack's "I" takes json_int_t; counters stay far below 2^63. */
static json_int_t count(uint64_t value)
{
    return (json_int_t)value;
}

static json_int_t ns(uint64_t time)
{
    return count(time * 100u);
}

static json_int_t bytes(uint64_t frames)
{
    return count(frames * FRAME_SIZE);
}

static json_t *hypervisor_json(const struct bh_info *info)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "release",
                     info->release, "build", info->build, "abi_version", count(info->abi_version),
                     "vendor", bh_vendor_name(info->vendor), "command_line", info->command_line,
                     "tsc_hz", count(info->tsc_hz), "uptime_ns", ns(info->uptime), "image_base",
                     count(info->image_base), "image_bytes", count(info->image_size), "memory_base",
                     count(info->memory_base), "memory_bytes", count(info->memory_size));
}

static json_t *memory_json(const struct bh_hypervisor_stats *stats)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "total_bytes", bytes(stats->frames_total),
        "hypervisor_bytes", bytes(stats->frames_hypervisor), "parent_bytes",
        bytes(stats->frames_parent), "deposited_bytes", bytes(stats->frames_deposited),
        "shared_bytes", bytes(stats->frames_shared), "unassigned_bytes",
        bytes(stats->frames_unassigned), "pool_total_bytes", bytes(stats->pool_pages_total),
        "pool_free_bytes", bytes(stats->pool_pages_free));
}

static json_t *lp_json(uint32_t index, const struct bh_lp_stats *lp)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}",
                     "index", count(index), "apic_id", count(lp->apic_id), "idle_ns",
                     ns(lp->time_idle), "hypervisor_ns", ns(lp->time_hypervisor), "scheduler_ns",
                     ns(lp->time_scheduler), "guest_ns", ns(lp->time_guest), "context_switches",
                     count(lp->context_switches), "interrupts", "forwarded",
                     count(lp->interrupts_forwarded), "level", count(lp->interrupts_level),
                     "dropped", count(lp->interrupts_dropped), "kick", count(lp->interrupts_kick),
                     "timer", count(lp->interrupts_timer), "spurious",
                     count(lp->interrupts_spurious), "nmi", count(lp->nmis));
}

static json_t *exits_json(const struct bh_vp_stats *vp)
{
    json_t *exits = json_object();

    for (unsigned i = 0; exits != NULL && i < BH_EXIT_COUNT; i++)
        json_object_set_new(exits, bh_exit_name(i), json_integer(count(vp->exits[i])));
    return exits;
}

static json_t *vp_json(uint32_t index, const struct bh_vp_stats *vp)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "index",
                     count(index), "lp", count(vp->lp_index), "guest_ns", ns(vp->time_guest),
                     "hypervisor_ns", ns(vp->time_hypervisor), "halted_ns", ns(vp->time_halted),
                     "dispatches", count(vp->dispatches), "interrupts_injected",
                     count(vp->interrupts_injected), "eois_avoided", count(vp->eois_avoided),
                     "messages_delivered", count(vp->messages_delivered), "timer_expirations",
                     count(vp->timer_expirations), "exits", exits_json(vp));
}

static json_t *crash_json(const struct bh_partition_stats *stats)
{
    json_t *parameters = json_array();

    for (unsigned i = 0; parameters != NULL && i < 5; i++)
        json_array_append_new(
            parameters, json_sprintf("0x%llx", (unsigned long long)stats->crash_parameter[i]));
    return json_pack("{s:I, s:o}", "count", count(stats->crash_count), "parameters", parameters);
}

/* Of each VP, in percent of its LP. */
static json_t *share_json(uint64_t share)
{
    return json_pack("{s:I, s:f, s:f}", "weight", count(BH_SHARE_WEIGHT(share)), "reserve_percent",
                     (double)BH_SHARE_RESERVE(share) / 100, "cap_percent",
                     (double)BH_SHARE_CAP(share) / 100);
}

static json_t *partition_json(const struct bhstat_partition *partition)
{
    const struct bh_partition_stats *stats = &partition->stats;
    json_t *vps = json_array();

    for (uint32_t i = 0; vps != NULL && i < partition->vp_count; i++)
        json_array_append_new(vps, vp_json(i, &partition->vp[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "id",
                     count(stats->partition_id), "owned_bytes", bytes(stats->frames_owned),
                     "deposited_bytes", bytes(stats->frames_deposited), "deposited_free_bytes",
                     bytes(stats->frames_deposited_free), "mapped_bytes",
                     bytes(stats->frames_mapped), "nested_table_bytes",
                     bytes(stats->nested_table_pages), "hypercalls", count(stats->hypercalls),
                     "crash", crash_json(stats), "share", share_json(stats->share), "vps", vps);
}

json_t *bhstat_json(const struct bhstat_snapshot *snapshot)
{
    json_t *lps = json_array();
    json_t *partitions = json_array();

    for (uint32_t i = 0; lps != NULL && i < snapshot->lp_count; i++)
        json_array_append_new(lps, lp_json(i, &snapshot->lp[i]));
    for (uint32_t i = 0; partitions != NULL && i < snapshot->partition_count; i++)
        json_array_append_new(partitions, partition_json(&snapshot->partition[i]));
    return json_pack("{s:o, s:o, s:{s:I, s:I}, s:o, s:o}", "hypervisor",
                     hypervisor_json(&snapshot->info), "memory", memory_json(&snapshot->hypervisor),
                     "log", "bytes", count(snapshot->hypervisor.log_bytes), "lost_bytes",
                     count(snapshot->hypervisor.log_lost_bytes), "lps", lps, "partitions",
                     partitions);
}
