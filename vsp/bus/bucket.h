/* SPDX-License-Identifier: MIT */
/*
 * A token bucket: so many units (bytes, packets, operations) a second, with a
 * burst. What asks for more than the bucket holds still goes when the bucket is
 * full, and leaves a debt; so a unit larger than the burst cannot wait for ever.
 * Time is the caller's, in nanoseconds of a clock that never goes back.
 */
#ifndef VSP_BUS_BUCKET_H
#define VSP_BUS_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bh_bucket {
    uint64_t rate;  /* units a second; 0: no limit */
    uint64_t burst; /* units */
    int64_t level;  /* units there are; negative: debt */
    uint64_t time;  /* when level was true, ns */
};

/* A full bucket. A burst of 0 stands for a tenth of a second, at least 1 unit. */
void bh_bucket_init(struct bh_bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now);

/* Takes `units` when the bucket is not empty; false when it is, and nothing is taken. */
bool bh_bucket_take(struct bh_bucket *bucket, uint64_t units, uint64_t now);

/* Nanoseconds from `now` until bh_bucket_take succeeds; 0: at once. */
uint64_t bh_bucket_wait(struct bh_bucket *bucket, uint64_t now);

#endif
