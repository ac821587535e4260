/* SPDX-License-Identifier: MIT */
/*
 * Test module: a storm of interprocessor interrupts and timers, in which every one is counted.
 *
 * Loading it runs two phases and takes about `seconds` seconds:
 *   pairs   one processor at a time calls one other, `calls` times, and waits for each call; as
 *           nobody else sends anything, a lost interrupt is a call that never ends
 *   storm   all processors call all others at once; at the same time each has a one-shot timer that
 *           re-arms itself, and interrupts itself
 * Then it says in the kernel log what was sent, what arrived and how late the latest was. A call
 * that has not ended after LOST_NS is counted as lost and ends the phase of its sender.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

#define LOST_NS  (10 * NSEC_PER_SEC)
#define TIMER_NS (200 * NSEC_PER_USEC)
#define MAX_CPUS 8

static unsigned int seconds = 10;
module_param(seconds, uint, 0);
MODULE_PARM_DESC(seconds, "length of the storm");
static unsigned int calls = 200;
module_param(calls, uint, 0);
MODULE_PARM_DESC(calls, "calls of each pair, one after the other");

struct call {
    call_single_data_t data;
    u64 sent_at;
    atomic_t pending;
    u64 latency;
};

struct tally {
    u64 sent;
    u64 received;
    u64 lost;
    u64 latest; /* ns */
};

/* One processor's part of the storm; written by it alone, but for the calls' completion. */
struct station {
    unsigned int cpu;
    struct task_struct *thread;
    struct call call[MAX_CPUS];
    struct tally calls;
    struct hrtimer timer;
    struct tally timers;
    struct irq_work work;
    struct tally works;
    u64 work_sent_at;
    bool stop;
};

static struct station station[MAX_CPUS];
static struct tally pair_calls;
static u64 storm_end;
static struct completion stations_done;
static atomic_t stations_running;

static void note_latest(struct tally *tally, u64 latency)
{
    if (latency > tally->latest)
        tally->latest = latency;
}

static void call_arrived(void *info)
{
    struct call *call = info;

    call->latency = ktime_get_ns() - call->sent_at;
    atomic_set_release(&call->pending, 0);
}

static void call_send(struct call *call, unsigned int cpu, struct tally *tally)
{
    call->sent_at = ktime_get_ns();
    atomic_set(&call->pending, 1);
    tally->sent++;
    if (smp_call_function_single_async(cpu, &call->data) != 0) {
        tally->lost++;
        atomic_set(&call->pending, 0);
    }
}

/* Waits for the call; false when it is lost. */
static bool call_wait(struct call *call, struct tally *tally)
{
    while (atomic_read_acquire(&call->pending)) {
        if (ktime_get_ns() - call->sent_at > LOST_NS) {
            tally->lost++;
            return false;
        }
        cpu_relax();
        cond_resched();
    }
    tally->received++;
    note_latest(tally, call->latency);
    return true;
}

static long pair_run(void *info)
{
    struct call *call = &station[smp_processor_id()].call[*(unsigned int *)info];
    unsigned int count;

    for (count = 0; count < calls; count++) {
        call_send(call, *(unsigned int *)info, &pair_calls);
        if (!call_wait(call, &pair_calls))
            return -ETIME;
    }
    return 0;
}

static int run_pairs(void)
{
    unsigned int from, to;

    for_each_online_cpu(from) {
        for_each_online_cpu(to) {
            if (from != to && work_on_cpu(from, pair_run, &to) != 0)
                return -ETIME;
        }
    }
    return 0;
}

static enum hrtimer_restart timer_fired(struct hrtimer *timer)
{
    struct station *here = container_of(timer, struct station, timer);

    here->timers.received++;
    note_latest(&here->timers, ktime_to_ns(ktime_sub(ktime_get(), hrtimer_get_expires(timer))));
    if (READ_ONCE(here->stop))
        return HRTIMER_NORESTART;
    here->timers.sent++;
    hrtimer_set_expires(timer, ktime_add_ns(ktime_get(), TIMER_NS));
    return HRTIMER_RESTART;
}

static void work_arrived(struct irq_work *work)
{
    struct station *here = container_of(work, struct station, work);

    here->works.received++;
    note_latest(&here->works, ktime_get_ns() - here->work_sent_at);
}

