// SPDX-License-Identifier: GPL-2.0-only
/*
 * The messages stay in the hypervisor until they are read, so a reader that is slow costs nothing
 * but the child's own room. The port rings when the first message comes into an empty queue.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "parent/driver/hypercall.h"
#include "parent/driver/message_port.h"
#include "parent/driver/port.h"

struct message_port {
    struct bh_port port;
    struct bh_partition *partition;
    wait_queue_head_t wait;
    bool readable; /* cleared before the queue is looked at, so that no ring is missed */
};

static void message_port_ring(struct bh_port *port)
{
    struct message_port *message_port = container_of(port, struct message_port, port);

    WRITE_ONCE(message_port->readable, true);
    wake_up(&message_port->wait);
}

/* Takes up to `count` messages to `page`; returns how many. */
static u16 take(struct message_port *port, void *page, u16 count)
{
    struct bh_read_messages_input input = {.partition_id = port->partition->id,
                                           .port_id = port->port.id};
    struct bh_rep_call call = {
        .code = BH_CALL_READ_MESSAGES,
        .count = count,
        .in = &input,
        .in_size = sizeof(input),
        .out = page,
        .out_element = sizeof(struct hv_message),
    };
    u16 done;

    WRITE_ONCE(port->readable, false);
    smp_mb();
    if (bh_hypercall_rep(&call, &done) == HV_STATUS_SUCCESS)
        WRITE_ONCE(port->readable, true); /* there may be more */
    return done;
}

static ssize_t read_to_page(struct file *file, void *page, u16 count)
{
    struct message_port *port = file->private_data;
    u16 done;

    while (!(done = take(port, page, count))) {
        if (file->f_flags & O_NONBLOCK)
            return -EAGAIN;
        if (wait_event_interruptible(port->wait, READ_ONCE(port->readable)))
            return -ERESTARTSYS;
    }
    return done * (ssize_t)sizeof(struct hv_message);
}

static ssize_t message_port_read(struct file *file, char __user *to, size_t size, loff_t *position)
{
    u16 count = (u16)min_t(size_t, size / sizeof(struct hv_message), BH_READ_MESSAGES_MAX);
    void *page;
    ssize_t result;

    if (!count)
        return -EINVAL;
    page = (void *)__get_free_page(GFP_KERNEL);
    if (!page)
        return -ENOMEM;
    result = read_to_page(file, page, count);
    if (result > 0 && copy_to_user(to, page, (size_t)result))
        result = -EFAULT;
    free_page((unsigned long)page);
    return result;
}

static __poll_t message_port_poll(struct file *file, poll_table *table)
{
    struct message_port *port = file->private_data;

    poll_wait(file, &port->wait, table);
    return READ_ONCE(port->readable) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int message_port_release(struct inode *inode, struct file *file)
{
    struct message_port *port = file->private_data;

    bh_port_close(&port->port);
    bh_partition_put(port->partition);
    kfree(port);
    return 0;
}

static const struct file_operations message_port_operations = {
    .owner = THIS_MODULE,
    .read = message_port_read,
    .poll = message_port_poll,
    .release = message_port_release,
    .llseek = noop_llseek,
};

/* With the port open; closes it on failure. */
static int open_file(struct message_port *port)
{
    int fd;

    bh_partition_get(port->partition);
    fd = anon_inode_getfd("mshv_message_port", &message_port_operations, port,
                          O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        return fd;
    bh_partition_put(port->partition); /* never the last: the caller's file is open */
    bh_port_close(&port->port);
    return fd;
}

int bh_message_port_open(struct bh_partition *partition, const struct bh_message_port *args)
{
    struct hv_connection_info info = {.type = HV_PORT_MESSAGE};
    struct message_port *port;
    int fd;

    if (!args->connection_id || args->connection_id > BH_CONNECTION_ID_LIMIT || args->reserved)
        return -EINVAL;
    port = kzalloc(sizeof(*port), GFP_KERNEL_ACCOUNT);
    if (!port)
        return -ENOMEM;
    port->port.ring = message_port_ring;
    port->partition = partition;
    init_waitqueue_head(&port->wait);
    fd = bh_port_open(&port->port, partition->id, args->connection_id, &info);
    if (!fd)
        fd = open_file(port);
    if (fd < 0)
        kfree(port);
    return fd;
}
