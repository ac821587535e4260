/* SPDX-License-Identifier: MIT */
/* Segment, interrupt and task tables. NMI, double fault and machine check have stacks of their own.
 */
#ifndef HV_X86_DESCRIPTORS_H
#define HV_X86_DESCRIPTORS_H

#include "hv/x86/lp.h"

/* The interrupt table, common to all LPs. */
void descriptors_init(void);
void descriptors_alloc_stacks(struct lp *lp);
/* Makes the calling processor this LP. */
void descriptors_load(struct lp *lp);

#endif
