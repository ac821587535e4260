/* SPDX-License-Identifier: MIT */
#include "vsp/bus/bucket.h"

#define SECOND UINT64_C(1000000000)

/* Rates and bursts above this would overflow, and limit nothing that exists. */
#define UNITS_MAX (UINT64_C(1) << 40)

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

void bh_bucket_init(struct bh_bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now)
{
    uint64_t size = burst != 0 ? burst : rate / 10;

    bucket->rate = at_most(rate, UNITS_MAX);
    bucket->burst = at_most(size != 0 ? size : 1, UNITS_MAX);
    bucket->level = (int64_t)bucket->burst;
    bucket->time = now;
}

static uint64_t missing(const struct bh_bucket *bucket)
{
    return (uint64_t)((int64_t)bucket->burst - bucket->level);
}

/* Whole units only; the time of a part of a unit is kept for the next call. */
static void fill(struct bh_bucket *bucket, uint64_t now)
{
    uint64_t passed = now > bucket->time ? now - bucket->time : 0;
    unsigned __int128 units = (unsigned __int128)passed * bucket->rate / SECOND;

    if (units >= missing(bucket)) {
        bucket->level = (int64_t)bucket->burst;
        bucket->time = now;
        return;
    }
    bucket->level += (int64_t)units;
    bucket->time += (uint64_t)(units * SECOND / bucket->rate);
}

bool bh_bucket_take(struct bh_bucket *bucket, uint64_t units, uint64_t now)
{
    if (bucket->rate == 0)
        return true;
    fill(bucket, now);
    if (bucket->level <= 0)
        return false;
    bucket->level -= (int64_t)at_most(units, UNITS_MAX);
    return true;
}

uint64_t bh_bucket_wait(struct bh_bucket *bucket, uint64_t now)
{
    unsigned __int128 needed;

    if (bucket->rate == 0)
        return 0;
    fill(bucket, now);
    if (bucket->level > 0)
        return 0;
    needed = ((unsigned __int128)(uint64_t)(1 - bucket->level) * SECOND + bucket->rate - 1) /
             bucket->rate;
    return (uint64_t)needed > now - bucket->time ? (uint64_t)needed - (now - bucket->time) : 1;
}
