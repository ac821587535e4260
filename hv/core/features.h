/* SPDX-License-Identifier: MIT */
/*
 * Processor features by their TLFS bits, two banks of them and one of XSAVE features: what the
 * machine has, and what the creator of a partition took away. They are CPUID bits in another
 * order; the instructions themselves stay.
 */
#ifndef HV_CORE_FEATURES_H
#define HV_CORE_FEATURES_H

#include "hv/core/cpuid.h"

struct partition;

#define FEATURE_BANKS      3u
#define FEATURE_BANK_XSAVE 2u

/* What the VP's partition may have, asked on the caller's LP, which is the VP's. */
uint64_t features_bank(struct vp *vp, unsigned bank);

/* Takes disabled features out of the answer to a CPUID leaf. */
void features_hide(const uint64_t disabled[FEATURE_BANKS], uint32_t leaf, uint32_t subleaf,
                   struct cpuid_result *result);

#endif
