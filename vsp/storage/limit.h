/* SPDX-License-Identifier: MIT */
/*
 * How fast a disk may be: operations and bytes a second. What comes too fast
 * waits in its order, and a timer lets it go.
 */
#ifndef VSP_STORAGE_LIMIT_H
#define VSP_STORAGE_LIMIT_H

#include "vsp/bus/bucket.h"
#include "vsp/bus/loop.h"
#include "vsp/storage/scsi.h"

struct bh_limit {
    struct bh_loop *loop; /* NULL: no limit */
    struct bh_watch timer;
    struct bh_bucket operations;
    struct bh_bucket bytes;
    struct bh_scsi_request *first; /* that wait */
    struct bh_scsi_request **last;
    bool serving; /* the timer's turn: `started` ends it, and only then its owner may go */
    void (*start)(struct bh_scsi_request *request);
    void (*started)(void *context); /* after some were started by the timer */
    void *context;
};

/* 0 stands for no limit. False when there is no descriptor for the timer. */
bool bh_limit_open(struct bh_limit *limit, struct bh_loop *loop, uint64_t iops,
                   uint64_t bytes_per_second);
void bh_limit_close(struct bh_limit *limit);

/* Calls `start` now or later. */
void bh_limit_submit(struct bh_limit *limit, struct bh_scsi_request *request);

/* Ends all that wait, with -ECANCELED. */
void bh_limit_abandon(struct bh_limit *limit);

#endif
