/* SPDX-License-Identifier: MIT */
/*
 * Intercepts: what a child did that only the parent can answer.
 *
 * The VP stops (intercept_suspend), its message is put in the page the parent
 * gave for it, its registers in the register page, and a short message tells the
 * parent's VP of the same LP whose it is. That VP has one slot for such news; who
 * finds it busy waits in a list until the parent has emptied it. All of this
 * happens on the LP of the VP, so there is no lock.
 */
#ifndef HV_CORE_INTERCEPT_H
#define HV_CORE_INTERCEPT_H

#include "hv/abi/intercept.h"
#include "hv/core/types.h"

struct vp;

/* Stops the VP with this message. type: HV_MESSAGE_*; payload: size bytes, header filled in. */
void intercept_raise(struct vp *vp, uint32_t type, const void *payload, size_t size);

/* The parent lets the VP go on: loads what it changed in the register page. */
void intercept_resume(struct vp *vp);

/* The VP ended a level interrupt: the parent's interrupt controller wants to know. */
void intercept_tell_eoi(struct vp *vp, uint8_t vector);

/* There is room for messages to the VP's partition again. */
void intercept_tell_room(struct vp *vp);

/* On a parent's VP: there are entries in its event ring of this SINT. */
void intercept_tell_ring(struct vp *parent_vp, uint32_t sint);

/* On a parent's VP, when its message slot may be free again. */
void intercept_deliver(struct vp *parent_vp);

/* The VP goes away: nothing of it is told any more. */
void intercept_forget(struct vp *vp);

#endif
