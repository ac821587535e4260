/* SPDX-License-Identifier: MIT */
/*
 * The only library functions that hv/core uses. The compiler calls them by
 * itself too, so every program that hv/core is linked into has them: the
 * hypervisor brings its own, a test on the host has the C library's.
 */
#ifndef HV_CORE_LIB_H
#define HV_CORE_LIB_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

/* A little-endian number of up to eight bytes, wherever it lies. */
static inline uint64_t lib_load(const void *from, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, from, size);
    return value;
}

#endif
