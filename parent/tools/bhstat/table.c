/* SPDX-License-Identifier: MIT */
#include "parent/tools/bhstat/table.h"

#include <inttypes.h>

#include "hv/abi/partition.h"

#define TICKS_PER_SECOND 10000000.0 /* of 100 ns */
#define FRAMES_PER_MIB   256.0
#define TOP_EXITS        5u

/* Counters never go down, but one that did must not print as 2^64. */
static double grown(uint64_t before, uint64_t now)
{
    return now > before ? (double)(now - before) : 0.0;
}

struct interval {
    double ticks;
};

static double percent(struct interval interval, uint64_t before, uint64_t now)
{
    return interval.ticks > 0 ? grown(before, now) * 100.0 / interval.ticks : 0.0;
}

static double rate(struct interval interval, uint64_t before, uint64_t now)
{
    return interval.ticks > 0 ? grown(before, now) * TICKS_PER_SECOND / interval.ticks : 0.0;
}

static double mib(uint64_t frames)
{
    return (double)frames / FRAMES_PER_MIB;
}

static void print_head(FILE *out, struct interval interval, bool since_start,
                       const struct bhstat_snapshot *now)
{
    uint64_t seconds = now->info.uptime / 10000000u;

    fprintf(out, "Bulkhead %s (%s), up %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ", %u LPs, %u %s, ",
            now->info.release, bh_vendor_name(now->info.vendor), seconds / 3600, seconds / 60 % 60,
            seconds % 60, now->info.lp_count, now->info.partition_count,
            now->info.partition_count == 1 ? "partition" : "partitions");
    if (since_start)
        fprintf(out, "averages since start\n");
    else
        fprintf(out, "averages over %.1f s\n", interval.ticks / TICKS_PER_SECOND);
}

static void print_memory(FILE *out, const struct bh_hypervisor_stats *stats)
{
    fprintf(out,
            "memory MiB: total %.1f, hypervisor %.1f (pool %.1f free of %.1f), parent %.1f, "
            "deposited %.1f, shared %.1f, unassigned %.1f\n",
            mib(stats->frames_total), mib(stats->frames_hypervisor), mib(stats->pool_pages_free),
            mib(stats->pool_pages_total), mib(stats->frames_parent), mib(stats->frames_deposited),
            mib(stats->frames_shared), mib(stats->frames_unassigned));
}

static void print_lp(FILE *out, struct interval interval, uint32_t index,
                     const struct bh_lp_stats *before, const struct bh_lp_stats *now)
{
    fprintf(out, "%4u %6.1f %6.1f %6.2f %6.2f %9.0f %9.0f %8.0f %8.0f %8.0f %7.0f %6" PRIu64 "\n",
            index, percent(interval, before->time_guest, now->time_guest),
            percent(interval, before->time_idle, now->time_idle),
            percent(interval, before->time_hypervisor, now->time_hypervisor),
            percent(interval, before->time_scheduler, now->time_scheduler),
            rate(interval, before->context_switches, now->context_switches),
            rate(interval, before->interrupts_forwarded, now->interrupts_forwarded),
            rate(interval, before->interrupts_level, now->interrupts_level),
            rate(interval, before->interrupts_timer, now->interrupts_timer),
            rate(interval, before->interrupts_kick, now->interrupts_kick),
            rate(interval, before->nmis, now->nmis),
            now->interrupts_dropped + now->interrupts_spurious);
}

static void print_lps(FILE *out, struct interval interval, const struct bhstat_snapshot *before,
                      const struct bhstat_snapshot *now)
{
    static const struct bh_lp_stats zero;

    fprintf(out, "\n  LP guest%%  idle%%    hv%% sched%%  switch/s  device/s  level/s  timer/s   "
                 "kick/s   nmi/s   lost\n");
    for (uint32_t i = 0; i < now->lp_count; i++)
        print_lp(out, interval, i, before != NULL && i < before->lp_count ? &before->lp[i] : &zero,
                 &now->lp[i]);
}

/* The index of the exit kind that grew most and is not in `used` yet. */
static unsigned next_top_exit(const struct bh_vp_stats *before, const struct bh_vp_stats *now,
                              uint32_t used)
{
    unsigned top = BH_EXIT_COUNT;

    for (unsigned i = 0; i < BH_EXIT_COUNT; i++) {
        double growth = grown(before->exits[i], now->exits[i]);

        if ((used >> i & 1u) == 0 && growth > 0 &&
            (top == BH_EXIT_COUNT || growth > grown(before->exits[top], now->exits[top])))
            top = i;
    }
    return top;
}

