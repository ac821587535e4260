/* SPDX-License-Identifier: MIT */
/*
 * Children that compute without end, and how much of the processors each gets.
 *
 *   spin MILLISECONDS SHARE... [: SHARE...]...
 *
 * SHARE is WEIGHT[/RESERVE[/CAP]], the last two in percent of a processor. There is a child of one
 * VP for each SHARE of the first group. After a moment the first phase is measured; each further
 * group changes the shares, while all run, and begins another phase. Of each child and phase a line
 * tells the VP's run time as the hypervisor counts it and what the guest itself counted. A timer of
 * the parent meanwhile expires every 4 ms; how late its thread ran is told at the end.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "parent/partition/host.h"
#include "parent/partition/partition.h"

#define CHILDREN_MAX    16u
#define SAMPLES_MAX     1000000u
#define MEMORY_SIZE     0x4000u
#define CODE            0x1000u
#define COUNTER         0x2000u
#define CODE_ATTRIBUTES 0x9bu
#define SETTLE_MS       300u
#define TICK_NS         4000000L

static const unsigned char code[] = {
    0x66, 0x83, 0x06, 0x00, 0x20, 0x01, /* add dword [0x2000], 1 */
    0x66, 0x83, 0x16, 0x04, 0x20, 0x00, /* adc dword [0x2004], 0 */
    0xeb, 0xf2,                         /* jmp to the beginning */
};

struct child {
    struct bh_partition *partition;
    struct bh_vp *vp;
    uint64_t id;
    unsigned char *memory;
    pthread_t thread;
    struct timespec begin; /* of the phase */
    uint64_t ran, counted; /* at that time; ran in 100 ns */
};

static struct child children[CHILDREN_MAX];
static unsigned child_count;
static struct bh_host *host;
static uint32_t *samples; /* nanoseconds */
static unsigned sample_count;
static atomic_bool stopping;

static _Noreturn void fail(const char *text)
{
    printf("error: %s\n", text);
    exit(1);
}

static void sleep_ms(unsigned long ms)
{
    const struct timespec time = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_nsec = (long)(ms % 1000 * 1000000)};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/* --- children ----------------------------------------------------------------------------- */

static void set_share(const struct child *child, const char *text)
{
    unsigned long part[3] = {0}; /* weight, reserve, cap */
    struct bh_error error;
    char *end;

    for (unsigned i = 0; i < 3 && *text != '\0'; i++) {
        part[i] = strtoul(text, &end, 10);
        text = *end == '/' ? end + 1 : end;
    }
    if (*text != '\0')
        fail("a share is WEIGHT[/RESERVE[/CAP]]");
    if (!bh_partition_set_share(child->partition, BH_SHARE(part[0], part[1] * 100, part[2] * 100),
                                &error))
        fail(error.text);
}

static void set_registers(struct bh_vp *vp)
{
    const struct bh_register registers[] = {
        {HV_REGISTER_CS, {.segment = {.limit = 0xffff, .attributes = CODE_ATTRIBUTES}}},
        {HV_REGISTER_RIP, {.u64 = CODE}},
        {HV_REGISTER_RFLAGS, {.u64 = 2}},
    };
    struct bh_error error;

    if (!bh_vp_set_registers(vp, registers, sizeof registers / sizeof registers[0], &error))
        fail(error.text);
}

static void *run(void *argument)
{
    struct child *child = argument;
    struct hv_message message;
    struct bh_error error;

    while (!atomic_load(&stopping))
        if (bh_vp_run(child->vp, &message, &error) != BH_VP_INTERRUPTED)
            fail("a guest that only counts ended its run");
    return NULL;
}

static void create(struct child *child, int node)
{
    struct bh_error error;

    child->memory =
        mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (child->memory == MAP_FAILED)
        fail("no memory");
    memset(child->memory, 0, MEMORY_SIZE);
    memcpy(child->memory + CODE, code, sizeof code);
    child->partition = bh_partition_create(&bh_device_layer_kernel, node, &error);
    if (child->partition == NULL || !bh_partition_initialize(child->partition, &error) ||
        !bh_partition_map(child->partition, 0, child->memory, MEMORY_SIZE, &error) ||
        !bh_host_partition_id(host, bh_partition_fd(child->partition), &child->id, &error))
        fail(error.text);
    child->vp = bh_vp_create(child->partition, 0, &error);
    if (child->vp == NULL)
        fail(error.text);
    set_registers(child->vp);
}

