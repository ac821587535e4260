/* SPDX-License-Identifier: MIT */
/*
 * Reading guest memory by the guest's own virtual addresses: walks its page
 * tables as the processor would, for instruction bytes that the processor did
 * not report. Reads only; sets no accessed bits.
 */
#ifndef HV_CORE_GUEST_WALK_H
#define HV_CORE_GUEST_WALK_H

#include "hv/abi/vp.h"
#include "hv/core/types.h"

struct partition;

/* The registers that say how a VP translates addresses. */
struct guest_paging {
    uint64_t cr0, cr3, cr4, efer;
};

/* False: the guest's tables map nothing there. */
bool guest_walk(struct partition *partition, const struct guest_paging *paging, uint64_t address,
                gpa_t *gpa);

/* The same for an access with HV_TRANSLATE_* flags, its rights and what is behind it checked. */
enum hv_translate_code guest_translate(struct partition *partition,
                                       const struct guest_paging *paging, uint64_t address,
                                       uint64_t flags, gpa_t *gpa);

/* Copies up to `size` bytes from a linear address; returns how many could be read. */
size_t guest_fetch(struct partition *partition, const struct guest_paging *paging, uint64_t address,
                   uint8_t *bytes, size_t size);

#endif
