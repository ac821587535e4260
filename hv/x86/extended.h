/* SPDX-License-Identifier: MIT */
/*
 * Registers that entering and leaving a guest does not switch: the XSAVE area
 * with XCR0, DR0 to DR3, TSC_AUX, SPEC_CTRL. They stay in the processor until the
 * LP runs another VP. If that is of another partition, the branch predictor is
 * told to forget, where the processor can (IBPB).
 */
#ifndef HV_X86_EXTENDED_H
#define HV_X86_EXTENDED_H

#include "hv/core/types.h"

struct lp;
struct vp;

/* Once at boot. False: the processor has no XSAVE, and only the parent can run. */
bool extended_init(void);
/* Turns XSAVE on for the calling LP. */
void extended_init_lp(void);

/* Bytes that the state of a VP takes, and its state after reset, in that many zeroed bytes. */
uint64_t extended_size(void);
void extended_reset(void *state);
/* SPEC_CTRL, which is switched, or PRED_CMD, which keeps nothing: a child may have it. */
bool extended_has_msr(uint32_t index);

/* Before the VP runs: its registers take the place of those of the VP that ran last. */
void extended_switch(struct lp *lp, struct vp *vp);

/* By TLFS name: XFEM, DR0 to DR3, TSC_AUX, SPEC_CTRL. NULL: another register. */
uint64_t *extended_register(struct vp *vp, uint32_t name);
bool extended_is_valid(uint32_t name, uint64_t value);

#endif
