/* SPDX-License-Identifier: MIT */
/*
 * A load of one kind on a disk: requests past the page cache through io_uring, DEPTH at a time.
 *
 *   disk_load DEVICE read|write random|sequential SIZE DEPTH REQUESTS
 *
 * Prints "ticks N": of the time-stamp counter, for one request.
 */
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#define DEPTH_MAX 128u
#define ALIGNED   4096u

struct load {
    int file;
    bool writes;
    bool random;
    uint64_t places; /* requests that lie on the device */
    uint32_t size;
    uint32_t depth;
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

/* The same random sequence as in vsc/guest/test_storage.c. */
static uint64_t next_offset(struct load *load)
{
    if (!load->random)
        return load->begun % load->places * load->size;
    load->state = load->state * 6364136223846793005u + 1442695040888963407u;
    return (load->state >> 33) % load->places * load->size;
}

static void submit(struct load *load, uint32_t index)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&load->ring);
    uint64_t offset = next_offset(load);

    if (load->writes)
        io_uring_prep_write(sqe, load->file, load->buffer[index], load->size, offset);
    else
        io_uring_prep_read(sqe, load->file, load->buffer[index], load->size, offset);
    io_uring_sqe_set_data64(sqe, index);
    load->begun++;
}

/* Takes all completions there are; each makes room for another request. Returns their number. */
static uint32_t reap(struct load *load)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    uint32_t count = 0;

    io_uring_for_each_cqe(&load->ring, head, cqe)
    {
        if (cqe->res != (int)load->size)
            give_up("disk_load: a request failed");
        if (load->begun < load->requests)
            submit(load, (uint32_t)cqe->user_data);
        count++;
    }
    io_uring_cq_advance(&load->ring, count);
    return count;
}

/* Ticks of all requests. */
static uint64_t run(struct load *load)
{
    uint64_t began = __rdtsc();
    uint32_t done = 0;

    for (uint32_t i = 0; i < load->depth; i++)
        submit(load, i);
    while (done < load->requests) {
        if (io_uring_submit_and_wait(&load->ring, 1) < 0)
            give_up("disk_load: io_uring_enter");
        done += reap(load);
    }
    return __rdtsc() - began;
}

static void prepare(struct load *load, const char *device)
{
    size_t whole = ((size_t)load->size + ALIGNED - 1) / ALIGNED * ALIGNED;

    load->file = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (load->file < 0)
        give_up(device);
    load->places = (uint64_t)lseek(load->file, 0, SEEK_END) / load->size;
    for (uint32_t i = 0; i < load->depth; i++) {
        load->buffer[i] = aligned_alloc(ALIGNED, whole);
        if (load->buffer[i] == NULL)
            give_up("disk_load");
        memset(load->buffer[i], 0, whole);
    }
    if (load->places == 0 || io_uring_queue_init(DEPTH_MAX, &load->ring, 0) < 0)
        give_up("disk_load: io_uring");
}

int main(int argc, char **argv)
{
    struct load load = {.state = 1};
    uint32_t requests;

    if (argc != 7)
        return 2;
    requests = (uint32_t)strtoul(argv[6], NULL, 10);
    load.writes = strcmp(argv[2], "write") == 0;
    load.random = strcmp(argv[3], "random") == 0;
    load.size = (uint32_t)strtoul(argv[4], NULL, 10);
    load.depth = (uint32_t)strtoul(argv[5], NULL, 10);
    load.requests = requests;
    if (load.size == 0 || load.depth > DEPTH_MAX || requests == 0 || load.depth > requests)
        return 2;
    prepare(&load, argv[1]);
    printf("ticks %llu\n", (unsigned long long)(run(&load) / requests));
    return 0;
}
