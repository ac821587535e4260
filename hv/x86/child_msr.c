/* SPDX-License-Identifier: MIT */
/* A child never reaches an MSR of the machine here: constants, or the partition's policy. */
#include "hv/x86/child_msr.h"

#include "hv/abi/partition.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define MSR_PLATFORM_ID 0x17u
#define MSR_MISC_ENABLE 0x1a0u
#define MTRR_ENABLED_WB 0x806u

static bool ignores(const struct partition *partition, uint32_t access)
{
    return partition->ignores_unknown_msrs && !(partition->msr_intercepts & access);
}

bool child_read_msr(const struct vp *vp, uint32_t index, uint64_t *value)
{
    *value = 0;
    switch (index) {
    case MSR_PLATFORM_ID:
    case MSR_MTRR_CAP: /* no ranges: all memory is write-back */
    case MSR_PATCH_LOADER:
        return true;
    case MSR_MISC_ENABLE:
        *value = 1; /* fast strings */
        return true;
    case MSR_MTRR_DEF_TYPE:
        *value = MTRR_ENABLED_WB;
        return true;
    default:
        return ignores(vp->partition, HV_INTERCEPT_ACCESS_READ);
    }
}

bool child_write_msr(const struct vp *vp, uint32_t index, uint64_t value)
{
    (void)value;
    return index == MSR_MTRR_DEF_TYPE || index == MSR_MISC_ENABLE ||
           ignores(vp->partition, HV_INTERCEPT_ACCESS_WRITE);
}