static void stop_all(void)
{
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < child_count; i++) {
        pthread_kill(children[i].thread, SIGUSR1);
        pthread_join(children[i].thread, NULL);
        bh_vp_close(children[i].vp);
        bh_partition_close(children[i].partition);
    }
}

/* --- the parent's timer ------------------------------------------------------------------- */

static long ns_between(struct timespec from, struct timespec to)
{
    return (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec;
}

static void *tick(void *argument)
{
    struct timespec next, now;

    (void)argument;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!atomic_load(&stopping) && sample_count < SAMPLES_MAX) {
        next.tv_nsec += TICK_NS;
        next.tv_sec += next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        samples[sample_count++] = (uint32_t)ns_between(next, now);
    }
    return NULL;
}

static pthread_t start_ticking(void)
{
    const struct sched_param priority = {.sched_priority = 50};
    pthread_t thread;

    samples = calloc(SAMPLES_MAX, sizeof *samples);
    if (samples == NULL || pthread_create(&thread, NULL, tick, NULL) != 0 ||
        pthread_setschedparam(thread, SCHED_FIFO, &priority) != 0)
        fail("no thread for the timer");
    return thread;
}

static int compare(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

static void print_latency(void)
{
    qsort(samples, sample_count, sizeof *samples, compare);
    printf("timer samples %u p50 %u p95 %u p99 %u max %u ns late\n", sample_count,
           samples[sample_count / 2], samples[sample_count * 95ul / 100],
           samples[sample_count * 99ul / 100], samples[sample_count - 1]);
}

/* --- phases ------------------------------------------------------------------------------- */

static struct bh_vp_stats stats_of(const struct child *child)
{
    struct bh_vp_stats stats;
    struct bh_error error;

    if (!bh_host_vp_stats(host, child->id, 0, &stats, &error))
        fail(error.text);
    return stats;
}

static void look(const struct child *child, struct timespec *at, uint64_t *ran, uint64_t *counted)
{
    const struct bh_vp_stats stats = stats_of(child);

    clock_gettime(CLOCK_MONOTONIC, at);
    *ran = stats.time_guest + stats.time_hypervisor;
    memcpy(counted, child->memory + COUNTER, sizeof *counted);
}

static void measure(unsigned phase, unsigned long ms, char **shares)
{
    sleep_ms(SETTLE_MS);
    for (unsigned i = 0; i < child_count; i++)
        look(&children[i], &children[i].begin, &children[i].ran, &children[i].counted);
    sleep_ms(ms);
    for (unsigned i = 0; i < child_count; i++) {
        const struct child *child = &children[i];
        struct timespec end;
        uint64_t ran, counted;

        look(child, &end, &ran, &counted);
        printf("phase %u child %u share %s lp %lu ran %lu counted %lu of %ld\n", phase, i,
               shares[i], stats_of(child).lp_index, (ran - child->ran) * 100,
               counted - child->counted, ns_between(child->begin, end));
    }
}

static void on_signal(int number)
{
    (void)number;
}

static void start_all(char **shares)
{
    const struct sigaction action = {.sa_handler = on_signal};
    struct bh_error error;
    const int node = bh_partition_open_node(&bh_device_layer_kernel, &error);

    host = bh_host_open(NULL, &error);
    if (node < 0 || host == NULL)
        fail(error.text);
    sigaction(SIGUSR1, &action, NULL);
    for (unsigned i = 0; i < child_count; i++) {
        create(&children[i], node);
        set_share(&children[i], shares[i]);
    }
    for (unsigned i = 0; i < child_count; i++)
        if (pthread_create(&children[i].thread, NULL, run, &children[i]) != 0)
            fail("no thread");
}

int main(int argc, char **argv)
{
    const unsigned long ms = argc > 2 ? strtoul(argv[1], NULL, 0) : 0;
    char **shares = argv + 2;

    while (ms != 0 && shares[child_count] != NULL && strcmp(shares[child_count], ":") != 0)
        child_count++;
    if (child_count == 0 || child_count > CHILDREN_MAX) {
        printf("usage: spin MILLISECONDS WEIGHT[/RESERVE[/CAP]]... [: SHARE...]...\n");
        return 2;
    }
    start_all(shares);
    const pthread_t ticker = start_ticking();

    for (unsigned phase = 0;; phase++) {
        measure(phase, ms, shares);
        if (shares[child_count] == NULL)
            break;
        shares += child_count + 1;
        for (unsigned i = 0; i < child_count && shares[i] != NULL; i++)
            set_share(&children[i], shares[i]);
    }
    stop_all();
    pthread_join(ticker, NULL);
    print_latency();
    bh_host_close(host);
    return 0;
}
