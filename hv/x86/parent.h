/* SPDX-License-Identifier: MIT */
/*
 * The parent partition: all RAM but the hypervisor's, all devices, one VP pinned
 * to each LP, with the LP's own APIC id.
 */
#ifndef HV_X86_PARENT_H
#define HV_X86_PARENT_H

#include "hv/core/partition.h"
#include "hv/x86/boot/linux.h"

extern struct partition parent;

/* Builds the partition and its VPs; VP 0 starts at the kernel's entry. Boot LP only. */
void parent_create(uint64_t ram_end, const struct linux_entry *entry);

/* The parent asks for a reset by a triple fault, as kernels do when nothing else worked. */
_Noreturn void parent_reset(void);

#endif
