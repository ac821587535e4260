/* SPDX-License-Identifier: MIT */
/*
 * The ways a guest ends its run: ACPI sleep and reset registers, the keyboard
 * controller's and the PCI host's reset, and a debug-exit port for tests. Also
 * port 0x61, which a kernel reads for the reason of an NMI.
 */
#ifndef PARENT_WORKER_POWER_H
#define PARENT_WORKER_POWER_H

#include "parent/worker/bus.h"

#define BH_SLEEP_CONTROL_PORT 0x600u
#define BH_SLEEP_STATUS_PORT  0x601u
#define BH_RESET_PORT         0x602u
#define BH_RESET_VALUE        0x01u
#define BH_SLEEP_TYPE_S5      5u /* SLP_TYP of \_S5 */
#define BH_DEBUG_EXIT_PORT    0xf4u

enum bh_power_event {
    BH_POWER_OFF,
    BH_POWER_RESET,
    BH_POWER_DEBUG_EXIT, /* with the value written */
};

struct bh_power {
    void (*event)(void *context, enum bh_power_event event, uint32_t value);
    void *context;
};

/* Adds all of these ports; false when the bus refuses one. */
bool bh_power_attach(struct bh_power *power, struct bh_bus *ports);

#endif
