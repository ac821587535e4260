/* SPDX-License-Identifier: MIT */
/*
 * Types that the whole hypervisor shares.
 *
 * Addresses of different spaces are different types, so that the compiler
 * refuses to mix them: a GPA is what a partition thinks is physical, an SPA is
 * what the memory controller sees. A frame number is an SPA divided by the
 * page size.
 */
#ifndef HV_CORE_TYPES_H
#define HV_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
#define PAGE_MASK  (PAGE_SIZE - 1)

#define SIZE_4K 0x1000ull
#define SIZE_2M 0x200000ull
#define SIZE_1G 0x40000000ull

typedef struct {
    uint64_t raw;
} gpa_t;

typedef struct {
    uint64_t raw;
} spa_t;

typedef uint64_t frame_t;        /* system-physical frame number */
typedef uint64_t reftime_t;      /* 100 ns since the hypervisor started */
typedef uint16_t partition_id_t; /* 1 = the parent, children from 2, 0 = none */

#define PARTITION_NONE   ((partition_id_t)0)
#define PARTITION_PARENT ((partition_id_t)1)
#define PARTITION_MAX    1024u

static inline spa_t spa_make(uint64_t raw)
{
    return (spa_t){raw};
}

static inline gpa_t gpa_make(uint64_t raw)
{
    return (gpa_t){raw};
}

static inline frame_t spa_frame(spa_t spa)
{
    return spa.raw >> PAGE_SHIFT;
}

static inline spa_t frame_spa(frame_t frame)
{
    return (spa_t){frame << PAGE_SHIFT};
}

static inline uint64_t u64_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t u64_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#define ARRAY_COUNT(a)                (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))
#define ALIGN_UP(x, a)                (((x) + ((uint64_t)(a)-1)) & ~((uint64_t)(a)-1))
#define ALIGN_DOWN(x, a)              ((x) & ~((uint64_t)(a)-1))

#endif
