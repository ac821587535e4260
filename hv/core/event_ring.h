/* SPDX-License-Identifier: MIT */
/*
 * The event rings of a parent's VP: port ids, in a page that the VP places by MSR SIRBP.
 *
 * Only the VP's LP puts entries, so there is no lock. The reader, the parent, takes
 * them in the order of their places and leaves zeros. It is told by a message of
 * type SINT_INTERCEPT in SINT 0, once until it clears signal_masked. Nothing in the page
 * is believed.
 */
#ifndef HV_CORE_EVENT_RING_H
#define HV_CORE_EVENT_RING_H

#include "hv/core/types.h"

struct vp;

/* On the LP of the VP. False: there is no room, or no page; the reader has been told. */
bool event_ring_put(struct vp *parent_vp, uint32_t sint, uint32_t port_id);

#endif
