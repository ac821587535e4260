/* SPDX-License-Identifier: MIT */
/*
 * Physical interrupts. The hypervisor runs with interrupts off and opens a
 * window where it can take them: after a guest's exit for an interrupt, and
 * while idle.
 *
 * A device interrupt goes to the parent's VP of the LP it arrived on, with the
 * same vector. An edge interrupt is ended at once. For a level interrupt the
 * end is deferred until the parent ends its own, since the line would fire
 * again at once. Physical ends take the highest vector in service first, so
 * deferred ends are carried out in that order whatever order the parent ends
 * them in.
 */
#ifndef HV_X86_INTERRUPTS_H
#define HV_X86_INTERRUPTS_H

#include "hv/core/vapic.h"

struct lp;
struct vp;

/* The parent's VP ended a level interrupt. On its own LP. */
void interrupts_level_eoi(struct lp *lp, uint8_t vector);

/* Passes the parent's LVT entries for NMI, thermal and performance events to the real APIC. */
void interrupts_set_lvt(enum vapic_lvt index, uint32_t value);

/* An NMI came while the hypervisor or a guest ran on this LP: give it to the parent's VP. */
void interrupts_forward_nmi(struct lp *lp);

#endif
