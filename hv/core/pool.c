/* SPDX-License-Identifier: MIT */
#include "hv/core/pool.h"

#include "hv/arch.h"
#include "hv/core/lib.h"

struct pool_locked {
    struct pool *pool;
};

static struct pool_locked pool_lock(struct pool *pool)
{
    spinlock_acquire(&pool->lock);
    return (struct pool_locked){pool};
}

static void pool_unlock(struct pool_locked locked)
{
    spinlock_release(&locked.pool->lock);
}

void pool_init(struct pool *pool, struct frame_table *frames, partition_id_t partition)
{
    memset(pool, 0, sizeof(*pool));
    pool->frames = frames;
    pool->partition = partition;
    pool->first = POOL_EMPTY;
    spinlock_init(&pool->lock);
}

/* Zeroes a page of this pool and makes it the first of the free list. */
static void list_push(struct pool_locked locked, frame_t frame)
{
    struct pool *pool = locked.pool;
    uint64_t *page = arch_window_map(frame_spa(frame));

    memset(page, 0, PAGE_SIZE);
    page[0] = pool->first;
    arch_window_unmap(page);
    pool->first = frame;
    pool->free_pages++;
}

/*
 * Takes the first page off the free list and zeroes it. The frame table must
 * agree to claim the page, or else a link was overwritten: then nothing behind
 * it can be believed, and the list is given up.
 */
static bool list_pop(struct pool_locked locked,
                     enum hv_status (*claim)(struct frame_table *, frame_t, partition_id_t),
                     frame_t *frame)
{
    struct pool *pool = locked.pool;

    if (pool->free_pages == 0)
        return false;
    if (claim(pool->frames, pool->first, pool->partition) != HV_STATUS_SUCCESS) {
        pool->lost_pages += pool->free_pages;
        pool->free_pages = 0;
        pool->first = POOL_EMPTY;
        return false;
    }
    *frame = pool->first;
    uint64_t *page = arch_window_map(frame_spa(*frame));

    pool->first = page[0];
    memset(page, 0, PAGE_SIZE);
    arch_window_unmap(page);
    pool->free_pages--;
    return true;
}

enum hv_status pool_add(struct pool *pool, frame_t frame)
{
    struct pool_locked locked = pool_lock(pool);
    enum hv_status status = frame_pool_enter(pool->frames, frame, pool->partition);

    if (status == HV_STATUS_SUCCESS)
        list_push(locked, frame);
    pool_unlock(locked);
    return status;
}

bool pool_take(struct pool *pool, spa_t *page)
{
    struct pool_locked locked = pool_lock(pool);
    frame_t frame = POOL_EMPTY;
    bool taken = list_pop(locked, frame_pool_take, &frame);

    if (taken) {
        pool->used_pages++;
        *page = frame_spa(frame);
    }
    pool_unlock(locked);
    return taken;
}

enum hv_status pool_return(struct pool *pool, spa_t page)
{
    struct pool_locked locked = pool_lock(pool);
    enum hv_status status = frame_pool_return(pool->frames, spa_frame(page), pool->partition);

    if (status == HV_STATUS_SUCCESS) {
        pool->used_pages--;
        list_push(locked, spa_frame(page));
    }
    pool_unlock(locked);
    return status;
}

bool pool_withdraw(struct pool *pool, frame_t *frame)
{
    struct pool_locked locked = pool_lock(pool);
    bool left = list_pop(locked, frame_pool_leave, frame);

    pool_unlock(locked);
    return left;
}
