/* SPDX-License-Identifier: MIT */
/*
 * Answers to CPUID that the parent fixed for a child, and leaves that it wants to answer itself,
 * kept in pages of the child's pool. CPUID asks for them last, and only where there are any.
 *
 * Lock: the partition's register_lock.
 */
#ifndef HV_CORE_CPUID_OVERRIDE_H
#define HV_CORE_CPUID_OVERRIDE_H

#include "hv/abi/hypercall.h"
#include "hv/abi/vp.h"
#include "hv/core/cpuid.h"

struct partition;

enum cpuid_override_kind {
    CPUID_OVERRIDE_ANSWER,
    CPUID_OVERRIDE_INTERCEPT, /* the parent answers */
    CPUID_OVERRIDE_RELEASE,   /* it does so no more */
};

struct cpuid_override {
    uint32_t vp_index; /* or HV_ANY_VP */
    uint32_t eax, ecx;
    uint16_t subleaf_specific; /* 0: whatever ECX is */
    uint16_t kind;             /* enum cpuid_override_kind */
    struct hv_cpuid_override result[4];
};

/* Of several of a sort that fit, the newest counts. INSUFFICIENT_MEMORY: the pool is empty. */
enum hv_status cpuid_override_add(struct partition *partition, const struct cpuid_override *wanted);
/* True: the parent wants to answer. */
bool cpuid_override_apply(struct vp *vp, uint32_t leaf, uint32_t subleaf,
                          struct cpuid_result *result);
/* Gives the pages back; no VP is left. */
void cpuid_override_drop(struct partition *partition);

#endif
