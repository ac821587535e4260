/* SPDX-License-Identifier: MIT */
/* What a partition sees of the processor through CPUID. */
#ifndef HV_CORE_CPUID_H
#define HV_CORE_CPUID_H

#include "hv/core/types.h"

struct vp;

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

/* On the VP's LP: what the VP sees, and what it would see had the parent fixed no answers. True:
 * the parent wants to answer. */
bool cpuid_emulate(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result);
void cpuid_default(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result);

/* EAX and EBX of HV_CPUID_FEATURES. */
struct partition;
uint64_t cpuid_privileges(const struct partition *partition);

/* Else AMD's forms of what the vendors tell differently. */
bool cpuid_is_intel(struct vp *vp);

#endif
