/* SPDX-License-Identifier: MIT */
/*
 * Who is called when a descriptor is ready. The bus and its providers share one
 * loop and one thread, so they need no locks. The worker waits in `bh_loop_wait`
 * of the bus, which costs one system call for each time it is woken; what it
 * serves besides is in a loop of its own, whose descriptor the bus's loop watches.
 */
#ifndef VSP_BUS_LOOP_H
#define VSP_BUS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct bh_loop;

/* Nanoseconds of the clock by which all of a worker is timed; it never goes back. */
uint64_t bh_loop_now(void);

/* Embedded in what is woken; lives until it was removed. */
struct bh_watch {
    void (*ready)(void *context, uint32_t events); /* EPOLLIN, ... */
    void *context;
    int fd;
};

/* NULL when there is no memory or descriptor. */
struct bh_loop *bh_loop_create(void);
void bh_loop_destroy(struct bh_loop *loop);

/* Readable when there is something to serve. */
int bh_loop_fd(const struct bh_loop *loop);

/* Does what can be done now, a bounded amount. Never waits. True: there may be more. */
bool bh_loop_serve(struct bh_loop *loop);

/* Waits until there is something to do, with `wait` false not at all, and does a part of it. */
void bh_loop_wait(struct bh_loop *loop, bool wait);

/*
 * False when the system refuses. Level-triggered, or with EPOLLET among the events called once for
 * each time that something comes.
 */
bool bh_loop_add(struct bh_loop *loop, struct bh_watch *watch, uint32_t events);
bool bh_loop_change(struct bh_loop *loop, struct bh_watch *watch, uint32_t events);

/* The watch is not called again, also not in the round that runs. Does not close the descriptor. */
void bh_loop_remove(struct bh_loop *loop, struct bh_watch *watch);

#endif
