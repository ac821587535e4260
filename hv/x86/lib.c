/* SPDX-License-Identifier: MIT */
/* The library functions that the compiler takes for granted, by the string instructions. */
#include "hv/core/lib.h"

#include "hv/abi/ints.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *start = to;
    size_t words = size / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    size %= 8;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return start;
}

void *memmove(void *to, const void *from, size_t size)
{
    if (to <= from || (char *)to >= (const char *)from + size)
        return memcpy(to, from, size);
    char *at = (char *)to + size;
    const char *source = (const char *)from + size;
    while (size-- > 0)
        *--at = *--source;
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *start = to;
    size_t words = size / 8;
    const uint64_t word = (uint8_t)byte * 0x0101010101010101ull;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(word) : "memory");
    size %= 8;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
    return start;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a;
    const unsigned char *y = b;
    for (; size > 0; size--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}
