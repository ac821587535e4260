// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/xarray.h>

#include "parent/driver/deposit.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/port.h"
#include "parent/driver/synic.h"

/* Id 0 means "empty" in an event ring. */
static DEFINE_XARRAY_ALLOC1(ports);

static int status_to_errno(u16 status)
{
    switch (status) {
    case HV_STATUS_INVALID_CONNECTION_ID:
        return -EEXIST;
    case HV_STATUS_NO_RESOURCES:
        return -ENOSPC;
    default:
        return bh_status_to_errno(status);
    }
}

static u16 delete_port(const struct bh_port *port)
{
    return bh_hypercall_fast(HVCALL_DELETE_PORT, HV_PARTITION_ID_SELF, port->id);
}

static int connect(const struct bh_port *port, u32 connection_id,
                   const struct hv_connection_info *info)
{
    struct hv_input_create_port create = {
        .port_partition = HV_PARTITION_ID_SELF,
        .port_id = port->id,
        .connection_partition = port->partition_id,
        .info = {.type = info->type, .message = {.sint = BH_SINT_PORTS, .vp = HV_ANY_VP}},
    };
    struct hv_input_connect_port connection = {
        .connection_partition = port->partition_id,
        .connection_id = connection_id ? connection_id : port->id,
        .port_partition = HV_PARTITION_ID_SELF,
        .port_id = port->id,
        .info = *info,
    };
    u16 status;

    if (info->type == HV_PORT_EVENT)
        create.info.event.flag_count = 1;
    status = bh_deposit_and_call(port->partition_id, HVCALL_CREATE_PORT, &create, sizeof(create));
    if (status != HV_STATUS_SUCCESS)
        return status_to_errno(status);
    status = bh_deposit_and_call(port->partition_id, HVCALL_CONNECT_PORT, &connection,
                                 sizeof(connection));
    if (status != HV_STATUS_SUCCESS)
        (void)delete_port(port);
    return status_to_errno(status);
}

int bh_port_open(struct bh_port *port, u64 partition_id, u32 connection_id,
                 const struct hv_connection_info *info)
{
    int err;

    port->partition_id = partition_id;
    err = xa_alloc(&ports, &port->id, port, XA_LIMIT(1, HV_PORT_ID_MASK), GFP_KERNEL_ACCOUNT);
    if (err)
        return err;
    err = connect(port, connection_id, info);
    if (err)
        xa_erase(&ports, port->id);
    return err;
}

void bh_port_close(struct bh_port *port)
{
    u16 status = delete_port(port);

    if (status != HV_STATUS_SUCCESS)
        pr_err("port %u of partition %llu is not removed (status 0x%x)\n", port->id,
               port->partition_id, status);
    bh_synic_drain_all();
    xa_erase(&ports, port->id);
}

void bh_port_ring(u32 id)
{
    struct bh_port *port = xa_load(&ports, id);

    if (port)
        port->ring(port);
}
