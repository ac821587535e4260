/* SPDX-License-Identifier: MIT */
/*
 * Token buckets by name in a table of fixed size. A name finds its bucket among four; a newcomer
 * takes the one used longest ago. Names are hashed with a secret, so nobody can aim at another's
 * bucket.
 */
#include "api/exchange.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SETS = 1024, WAYS = 4 };

struct bucket {
    uint64_t name; /* hash; 0: empty */
    double tokens;
    int64_t at; /* milliseconds */
};

struct limiter {
    pthread_mutex_t lock;
    uint64_t secret;
    double per_millisecond, burst;
    bool unlimited;
    struct bucket bucket[SETS][WAYS];
};

struct limiter *limiter_create(unsigned per_second, unsigned burst)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);
    if (!limiter)
        return NULL;
    pthread_mutex_init(&limiter->lock, NULL);
    limiter->per_millisecond = per_second / 1000.0;
    limiter->burst = burst;
    limiter->unlimited = per_second == UINT_MAX;
    if (getrandom(&limiter->secret, sizeof limiter->secret, 0) != sizeof limiter->secret)
        limiter->secret = (uint64_t)clock_microseconds();
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    free(limiter);
}

static uint64_t hash_name(uint64_t secret, const char *name)
{
    uint64_t hash = secret ^ 0xcbf29ce484222325u;
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    return hash | 1;
}

static struct bucket *find_bucket(struct limiter *limiter, uint64_t hash, int64_t now)
{
    struct bucket *set = limiter->bucket[(hash >> 20) % SETS];
    struct bucket *oldest = set;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].name == hash)
            return &set[i];
        if (set[i].at < oldest->at)
            oldest = &set[i];
    }
    *oldest = (struct bucket){hash, limiter->burst, now};
    return oldest;
}

bool limiter_take(struct limiter *limiter, const char *name, unsigned *wait)
{
    if (limiter->unlimited)
        return true;
    int64_t now = clock_milliseconds();
    uint64_t hash = hash_name(limiter->secret, name);
    pthread_mutex_lock(&limiter->lock);
    struct bucket *bucket = find_bucket(limiter, hash, now);
    bucket->tokens += (double)(now - bucket->at) * limiter->per_millisecond;
    if (bucket->tokens > limiter->burst)
        bucket->tokens = limiter->burst;
    bucket->at = now;
    bool granted = bucket->tokens >= 1;
    if (granted)
        bucket->tokens -= 1;
    else
        *wait = 1 + (unsigned)((1 - bucket->tokens) / limiter->per_millisecond / 1000);
    pthread_mutex_unlock(&limiter->lock);
    return granted;
}
