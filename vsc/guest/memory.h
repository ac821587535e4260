/* SPDX-License-Identifier: MIT */
/* Pages behind the image, taken in order and given back all together. */
#ifndef VSC_GUEST_MEMORY_H
#define VSC_GUEST_MEMORY_H

#include <stdint.h>

#define PAGE_SIZE 4096u

/* `end`: where RAM ends. */
void memory_begin(uint64_t end);

/* `count` pages in a row, not cleared; a guest without so many fails. */
void *memory_pages(uint32_t count);

/* What is free now, and back to that. */
uint64_t memory_mark(void);
void memory_release(uint64_t mark);

#endif
