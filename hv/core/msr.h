/* SPDX-License-Identifier: MIT */
/*
 * The MSRs that the hypervisor answers: synthetic ones, those of the virtual
 * APIC, and, through hv/arch.h, the processor's own that it must watch over.
 */
#ifndef HV_CORE_MSR_H
#define HV_CORE_MSR_H

#include "hv/core/types.h"

struct vp;

/* False: the access faults (#GP). */
bool msr_read(struct vp *vp, uint32_t index, uint64_t *value);
bool msr_write(struct vp *vp, uint32_t index, uint64_t value);

#endif
