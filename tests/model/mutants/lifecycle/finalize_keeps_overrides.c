/* SPDX-License-Identifier: MIT */
/* A finalized partition keeps what was said about its CPUID leaves. */
#include "hv/core/cpuid_override.h"

/* As cpuid_override_drop, but the pages are not given back. */
static void forget_overrides(struct partition *partition);

#define cpuid_override_drop forget_overrides
#include "hv/core/partition_memory.c"

static void forget_overrides(struct partition *partition)
{
    partition->cpuid_overrides = spa_make(0);
}
