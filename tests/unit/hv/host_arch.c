/* SPDX-License-Identifier: MIT */
#include "tests/unit/hv/host_arch.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/arch.h"

static unsigned char *memory;
static frame_t memory_pages;
static unsigned char *window[ARCH_WINDOW_DEPTH];
static unsigned windows;

void (*host_window_hook)(void);
bool (*host_window_allowed)(spa_t page);

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "host_arch: %s\n", what);
        abort();
    }
}

void host_memory_free(void)
{
    check(windows == 0, "a window is still open");
    if (memory) {
        ASAN_UNPOISON_MEMORY_REGION(memory, memory_pages * PAGE_SIZE);
    }
    free(memory);
    memory = NULL;
    memory_pages = 0;
}

void host_memory_init(frame_t pages, int fill)
{
    check(windows == 0, "a window is still open");
    if (memory_pages != pages) {
        host_memory_free();
        memory = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
        check(memory != NULL, "no memory");
        memory_pages = pages;
    }
    ASAN_UNPOISON_MEMORY_REGION(memory, pages * PAGE_SIZE);
    memset(memory, fill, pages * PAGE_SIZE);
    ASAN_POISON_MEMORY_REGION(memory, pages * PAGE_SIZE);
}

void *host_memory_expose(void)
{
    check(windows == 0, "a window is still open");
    ASAN_UNPOISON_MEMORY_REGION(memory, memory_pages * PAGE_SIZE);
    return memory;
}

void host_memory_hide(void)
{
    ASAN_POISON_MEMORY_REGION(memory, memory_pages * PAGE_SIZE);
}

static bool page_is_open(const unsigned char *page)
{
    for (unsigned i = 0; i < windows; i++) {
        if (window[i] == page) {
            return true;
        }
    }
    return false;
}

void *arch_window_map(spa_t page)
{
    check(page.raw % PAGE_SIZE == 0, "a window on an address inside a page");
    check(spa_frame(page) < memory_pages, "a window on what is not RAM");
    check(windows < ARCH_WINDOW_DEPTH, "too many windows");
    check(!host_window_allowed || host_window_allowed(page), "a window on a page of somebody else");
    unsigned char *at = memory + page.raw;

    window[windows++] = at;
    ASAN_UNPOISON_MEMORY_REGION(at, PAGE_SIZE);
    return at;
}

void arch_window_unmap(void *at)
{
    check(windows > 0 && window[windows - 1] == at, "windows must end in the reverse order");
    windows--;
    if (!page_is_open(at)) {
        ASAN_POISON_MEMORY_REGION(at, PAGE_SIZE);
    }
    if (host_window_hook) {
        void (*hook)(void) = host_window_hook;

        host_window_hook = NULL;
        hook();
        host_window_hook = hook;
    }
}

bool host_page_is(spa_t page, int byte)
{
    const unsigned char *at = arch_window_map(page);
    bool same = true;

    for (size_t i = 0; i < PAGE_SIZE; i++) {
        same = same && at[i] == byte;
    }
    arch_window_unmap((void *)(uintptr_t)at);
    return same;
}

void host_page_fill(spa_t page, int byte)
{
    void *at = arch_window_map(page);

    memset(at, byte, PAGE_SIZE);
    arch_window_unmap(at);
}

bool host_windows_closed(void)
{
    return windows == 0;
}
