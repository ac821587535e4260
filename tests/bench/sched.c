/* SPDX-License-Identifier: MIT */
/*
 * What it costs to pick the next VP among few and among many.
 *
 * A table for 10 to 10,000 VPs of mixed weights, a seventh of them capped, on one LP: comparisons
 * of a pick and of a wake-up, mean and most, and instructions of a pick. Instructions are counted
 * by single-stepping a copy of this process, so they repeat and need no performance counter. Exit
 * status 1 when one of the figures grows faster than the logarithm of the number of VPs.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/core/sched.h"

#define ENTITIES_MAX    10000u
#define ROUNDS          20000u
#define STEPPED_ROUNDS  30u
#define SLACK           1.25
#define COMPARISONS_LOG 10.0 /* at most, for each doubling: five heap operations of two edges */

static struct sched_queue queue;
static struct sched_entity entities[ENTITIES_MAX];
static reftime_t now;
static unsigned comparisons;
static heap_before *real_before;

struct figures {
    double pick, wake; /* comparisons, mean */
    unsigned pick_most, wake_most;
    double instructions; /* of a pick; 0: not counted */
};

static bool counting_before(const struct heap_node *a, const struct heap_node *b)
{
    comparisons++;
    return real_before(a, b);
}

static void set_up(unsigned count)
{
    now = 0;
    sched_queue_init(&queue, now);
    real_before = queue.lane[0].before;
    for (unsigned i = 0; i < count; i++) {
        const struct sched_params params = {.weight = 1 + i % 500,
                                            .cap = i % 7 ? 0 : SCHED_PERCENT(50)};

        if (sched_entity_init(&entities[i], &queue, &params) != HV_STATUS_SUCCESS)
            abort();
        sched_wake(&entities[i], false, now);
    }
    sched_pick(&queue, now);
}

static void pick(void)
{
    now += SCHED_MS(1);
    sched_pick(&queue, now);
}

static void count_comparisons(unsigned count, struct figures *figures)
{
    uint64_t picks = 0, wakes = 0;

    set_up(count);
    for (unsigned lane = 0; lane < SCHED_LANES; lane++)
        queue.lane[lane].before = counting_before;
    srand(17);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct sched_entity *sleeper = &entities[(unsigned)rand() % count];

        comparisons = 0;
        pick();
        picks += comparisons;
        figures->pick_most = comparisons > figures->pick_most ? comparisons : figures->pick_most;
        comparisons = 0;
        if (sleeper != queue.running) {
            sched_block(sleeper, now);
            sched_wake(sleeper, false, now);
        }
        wakes += comparisons;
        figures->wake_most = comparisons > figures->wake_most ? comparisons : figures->wake_most;
    }
    figures->pick = (double)picks / ROUNDS;
    figures->wake = (double)wakes / ROUNDS;
}

/* Steps a child through what it does between two stops. 0: the system lets nobody step. */
static uint64_t step(unsigned count, unsigned rounds)
{
    uint64_t steps = 0;
    int status;
    const pid_t child = fork();

    if (child == 0) {
        set_up(count);
        for (unsigned i = 0; i < 2 * count; i++)
            pick();
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(1);
        raise(SIGSTOP);
        for (unsigned i = 0; i < rounds; i++)
            pick();
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(child, &status, 0);
    while (WIFSTOPPED(status)) {
        if (steps > 0 && WSTOPSIG(status) == SIGSTOP)
            break;
        steps++;
        ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
        waitpid(child, &status, 0);
    }
    if (WIFSTOPPED(status)) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    return steps;
}

static struct figures measure(unsigned count)
{
    struct figures figures = {0};

    count_comparisons(count, &figures);
    const uint64_t none = step(count, 0), some = step(count, STEPPED_ROUNDS);

    if (none > 0)
        figures.instructions = (double)(some - none) / STEPPED_ROUNDS;
    return figures;
}

int main(void)
{
    static const unsigned counts[] = {10, 100, 1000, 10000};
    const double first_log = log2(counts[1]);
    struct figures first = {0};
    bool good = true;

    printf("    VPs  pick: mean  most   wake: mean  most   instructions of a pick\n");
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const struct figures figures = measure(counts[i]);
        const double growth = log2(counts[i]) / first_log * SLACK;

        printf("%7u  %10.1f %5u   %10.1f %5u   %22.0f\n", counts[i], figures.pick,
               figures.pick_most, figures.wake, figures.wake_most, figures.instructions);
        if (i == 1)
            first = figures;
        good = good && figures.pick_most <= COMPARISONS_LOG * log2(counts[i]) &&
               figures.wake_most <= COMPARISONS_LOG * log2(counts[i]);
        if (i > 1)
            good = good && figures.pick <= first.pick * growth &&
                   figures.instructions <= first.instructions * growth;
    }
    printf("%s: each figure grows no faster than the logarithm, within %.0f %%\n",
           good ? "ok" : "FAILED", (SLACK - 1) * 100);
    return good ? 0 : 1;
}