static void print_exits(FILE *out, struct interval interval, const struct bh_vp_stats *before,
                        const struct bh_vp_stats *now)
{
    uint32_t used = 0;

    for (unsigned n = 0; n < TOP_EXITS; n++) {
        unsigned top = next_top_exit(before, now, used);

        if (top == BH_EXIT_COUNT)
            break;
        used |= 1u << top;
        fprintf(out, "  %s %.0f", bh_exit_name(top),
                rate(interval, before->exits[top], now->exits[top]));
    }
    fputc('\n', out);
}

static double exits_rate(struct interval interval, const struct bh_vp_stats *before,
                         const struct bh_vp_stats *now)
{
    double sum = 0;

    for (unsigned i = 0; i < BH_EXIT_COUNT; i++)
        sum += rate(interval, before->exits[i], now->exits[i]);
    return sum;
}

static void print_vp(FILE *out, struct interval interval, uint64_t partition, uint32_t index,
                     const struct bh_vp_stats *before, const struct bh_vp_stats *now)
{
    fprintf(out, "%4" PRIu64 " %3u %3" PRIu64 " %6.1f %6.1f %6.2f %9.0f %9.0f %8.0f", partition,
            index, now->lp_index, percent(interval, before->time_guest, now->time_guest),
            percent(interval, before->time_halted, now->time_halted),
            percent(interval, before->time_hypervisor, now->time_hypervisor),
            rate(interval, before->interrupts_injected, now->interrupts_injected),
            exits_rate(interval, before, now), rate(interval, before->dispatches, now->dispatches));
    print_exits(out, interval, before, now);
}

static void print_vps(FILE *out, struct interval interval, const struct bhstat_snapshot *before,
                      const struct bhstat_snapshot *now)
{
    static const struct bh_vp_stats zero;

    fprintf(out, "\nPART  VP  LP guest%%  halt%%    hv%%  inject/s   exits/s   runs/s  most "
                 "frequent exits, per second\n");
    for (uint32_t p = 0; p < now->partition_count; p++) {
        const struct bhstat_partition *partition = &now->partition[p];
        uint64_t id = partition->stats.partition_id;

        for (uint32_t v = 0; v < partition->vp_count; v++) {
            const struct bh_vp_stats *old =
                before != NULL ? bhstat_snapshot_find_vp(before, id, v) : NULL;

            print_vp(out, interval, id, v, old != NULL ? old : &zero, &partition->vp[v]);
        }
    }
}

static void print_partition(FILE *out, struct interval interval,
                            const struct bh_partition_stats *before,
                            const struct bh_partition_stats *now)
{
    fprintf(out, "%4" PRIu64 " %3" PRIu64 " %6" PRIu64 " %6.1f %6.1f %9.1f %10.1f %9.1f %9.0f\n",
            now->partition_id, now->vp_count, BH_SHARE_WEIGHT(now->share),
            (double)BH_SHARE_RESERVE(now->share) / 100, (double)BH_SHARE_CAP(now->share) / 100,
            mib(now->frames_owned), mib(now->frames_mapped), mib(now->nested_table_pages),
            rate(interval, before->hypercalls, now->hypercalls));
}

/* Shares are each VP's: percent of its LP; a cap of 0 is none. */
static void print_partitions(FILE *out, struct interval interval,
                             const struct bhstat_snapshot *before,
                             const struct bhstat_snapshot *now)
{
    static const struct bh_partition_stats zero;

    fprintf(out, "\nPART VPs weight   rsv%%   cap%% owned MiB mapped MiB tables MiB  calls/s\n");
    for (uint32_t p = 0; p < now->partition_count; p++) {
        const struct bh_partition_stats *stats = &now->partition[p].stats;
        const struct bh_partition_stats *old =
            before != NULL ? bhstat_snapshot_find(before, stats->partition_id) : NULL;

        print_partition(out, interval, old != NULL ? old : &zero, stats);
    }
}

void bhstat_table(FILE *out, const struct bhstat_snapshot *before,
                  const struct bhstat_snapshot *now)
{
    uint64_t start = before != NULL ? before->hypervisor.uptime : 0;
    struct interval interval = {.ticks = grown(start, now->hypervisor.uptime)};

    print_head(out, interval, before == NULL, now);
    print_memory(out, &now->hypervisor);
    print_lps(out, interval, before, now);
    print_partitions(out, interval, before, now);
    print_vps(out, interval, before, now);
}
