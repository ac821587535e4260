/* SPDX-License-Identifier: MIT */
#include "vsp/storage/limit.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vsp/storage/parts.h"

#define SECOND UINT64_C(1000000000)

static void arm(const struct bh_limit *limit, uint64_t nanoseconds)
{
    const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(nanoseconds / SECOND),
                                                 .tv_nsec = (long)(nanoseconds % SECOND)}};

    (void)timerfd_settime(limit->timer.fd, 0, &when, NULL);
}

/* Nanoseconds until the next one may start; 0: now. */
static uint64_t wait_time(struct bh_limit *limit, uint64_t now)
{
    uint64_t operations = bh_bucket_wait(&limit->operations, now);
    uint64_t bytes = bh_bucket_wait(&limit->bytes, now);

    return operations > bytes ? operations : bytes;
}

static void start(struct bh_limit *limit, struct bh_scsi_request *request, uint64_t now)
{
    (void)bh_bucket_take(&limit->operations, 1, now);
    (void)bh_bucket_take(&limit->bytes, request->io.size, now);
    limit->start(request);
}

static void on_timer(void *context, uint32_t events)
{
    struct bh_limit *limit = context;
    uint64_t now = bh_loop_now();
    uint64_t count;

    (void)events;
    (void)!read(limit->timer.fd, &count, sizeof(count));
    limit->serving = true;
    while (limit->first != NULL && wait_time(limit, now) == 0) {
        struct bh_scsi_request *request = limit->first;

        limit->first = request->queue;
        if (limit->first == NULL)
            limit->last = &limit->first;
        start(limit, request, now);
    }
    if (limit->first != NULL)
        arm(limit, wait_time(limit, now) + 1);
    limit->serving = false;
    limit->started(limit->context);
}

bool bh_limit_open(struct bh_limit *limit, struct bh_loop *loop, uint64_t iops,
                   uint64_t bytes_per_second)
{
    uint64_t now = bh_loop_now();

    limit->last = &limit->first;
    limit->timer = (struct bh_watch){on_timer, limit, -1};
    if (iops == 0 && bytes_per_second == 0)
        return true;
    limit->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (limit->timer.fd < 0 || !bh_loop_add(loop, &limit->timer, EPOLLIN))
        return false;
    limit->loop = loop;
    bh_bucket_init(&limit->operations, iops, 0, now);
    bh_bucket_init(&limit->bytes, bytes_per_second, 0, now);
    return true;
}

void bh_limit_close(struct bh_limit *limit)
{
    if (limit->loop != NULL)
        bh_loop_remove(limit->loop, &limit->timer);
    if (limit->timer.fd >= 0)
        (void)close(limit->timer.fd);
}

void bh_limit_submit(struct bh_limit *limit, struct bh_scsi_request *request)
{
    uint64_t now;
    uint64_t wait;

    if (limit->loop == NULL) {
        limit->start(request);
        return;
    }
    now = bh_loop_now();
    wait = wait_time(limit, now);
    if (limit->first == NULL && wait == 0) {
        start(limit, request, now);
        return;
    }
    if (limit->first == NULL)
        arm(limit, wait + 1);
    request->queue = NULL;
    *limit->last = request;
    limit->last = &request->queue;
}

void bh_limit_abandon(struct bh_limit *limit)
{
    struct bh_scsi_request *next = limit->first;

    limit->first = NULL;
    limit->last = &limit->first;
    while (next != NULL) { /* the last one may end the limit, too */
        struct bh_scsi_request *request = next;

        next = request->queue;
        request->io.done(&request->io, -ECANCELED);
    }
}
