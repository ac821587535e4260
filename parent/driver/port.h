/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ports of this module: a child reaches each by one connection id or, for a doorbell, a store to
 * its address; the hypervisor then puts the port's id in the event ring of SINT5. Callbacks run in
 * the interrupt handler.
 */
#ifndef PARENT_DRIVER_PORT_H
#define PARENT_DRIVER_PORT_H

#include <linux/types.h>

#include "hv/abi/port.h"

struct bh_port {
    void (*ring)(struct bh_port *port);
    u32 id;
    u64 partition_id;
};

/*
 * Gives `port` (whose `ring` is set) an id, and connects it to the partition, which pays for it.
 * connection_id: 0 to use the port's id. 0 or a negative errno: EEXIST for a connection id in use,
 * ENOSPC when there is no place for it.
 */
int bh_port_open(struct bh_port *port, u64 partition_id, u32 connection_id,
                 const struct hv_connection_info *info);

/*
 * The child can not reach it any more. Returns when whatever reached it before has been told, and
 * no callback is running. May sleep.
 */
void bh_port_close(struct bh_port *port);

/* A port was reached; unknown ids are ignored. From the interrupt handler. */
void bh_port_ring(u32 id);

#endif
