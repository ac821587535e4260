/* SPDX-License-Identifier: MIT */
/*
 * Tries to reach physical memory through /dev/mem, page by page: by read(), by a mapping read, and
 * by a mapping written. Faults are caught and counted as refused.
 *
 *   memprobe BASE SIZE    prints "pages N read N mapped_read N mapped_write N", the successes
 *
 * Do not name memory that somebody needs: a write that succeeds has written.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

static sigjmp_buf fault;

static void on_fault(int number)
{
    siglongjmp(fault, number);
}

static bool try_read(int memory, off_t at)
{
    uint64_t word = 0;
    return pread(memory, &word, sizeof word, at) == (ssize_t)sizeof word;
}

/* One access through a mapping; false when the mapping or the access is refused. */
static bool try_map(int memory, off_t at, bool write)
{
    int protection = write ? PROT_READ | PROT_WRITE : PROT_READ;
    volatile uint64_t *page = mmap(NULL, PAGE, protection, MAP_SHARED, memory, at);
    if (page == MAP_FAILED)
        return false;
    volatile bool done = false;
    if (sigsetjmp(fault, 1) == 0) {
        volatile uint64_t word = write ? 0 : page[0];
        if (write)
            page[1] = word;
        done = true;
    }
    munmap((void *)page, PAGE);
    return done;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: memprobe BASE SIZE\n");
        return 2;
    }
    off_t base = (off_t)strtoull(argv[1], NULL, 0);
    off_t size = (off_t)strtoull(argv[2], NULL, 0);
    int memory = open("/dev/mem", O_RDWR | O_SYNC);
    if (memory < 0) {
        perror("memprobe: /dev/mem");
        return 1;
    }
    struct sigaction action = {.sa_handler = on_fault};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    unsigned long pages = 0;
    unsigned long read = 0;
    unsigned long mapped_read = 0;
    unsigned long mapped_write = 0;
    for (off_t at = base; at < base + size; at += PAGE) {
        pages++;
        read += try_read(memory, at);
        mapped_read += try_map(memory, at, false);
        mapped_write += try_map(memory, at, true);
    }
    printf("pages %lu read %lu mapped_read %lu mapped_write %lu\n", pages, read, mapped_read,
           mapped_write);
    return 0;
}
