/* SPDX-License-Identifier: MIT */
/*
 * The parent's own use of a disk, as the small guest of vsc/ uses its: random requests past the
 * page cache through io_uring, some at a time.
 *
 *   own_disk DEVICE SIZE DEPTH REQUESTS
 *
 * For reads, then for writes, each with one at a time and with DEPTH: "own.read.one N ticks/op".
 */
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <x86intrin.h>

#define DEPTH_MAX 128u
#define ALIGNED   4096u

struct work {
    int file;
    uint64_t places; /* requests that lie on the device */
    uint32_t size;
    uint32_t requests;
    struct io_uring ring;
    void *buffer[DEPTH_MAX];
    uint64_t state;
    uint32_t begun;
};

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

/* The same sequence as in vsc/guest/test_storage.c. */
static uint64_t next_offset(struct work *work)
{
    work->state = work->state * 6364136223846793005u + 1442695040888963407u;
    return (work->state >> 33) % work->places * work->size;
}

static void submit(struct work *work, uint32_t index, int writes)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&work->ring);

    if (writes)
        io_uring_prep_write(sqe, work->file, work->buffer[index], work->size, next_offset(work));
    else
        io_uring_prep_read(sqe, work->file, work->buffer[index], work->size, next_offset(work));
    io_uring_sqe_set_data64(sqe, index);
    work->begun++;
}

/* Takes all completions there are; each makes room for another request. Returns their number. */
static uint32_t reap(struct work *work, int writes)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    uint32_t count = 0;

    io_uring_for_each_cqe(&work->ring, head, cqe)
    {
        if (cqe->res != (int)work->size)
            give_up("own_disk: a request failed");
        if (work->begun < work->requests)
            submit(work, (uint32_t)cqe->user_data, writes);
        count++;
    }
    io_uring_cq_advance(&work->ring, count);
    return count;
}

static void run(struct work *work, const char *name, int writes, uint32_t depth)
{
    uint64_t began;
    uint32_t done = 0;

    work->begun = 0;
    work->state = 1;
    began = __rdtsc();
    for (uint32_t i = 0; i < depth; i++)
        submit(work, i, writes);
    while (done < work->requests) {
        if (io_uring_submit_and_wait(&work->ring, 1) < 0)
            give_up("own_disk: io_uring_enter");
        done += reap(work, writes);
    }
    printf("own.%s %llu ticks/op\n", name,
           (unsigned long long)((__rdtsc() - began) / work->requests));
}

int main(int argc, char **argv)
{
    struct work work = {0};
    uint32_t depth;

    if (argc != 5)
        return 2;
    work.size = (uint32_t)strtoul(argv[2], NULL, 10);
    depth = (uint32_t)strtoul(argv[3], NULL, 10);
    work.requests = (uint32_t)strtoul(argv[4], NULL, 10);
    work.file = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
    if (work.file < 0 || work.size == 0 || depth > DEPTH_MAX || depth > work.requests)
        give_up(argv[1]);
    work.places = (uint64_t)lseek(work.file, 0, SEEK_END) / work.size;
    const size_t whole = ((size_t)work.size + ALIGNED - 1) / ALIGNED * ALIGNED;
    for (uint32_t i = 0; i < depth; i++)
        if ((work.buffer[i] = aligned_alloc(ALIGNED, whole)) == NULL)
            give_up("own_disk");
    if (work.places == 0 || io_uring_queue_init(DEPTH_MAX, &work.ring, 0) < 0)
        give_up("own_disk: io_uring");
    run(&work, "read.one", 0, 1);
    run(&work, "read.deep", 0, depth);
    run(&work, "write.one", 1, 1);
    run(&work, "write.deep", 1, depth);
    return 0;
}
