/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Port ids of this module, and what is called when a doorbell of a port rings.
 * Callbacks run in the interrupt handler.
 */
#ifndef PARENT_DRIVER_PORT_H
#define PARENT_DRIVER_PORT_H

#include <linux/types.h>

struct bh_port {
    void (*ring)(struct bh_port *port);
    u32 id;
};

/* Gives `port` an id; 0 or a negative errno. */
int bh_port_add(struct bh_port *port);

/* Returns when no callback of the port is running or will run. */
void bh_port_remove(struct bh_port *port);

/* A doorbell rang; unknown ids are ignored. From the interrupt handler. */
void bh_port_ring(u32 id);

#endif
