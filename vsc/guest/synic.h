/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor as this guest uses it: hypercalls, messages, event flags, the
 * reference clock; and all of that as the platform of the clients.
 */
#ifndef VSC_GUEST_SYNIC_H
#define VSC_GUEST_SYNIC_H

#include <stdbool.h>

#include "vsc/bus/bus.h"

/* False when there is no hypervisor with the interface of the TLFS. */
bool synic_begin(void);

/* The connection of this guest; there is one. */
struct vsc_bus *synic_bus(void);

/* Reference time, 100 ns. */
uint64_t synic_clock(void);

/* Doorbells so far. */
uint64_t synic_signals(void);

#endif
