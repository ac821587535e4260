/* SPDX-License-Identifier: MIT */
/*
 * Nested tables on a small memory, which a source gives them page by page, and what a test asks
 * of them. The walker is tested with Intel's format, too, so that its bits are not AMD's alone.
 */
#ifndef TESTS_UNIT_HV_HOST_NESTED_H
#define TESTS_UNIT_HV_HOST_NESTED_H

#include "hv/core/nested.h"
#include "tests/unit/hv/unit.h"

#define HOST_NESTED_PAGES 256u

/* Table pages from the machine's RAM; page 0 is never given out. */
struct page_source {
    struct nested_source source;
    bool used[HOST_NESTED_PAGES];
    unsigned left; /* refuses when it is 0 */
    unsigned out;
    void (*on_take)(void); /* something that happens meanwhile */
};

extern struct page_source pages;
extern struct nested nested;

/* Empty tables of a format, with leaves up to this size. */
void host_nested_start(const struct nested_format *format, uint64_t largest);
int host_nested_setup(void **state);
int host_nested_setup_ept(void **state);
/* The end: every page has come back. */
int host_nested_teardown(void **state);

/* Whole changes, which must succeed; true: a flush is asked for. */
bool host_nested_map(uint64_t gpa, uint64_t spa, uint64_t size, uint32_t flags);
bool host_nested_unmap(uint64_t gpa, uint64_t size);

/* gpa is in a leaf of this size, translates to spa and may be used so. */
void host_nested_maps(uint64_t gpa, uint64_t spa, uint64_t size, uint32_t flags);
void host_nested_maps_to(uint64_t gpa, uint64_t spa, uint32_t flags);
/* gpa is in a hole of this size. */
void host_nested_hole(uint64_t gpa, uint64_t size);

/* The entry that maps gpa, as the processor finds it; it is in a window until it is closed. */
uint64_t *host_nested_entry_open(uint64_t gpa);
void host_nested_entry_close(uint64_t *entry);
/* What a processor does when it uses a page. */
void host_nested_touch(uint64_t gpa, bool write);

#endif
