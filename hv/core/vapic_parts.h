/* SPDX-License-Identifier: MIT */
/* What the parts of the virtual APIC share with each other and with nobody else. */
#ifndef HV_CORE_VAPIC_PARTS_H
#define HV_CORE_VAPIC_PARTS_H

#include "hv/core/vapic.h"

#define VAPIC_ICR_PENDING (1ull << 12)

#define VAPIC_TIMER_DIVIDE_WRITABLE 0xbu

#define VAPIC_TIMER_MODE_MASK     (3u << 17)
#define VAPIC_TIMER_MODE_ONE_SHOT (0u << 17)
#define VAPIC_TIMER_MODE_PERIODIC (1u << 17)
#define VAPIC_TIMER_MODE_DEADLINE (2u << 17)

bool vapic_is_x2apic(const struct vapic *apic);

/* Bits that a write of the register may hold in x2APIC mode. */
uint64_t vapic_writable(uint32_t reg);

/* False: the command is one that the architecture calls an illegal vector. */
bool vapic_ipi_send(struct vp *vp, uint64_t icr);

void vapic_timer_expire(struct timer *timer);
/* Counts from `current` down; only then from `initial`, if the timer is periodic. */
void vapic_timer_load(struct vp *vp, uint32_t initial, uint32_t current);
void vapic_timer_set_divide(struct vp *vp, uint32_t divide);
void vapic_timer_mode_changed(struct vp *vp, uint32_t old_lvt);
uint32_t vapic_timer_current(const struct vp *vp);

#endif
