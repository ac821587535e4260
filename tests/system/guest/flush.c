/* SPDX-License-Identifier: MIT */
/*
 * Looks for translations that a processor kept after they were flushed.
 *
 *   flush ROUNDS READER_CPU WRITER_CPU
 *
 * A thread reads one address as fast as it can. Another maps a second page there instead of the
 * first, again and again; the kernel then flushes the reader's processor. When the call is back,
 * nobody may see the old page any more: its other mapping is used to write a mark into it, and the
 * next round waits until the reader has read often. One mark read is one flush lost. "lost COUNT".
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE  ((size_t)4096)
#define READS 200u /* in each round */

enum { FRESH = 1, MARK = 2 };

static const volatile uint64_t *view;
static atomic_ulong reads, lost;
static atomic_bool stopping;

static _Noreturn void fail(const char *text)
{
    perror(text);
    exit(1);
}

static void stay_on(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fail("sched_setaffinity");
}

static void *read_always(void *cpu)
{
    stay_on(*(const int *)cpu);
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        if (*view == MARK)
            atomic_fetch_add(&lost, 1);
        atomic_fetch_add_explicit(&reads, 1, memory_order_release);
    }
    return NULL;
}

static void wait_for_reads(void)
{
    const unsigned long until = atomic_load(&reads) + READS;

    while (atomic_load_explicit(&reads, memory_order_acquire) < until)
        __builtin_ia32_pause();
}

/* Page `at` of the file is what the reader reads from now on. */
static void show(int file, unsigned at)
{
    void *place = (void *)(uintptr_t)view;

    if (mmap(place, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file, (off_t)(at * PAGE)) != place)
        fail("mmap");
}

static void swap_pages(int file, volatile uint64_t *const page[2], unsigned long rounds)
{
    for (unsigned long round = 0; round < rounds; round++) {
        const unsigned now = round % 2;

        *page[1 - now] = FRESH;
        show(file, 1 - now);
        *page[now] = MARK;
        wait_for_reads();
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: flush ROUNDS READER_CPU WRITER_CPU\n", stderr);
        return 2;
    }
    int cpu = (int)strtol(argv[2], NULL, 10);
    pthread_t reader;
    const int file = memfd_create("flush", 0);

    if (file < 0 || ftruncate(file, (off_t)(2 * PAGE)) != 0)
        fail("memfd_create");
    char *both = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    view = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
    if (both == MAP_FAILED || view == MAP_FAILED)
        fail("mmap");
    volatile uint64_t *const page[2] = {(uint64_t *)(void *)both,
                                        (uint64_t *)(void *)(both + PAGE)};

    *page[0] = FRESH;
    stay_on((int)strtol(argv[3], NULL, 10));
    if (pthread_create(&reader, NULL, read_always, &cpu) != 0)
        fail("pthread_create");
    wait_for_reads();
    swap_pages(file, page, strtoul(argv[1], NULL, 10));
    atomic_store(&stopping, true);
    pthread_join(reader, NULL);
    printf("lost %lu\n", atomic_load(&lost));
    return 0;
}
