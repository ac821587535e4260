/* SPDX-License-Identifier: MIT */
#include "vsp/bus/loop.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BATCH  32
#define ROUNDS 4 /* of a batch, before the worker looks at its other descriptors */

struct bh_loop {
    int epoll;
    int count; /* of the batch that is served */
    struct epoll_event batch[BATCH];
};

uint64_t bh_loop_now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

struct bh_loop *bh_loop_create(void)
{
    struct bh_loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL)
        return NULL;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll >= 0)
        return loop;
    free(loop);
    return NULL;
}

void bh_loop_destroy(struct bh_loop *loop)
{
    if (loop == NULL)
        return;
    (void)close(loop->epoll);
    free(loop);
}

int bh_loop_fd(const struct bh_loop *loop)
{
    return loop->epoll;
}

static bool control(const struct bh_loop *loop, int operation, struct bh_watch *watch,
                    uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = watch}};

    return epoll_ctl(loop->epoll, operation, watch->fd, &event) == 0;
}

bool bh_loop_add(struct bh_loop *loop, struct bh_watch *watch, uint32_t events)
{
    return control(loop, EPOLL_CTL_ADD, watch, events);
}

bool bh_loop_change(struct bh_loop *loop, struct bh_watch *watch, uint32_t events)
{
    return control(loop, EPOLL_CTL_MOD, watch, events);
}

void bh_loop_remove(struct bh_loop *loop, struct bh_watch *watch)
{
    (void)control(loop, EPOLL_CTL_DEL, watch, 0);
    for (int i = 0; i < loop->count; i++)
        if (loop->batch[i].data.ptr == watch)
            loop->batch[i].data.ptr = NULL;
}

/* Waits `timeout` ms, -1: for ever. False when nothing was ready. */
static bool serve_batch(struct bh_loop *loop, int timeout)
{
    bool any;

    loop->count = epoll_wait(loop->epoll, loop->batch, BATCH, timeout);
    any = loop->count > 0;
    for (int i = 0; i < loop->count; i++) {
        struct bh_watch *watch = loop->batch[i].data.ptr;

        if (watch != NULL)
            watch->ready(watch->context, loop->batch[i].events);
    }
    loop->count = 0;
    return any;
}

bool bh_loop_serve(struct bh_loop *loop)
{
    bool more = true;

    for (int round = 0; round < ROUNDS && more; round++)
        more = serve_batch(loop, 0);
    return more;
}

void bh_loop_wait(struct bh_loop *loop, bool wait)
{
    (void)serve_batch(loop, wait ? -1 : 0);
}
