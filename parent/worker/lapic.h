/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a VP in xAPIC mode, where it is a page of memory-mapped registers. The
 * hypervisor has the APIC itself; each access becomes one of its registers, by name.
 */
#ifndef PARENT_WORKER_LAPIC_H
#define PARENT_WORKER_LAPIC_H

#include "parent/partition/partition.h"
#include "parent/worker/bus.h"

/* Is the address in the page of local APICs? */
bool bh_lapic_has(uint64_t gpa);

/* What this VP finds there. Registers that the APIC has not read as 0 and ignore writes. */
struct bh_bus bh_lapic_bus(struct bh_vp *vp);

#endif
