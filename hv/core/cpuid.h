/* SPDX-License-Identifier: MIT */
/* What a partition sees of the processor through CPUID. */
#ifndef HV_CORE_CPUID_H
#define HV_CORE_CPUID_H

#include "hv/core/types.h"

struct vp;

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

void cpuid_emulate(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result);

#endif
