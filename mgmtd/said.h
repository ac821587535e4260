/* SPDX-License-Identifier: MIT */
/*
 * What workers say, in the daemon's terms. Workers are believed in what concerns
 * their own VM; what they pass on from guests is cut and checked here.
 */
#ifndef MGMTD_SAID_H
#define MGMTD_SAID_H

#include "mgmtd/vms.h"
#include "parent/control/protocol.h"

enum vm_state said_state(enum bh_vm_state state);

/* What a `state` event means for the VM, and why in words. */
enum vm_state said_event(const json_t *body, enum bh_vm_reason *reason, char text[256]);

/* What the guest tells of itself: the member `guest` of a status or an event. */
void said_guest(const json_t *body, struct vm_guest *guest);

#endif