/* One round: a call to each other processor that has ended its last one, and one to oneself. */
static void station_round(struct station *here)
{
    unsigned int to;

    for_each_online_cpu(to) {
        struct call *call = &here->call[to];

        if (to == here->cpu || atomic_read_acquire(&call->pending))
            continue;
        if (call->sent_at)
            call_wait(call, &here->calls);
        call_send(call, to, &here->calls);
    }
    if (!irq_work_is_busy(&here->work)) {
        here->work_sent_at = ktime_get_ns();
        here->works.sent += irq_work_queue(&here->work);
    }
}

/* Waits for everything under way; what does not end in time is lost. */
static void station_finish(struct station *here)
{
    u64 began = ktime_get_ns();
    unsigned int to;

    for_each_online_cpu(to) {
        if (to != here->cpu && here->call[to].sent_at)
            call_wait(&here->call[to], &here->calls);
    }
    WRITE_ONCE(here->stop, true);
    while (here->timers.received < here->timers.sent || here->works.received < here->works.sent) {
        if (ktime_get_ns() - began > LOST_NS)
            break;
        usleep_range(100, 200);
    }
    hrtimer_cancel(&here->timer);
    here->timers.lost = here->timers.sent - here->timers.received;
    here->works.lost = here->works.sent - here->works.received;
}

static int station_run(void *info)
{
    struct station *here = info;
    unsigned int to;

    for (to = 0; to < MAX_CPUS; to++)
        here->call[to].sent_at = 0;
    here->timers.sent = 1;
    hrtimer_start(&here->timer, ns_to_ktime(TIMER_NS), HRTIMER_MODE_REL_PINNED_HARD);
    while (ktime_get_ns() < storm_end && here->calls.lost == 0) {
        station_round(here);
        cond_resched();
    }
    station_finish(here);
    if (atomic_dec_and_test(&stations_running))
        complete(&stations_done);
    while (!kthread_should_stop()) /* the module's code must not go while this thread is in it */
        msleep(1);
    return 0;
}

static void prepare(void)
{
    unsigned int cpu, to;

    for (cpu = 0; cpu < MAX_CPUS; cpu++) {
        station[cpu].cpu = cpu;
        hrtimer_init(&station[cpu].timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
        station[cpu].timer.function = timer_fired;
        init_irq_work(&station[cpu].work, work_arrived);
        for (to = 0; to < MAX_CPUS; to++)
            INIT_CSD(&station[cpu].call[to].data, call_arrived, &station[cpu].call[to]);
    }
}

static void stop_stations(void)
{
    unsigned int cpu;

    for_each_online_cpu(cpu) {
        if (!IS_ERR_OR_NULL(station[cpu].thread))
            kthread_stop(station[cpu].thread);
    }
}

static int run_storm(void)
{
    unsigned int cpu;
    int status = 0;

    init_completion(&stations_done);
    storm_end = ktime_get_ns() + seconds * NSEC_PER_SEC;
    atomic_set(&stations_running, num_online_cpus());
    for_each_online_cpu(cpu) {
        station[cpu].thread = kthread_create_on_cpu(station_run, &station[cpu], cpu, "storm/%u");
        if (IS_ERR(station[cpu].thread))
            status = PTR_ERR(station[cpu].thread);
    }
    if (status == 0) {
        for_each_online_cpu(cpu)
            wake_up_process(station[cpu].thread);
        wait_for_completion(&stations_done);
    }
    stop_stations();
    return status;
}

static void say(const char *what, const struct tally *tally)
{
    pr_info("storm: %s sent %llu received %llu lost %llu latest_us %llu\n", what, tally->sent,
            tally->received, tally->lost, tally->latest / NSEC_PER_USEC);
}

static int __init storm_init(void)
{
    unsigned int cpu;
    int status;

    if (num_possible_cpus() > MAX_CPUS && cpumask_last(cpu_online_mask) >= MAX_CPUS)
        return -E2BIG;
    prepare();
    cpus_read_lock();
    status = run_pairs();
    if (status == 0)
        status = run_storm();
    say("pairs", &pair_calls);
    for_each_online_cpu(cpu) {
        say("calls", &station[cpu].calls);
        say("timers", &station[cpu].timers);
        say("self", &station[cpu].works);
    }
    cpus_read_unlock();
    return status;
}

static void __exit storm_exit(void)
{
}

module_init(storm_init);
module_exit(storm_exit);

MODULE_DESCRIPTION("Bulkhead test: counts interprocessor interrupts and timers");
MODULE_LICENSE("Dual MIT/GPL");
