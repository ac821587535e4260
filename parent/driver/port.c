// SPDX-License-Identifier: GPL-2.0-only
#include <linux/rcupdate.h>
#include <linux/xarray.h>

#include "hv/abi/port.h"
#include "parent/driver/port.h"

/* Id 0 means "empty" in an event ring. */
static DEFINE_XARRAY_ALLOC1(ports);

int bh_port_add(struct bh_port *port)
{
    return xa_alloc(&ports, &port->id, port, XA_LIMIT(1, HV_PORT_ID_MASK), GFP_KERNEL);
}

void bh_port_remove(struct bh_port *port)
{
    xa_erase(&ports, port->id);
    synchronize_rcu();
}

void bh_port_ring(u32 id)
{
    struct bh_port *port;

    rcu_read_lock();
    port = xa_load(&ports, id);
    if (port)
        port->ring(port);
    rcu_read_unlock();
}
