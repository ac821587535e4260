/* SPDX-License-Identifier: MIT */
/*
 * What hv/core asks of the processor it runs on. hv/x86 implements these
 * functions for the machine; the tests implement them over an array.
 *
 * Windows. The hypervisor keeps no map of all memory. To read or write a page
 * it places it in a window of the processor it runs on and takes it out
 * again. Windows are released in the reverse order they were made, never
 * outlive the exit they were made in, and are seen by their own processor only.
 * hv/core holds at most ARCH_WINDOW_DEPTH of them at a time.
 */
#ifndef HV_ARCH_H
#define HV_ARCH_H

#include "hv/core/types.h"

#define ARCH_WINDOW_DEPTH 6

/* The page at spa, which must be page-aligned RAM, readable and writable. Never fails. */
void *arch_window_map(spa_t page);
/* Ends the newest window; window is what arch_window_map returned. */
void arch_window_unmap(void *window);

#endif
