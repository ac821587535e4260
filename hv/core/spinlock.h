/* SPDX-License-Identifier: MIT */
/*
 * A ticket lock: processors get it in the order they asked. The hypervisor
 * runs with interrupts off, so a holder is never pre-empted; it must not wait
 * for anything but another lock, in the order that the headers of the
 * structures say.
 *
 * Where a function needs a structure's lock held, it takes a type that only
 * locking gives, such as struct frame_table_locked, instead of a comment.
 */
#ifndef HV_CORE_SPINLOCK_H
#define HV_CORE_SPINLOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct spinlock {
    _Atomic uint32_t next;    /* ticket of the next processor to ask */
    _Atomic uint32_t serving; /* ticket of the holder */
};

#define SPINLOCK_INIT \
    {                 \
        0, 0          \
    }

static inline void spinlock_init(struct spinlock *lock)
{
    atomic_init(&lock->next, 0);
    atomic_init(&lock->serving, 0);
}

static inline void spinlock_acquire(struct spinlock *lock)
{
    uint32_t ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);

    while (atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket) {
        __builtin_ia32_pause();
    }
}

static inline void spinlock_release(struct spinlock *lock)
{
    uint32_t ticket = atomic_load_explicit(&lock->serving, memory_order_relaxed);

    atomic_store_explicit(&lock->serving, ticket + 1, memory_order_release);
}

#endif
