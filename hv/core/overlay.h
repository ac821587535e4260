/* SPDX-License-Identifier: MIT */
/*
 * Pages of guest memory that the guest lends to the hypervisor through an MSR:
 * hypercall page, reference TSC page, VP assist page, SynIC pages.
 *
 * The page stays the guest's and is written in place. Where it lies in the
 * machine is looked up when it is placed, and again (overlay_check) when memory is
 * taken from the partition. Contents are hostile input whenever they are read
 * back.
 */
#ifndef HV_CORE_OVERLAY_H
#define HV_CORE_OVERLAY_H

#include "hv/core/types.h"

struct partition;

struct overlay {
    uint64_t msr; /* as the guest reads it back */
    spa_t page;
    bool usable; /* enabled, and backed by memory of the partition */
};

/* False: enabled at an address where the partition has no writable memory (#GP). */
bool overlay_place(struct overlay *overlay, struct partition *partition, uint64_t msr);
void overlay_drop(struct overlay *overlay);
/* After the partition's memory changed: a page that is gone is not used any more. */
void overlay_check(struct overlay *overlay, struct partition *partition);

/* A window on the page; NULL when it is not usable. End it with arch_window_unmap. */
void *overlay_map(const struct overlay *overlay);

#endif
