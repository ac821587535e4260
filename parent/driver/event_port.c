// SPDX-License-Identifier: GPL-2.0-only
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/slab.h>

#include "parent/driver/deposit.h"
#include "parent/driver/event_port.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/port.h"

/* --- from the child ----------------------------------------------------------------------- */

/* In partition->event_ports by its connection id. */
struct event_port {
    struct bh_port port;
    struct eventfd_ctx *eventfd;
};

static void event_port_ring(struct bh_port *port)
{
    eventfd_signal(container_of(port, struct event_port, port)->eventfd, 1);
}

static void free_event_port(struct event_port *port)
{
    eventfd_ctx_put(port->eventfd);
    kfree(port);
}

/* Reserves the entry first: what is open in the hypervisor is always in the table. */
static int insert(struct bh_partition *partition, u32 connection_id, struct event_port *port)
{
    struct hv_connection_info info = {.type = HV_PORT_EVENT};
    int err = xa_insert(&partition->event_ports, connection_id, port, GFP_KERNEL_ACCOUNT);

    if (err)
        return err == -EBUSY ? -EEXIST : err;
    err = bh_port_open(&port->port, partition->id, connection_id, &info);
    if (err)
        xa_erase(&partition->event_ports, connection_id);
    return err;
}

static int open_port(struct bh_partition *partition, const struct bh_event_port *args)
{
    struct event_port *port = kzalloc(sizeof(*port), GFP_KERNEL_ACCOUNT);
    int err;

    if (!port)
        return -ENOMEM;
    port->port.ring = event_port_ring;
    port->eventfd = eventfd_ctx_fdget(args->fd);
    if (IS_ERR(port->eventfd)) {
        err = PTR_ERR(port->eventfd);
        kfree(port);
        return err;
    }
    err = insert(partition, args->connection_id, port);
    if (err)
        free_event_port(port);
    return err;
}

static int close_port(struct bh_partition *partition, u32 connection_id)
{
    struct event_port *port = xa_erase(&partition->event_ports, connection_id);

    if (!port)
        return -ENOENT;
    bh_port_close(&port->port);
    free_event_port(port);
    return 0;
}

int bh_event_port_set(struct bh_partition *partition, const struct bh_event_port *args)
{
    if (!args->connection_id || args->connection_id > BH_CONNECTION_ID_LIMIT || args->reserved ||
        args->flags & ~BH_EVENT_PORT_CLOSE)
        return -EINVAL;
    if (args->flags & BH_EVENT_PORT_CLOSE)
        return close_port(partition, args->connection_id);
    return open_port(partition, args);
}

/* --- to the child ------------------------------------------------------------------------- */

static int status_to_errno(u16 status)
{
    switch (status) {
    case HV_STATUS_INSUFFICIENT_BUFFERS:
        return -EAGAIN;
    case HV_STATUS_INVALID_SYNIC_STATE:
        return -ENOTCONN;
    default:
        return bh_status_to_errno(status);
    }
}

int bh_event_post_message(struct bh_partition *partition, const struct bh_post_message *args)
{
    struct hv_input_post_message_direct input = {
        .partition_id = partition->id,
        .vp_index = args->vp_index,
        .sint = args->sint,
    };

    memcpy(input.message, args->message, sizeof(input.message));
    return status_to_errno(
        bh_deposit_and_call(partition->id, HVCALL_POST_MESSAGE_DIRECT, &input, sizeof(input)));
}

int bh_event_signal(struct bh_partition *partition, const struct bh_signal_event *args)
{
    struct hv_input_signal_event_direct input = {
        .partition_id = partition->id,
        .vp_index = args->vp_index,
        .sint = args->sint,
        .flag_number = args->flag,
    };
    struct hv_output_signal_event_direct output;

    if (args->reserved)
        return -EINVAL;
    return status_to_errno(bh_hypercall_status(
        bh_hypercall(HVCALL_SIGNAL_EVENT_DIRECT, &input, sizeof(input), &output, sizeof(output))));
}

/* --- room --------------------------------------------------------------------------------- */

static void set_room(struct bh_partition *partition, struct eventfd_ctx *eventfd)
{
    spin_lock_irq(&partition->irqfd_lock);
    swap(partition->room, eventfd);
    spin_unlock_irq(&partition->irqfd_lock);
    if (eventfd)
        eventfd_ctx_put(eventfd);
}

int bh_event_watch_room(struct bh_partition *partition, const struct bh_watch_room *args)
{
    struct eventfd_ctx *eventfd = NULL;

    if (args->reserved || args->fd < -1)
        return -EINVAL;
    if (args->fd >= 0)
        eventfd = eventfd_ctx_fdget(args->fd);
    if (IS_ERR(eventfd))
        return PTR_ERR(eventfd);
    set_room(partition, eventfd);
    return 0;
}

void bh_event_tell_room(struct bh_partition *partition)
{
    unsigned long flags;

    spin_lock_irqsave(&partition->irqfd_lock, flags);
    if (partition->room)
        eventfd_signal(partition->room, 1);
    spin_unlock_irqrestore(&partition->irqfd_lock, flags);
}

void bh_event_port_release(struct bh_partition *partition)
{
    struct event_port *port;
    unsigned long connection_id;

    xa_for_each(&partition->event_ports, connection_id, port) {
        bh_port_close(&port->port);
        free_event_port(port);
    }
    xa_destroy(&partition->event_ports);
    set_room(partition, NULL);
}
