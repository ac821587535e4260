/* SPDX-License-Identifier: MIT */
#include "vsp/storage/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES     256u
#define COMPLETIONS 4096u

#define WAIT_STEP_NS 1000000
#define WAIT_STEPS   60000u

static void serve(void *context, uint32_t events)
{
    struct bh_uring *uring = context;
    struct io_uring_cqe *cqe;
    uint64_t count;

    (void)events;
    (void)!read(uring->watch.fd, &count, sizeof(count));
    while (io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
        struct bh_uring_entry *entry = io_uring_cqe_get_data(cqe);
        int result = cqe->res;

        io_uring_cqe_seen(&uring->ring, cqe);
        entry->done(entry, result);
    }
    bh_uring_submit(uring);
}

/* Debian's liburing does not export its functions for these two. */
static int ring_register(const struct io_uring *ring, unsigned what, const void *argument,
                         unsigned count)
{
    return syscall(SYS_io_uring_register, ring->ring_fd, what, argument, count) == 0 ? 0 : -errno;
}

static int restrict_operations(const struct io_uring *ring)
{
    static const uint8_t allowed[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
                                      IORING_OP_FALLOCATE};
    struct io_uring_restriction restriction[sizeof(allowed)];

    memset(restriction, 0, sizeof(restriction));
    for (size_t i = 0; i < sizeof(allowed); i++) {
        restriction[i].opcode = IORING_RESTRICTION_SQE_OP;
        restriction[i].sqe_op = allowed[i];
    }
    return ring_register(ring, IORING_REGISTER_RESTRICTIONS, restriction, sizeof(allowed));
}

static int set_up(struct bh_uring *uring)
{
    int err = io_uring_register_eventfd(&uring->ring, uring->watch.fd);

    if (err == 0)
        err = restrict_operations(&uring->ring);
    if (err == 0)
        err = ring_register(&uring->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (err == 0 && !bh_loop_add(uring->loop, &uring->watch, EPOLLIN))
        err = -errno;
    return err;
}

int bh_uring_open(struct bh_uring *uring, struct bh_loop *loop)
{
    struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
                                              IORING_SETUP_CLAMP,
                                     .cq_entries = COMPLETIONS};
    int err;

    memset(uring, 0, sizeof(*uring));
    uring->loop = loop;
    uring->watch = (struct bh_watch){serve, uring, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (uring->watch.fd < 0)
        return -errno;
    err = io_uring_queue_init_params(ENTRIES, &uring->ring, &params);
    if (err == 0) {
        err = set_up(uring);
        if (err == 0)
            return 0;
        io_uring_queue_exit(&uring->ring);
    }
    (void)close(uring->watch.fd);
    uring->watch.fd = -1;
    return err;
}

void bh_uring_close(struct bh_uring *uring)
{
    if (uring->loop == NULL || uring->watch.fd < 0)
        return;
    bh_loop_remove(uring->loop, &uring->watch);
    io_uring_queue_exit(&uring->ring);
    (void)close(uring->watch.fd);
    uring->watch.fd = -1;
}

/* The kernel takes entries at once, so a full queue has room after a submission. */
struct io_uring_sqe *bh_uring_get(struct bh_uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

    while (sqe == NULL) {
        bh_uring_submit(uring);
        sqe = io_uring_get_sqe(&uring->ring);
    }
    return sqe;
}

void bh_uring_queue(struct bh_uring *uring, struct io_uring_sqe *sqe, struct bh_uring_entry *entry)
{
    io_uring_sqe_set_data(sqe, entry);
    uring->prepared++;
}

/* EAGAIN and EBUSY: the kernel is short of memory or completions wait; both pass by themselves. */
void bh_uring_submit(struct bh_uring *uring)
{
    while (uring->prepared > 0) {
        int taken = io_uring_submit(&uring->ring);

        if (taken >= 0)
            uring->prepared -=
                (unsigned)taken < uring->prepared ? (unsigned)taken : uring->prepared;
        else if (taken != -EAGAIN && taken != -EBUSY && taken != -EINTR)
            return;
        else
            (void)sched_yield();
    }
}

/* --- of another process ------------------------------------------------------------------- */

/* A number of the kernel's description of the ring; false when it has none of that name. */
static bool find_number(const char *text, const char *name, uint32_t *number)
{
    const char *at = strstr(text, name);

    if (at == NULL)
        return false;
    *number = (uint32_t)strtoul(at + strlen(name), NULL, 10);
    return true;
}

/*
 * Entries that were taken and are not completed; -1 when the kernel does not tell. It does not
 * while somebody else has the ring's lock, as its own worker may that completes an entry.
 */
static int64_t count_open(int ring)
{
    char path[64];
    char text[4096];
    uint32_t taken;
    uint32_t completed;
    ssize_t got;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    got = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    if (!find_number(text, "\nCachedSqHead:", &taken) ||
        !find_number(text, "\nCachedCqTail:", &completed))
        return -1;
    return (int64_t)(uint32_t)(taken - completed);
}

bool bh_uring_wait_idle(int ring)
{
    const struct timespec pause = {.tv_nsec = WAIT_STEP_NS};
    int64_t open = count_open(ring);

    for (unsigned i = 0; open != 0 && i < WAIT_STEPS; i++) {
        (void)nanosleep(&pause, NULL);
        open = count_open(ring);
    }
    (void)close(ring);
    return open == 0;
}
