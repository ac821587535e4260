/* SPDX-License-Identifier: MIT */
/*
 * The io_uring that all files of a worker share. Its kernel half is restricted
 * for good to reading, writing, syncing and allocating, so that it is no way
 * around the worker's filter of system calls.
 */
#ifndef VSP_STORAGE_URING_H
#define VSP_STORAGE_URING_H

#include <liburing.h>

#include "vsp/bus/loop.h"

struct bh_uring {
    struct io_uring ring;
    struct bh_loop *loop;
    struct bh_watch watch; /* eventfd: completions */
    unsigned prepared;     /* not submitted yet */
};

/* Embedded in what an entry is for. `result` is what the system call would return, or -errno. */
struct bh_uring_entry {
    void (*done)(struct bh_uring_entry *entry, int result);
};

/* 0 or a negative errno. */
int bh_uring_open(struct bh_uring *uring, struct bh_loop *loop);
void bh_uring_close(struct bh_uring *uring);

/*
 * Waits until all that another process had handed to the kernel through its io_uring is done: it
 * still reads and writes the guest's memory and its disks. Takes the descriptor over; needs /proc.
 * False when that cannot be known, or is not so after a minute.
 */
bool bh_uring_wait_idle(int ring);

/* An entry to prepare, with its completion set afterwards by `bh_uring_queue`. Never NULL. */
struct io_uring_sqe *bh_uring_get(struct bh_uring *uring);
void bh_uring_queue(struct bh_uring *uring, struct io_uring_sqe *sqe, struct bh_uring_entry *entry);

/* Hands to the kernel what was queued. */
void bh_uring_submit(struct bh_uring *uring);

#endif
