/* SPDX-License-Identifier: MIT */
/* MSRs of children that neither the core nor the control block keeps. */
#ifndef HV_X86_CHILD_MSR_H
#define HV_X86_CHILD_MSR_H

#include "hv/core/types.h"

struct vp;

/* False: #GP. */
bool child_read_msr(const struct vp *vp, uint32_t index, uint64_t *value);
bool child_write_msr(const struct vp *vp, uint32_t index, uint64_t value);

#endif
