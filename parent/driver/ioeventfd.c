// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/eventfd.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "hv/abi/port.h"
#include "parent/driver/deposit.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/ioeventfd.h"
#include "parent/driver/port.h"
#include "parent/driver/synic.h"

struct ioeventfd {
    struct list_head list;
    struct bh_port port;
    struct eventfd_ctx *eventfd;
    u64 address;
    u32 length;
    bool any_value;
    u64 value;
};

static void ioeventfd_ring(struct bh_port *port)
{
    eventfd_signal(container_of(port, struct ioeventfd, port)->eventfd, 1);
}

/* --- in the hypervisor -------------------------------------------------------------------- */

/* Calls, and again after a deposit when memory ran out. */
static int call_with_deposit(u64 partition_id, u16 code, const void *input, size_t size)
{
    for (;;) {
        u16 status = bh_hypercall_status(bh_hypercall(code, input, size, NULL, 0));
        int err;

        if (status != HV_STATUS_INSUFFICIENT_MEMORY)
            return bh_status_to_errno(status);
        err = bh_deposit(partition_id, BH_DEPOSIT_RETRY);
        if (err)
            return err;
    }
}

static u64 doorbell_flags(const struct ioeventfd *ioeventfd)
{
    u64 any = ioeventfd->any_value ? HV_DOORBELL_ANY_VALUE : 0;

    switch (ioeventfd->length) {
    case 1:
        return any | HV_DOORBELL_SIZE_1;
    case 2:
        return any | HV_DOORBELL_SIZE_2;
    case 4:
        return any | HV_DOORBELL_SIZE_4;
    case 8:
        return any | HV_DOORBELL_SIZE_8;
    default:
        return any | HV_DOORBELL_SIZE_ANY;
    }
}

static int connect(u64 partition_id, const struct ioeventfd *ioeventfd)
{
    struct hv_input_create_port create = {
        .port_partition = HV_PARTITION_ID_SELF,
        .port_id = ioeventfd->port.id,
        .connection_partition = partition_id,
        .info = {.type = HV_PORT_DOORBELL, .message = {.sint = BH_SINT_DOORBELL, .vp = HV_ANY_VP}},
    };
    struct hv_input_connect_port connection = {
        .connection_partition = partition_id,
        .connection_id = ioeventfd->port.id,
        .port_partition = HV_PARTITION_ID_SELF,
        .port_id = ioeventfd->port.id,
        .info = {.type = HV_PORT_DOORBELL,
                 .doorbell = {.gpa = ioeventfd->address,
                              .trigger_value = ioeventfd->value,
                              .flags = doorbell_flags(ioeventfd)}},
    };
    int err = call_with_deposit(partition_id, HVCALL_CREATE_PORT, &create, sizeof(create));

    if (err)
        return err;
    err = call_with_deposit(partition_id, HVCALL_CONNECT_PORT, &connection, sizeof(connection));
    if (err)
        (void)bh_hypercall_fast(HVCALL_DELETE_PORT, HV_PARTITION_ID_SELF, ioeventfd->port.id);
    return err;
}

static void disconnect(u64 partition_id, u32 id)
{
    u16 status = bh_hypercall_fast(HVCALL_DISCONNECT_PORT, partition_id,
                                   id | (u64)HV_DISCONNECT_DOORBELL << 32);

    if (status == HV_STATUS_SUCCESS)
        status = bh_hypercall_fast(HVCALL_DELETE_PORT, HV_PARTITION_ID_SELF, id);
    if (status != HV_STATUS_SUCCESS)
        pr_err("doorbell %u of partition %llu is not removed (status 0x%x)\n", id, partition_id,
               status);
}

/* --- requests ----------------------------------------------------------------------------- */

static void destroy(struct bh_partition *partition, struct ioeventfd *ioeventfd)
{
    disconnect(partition->id, ioeventfd->port.id);
    bh_port_remove(&ioeventfd->port);
    list_del(&ioeventfd->list);
    eventfd_ctx_put(ioeventfd->eventfd);
    kfree(ioeventfd);
}

static bool collide(const struct ioeventfd *a, const struct ioeventfd *b)
{
    return a->address == b->address &&
           (!a->length || !b->length ||
            (a->length == b->length && (a->any_value || b->any_value || a->value == b->value)));
}

static int insert(struct bh_partition *partition, struct ioeventfd *ioeventfd)
{
    struct ioeventfd *other;
    int err;

    list_for_each_entry(other, &partition->ioeventfds, list)
        if (collide(other, ioeventfd))
            return -EEXIST;
    err = bh_port_add(&ioeventfd->port);
    if (err)
        return err;
    err = connect(partition->id, ioeventfd);
    if (err) {
        bh_port_remove(&ioeventfd->port);
        return err;
    }
    list_add_tail(&ioeventfd->list, &partition->ioeventfds);
    return 0;
}

static int assign(struct bh_partition *partition, const struct mshv_user_ioeventfd *args,
                  struct eventfd_ctx *eventfd)
{
    struct ioeventfd *ioeventfd = kzalloc(sizeof(*ioeventfd), GFP_KERNEL_ACCOUNT);
    int err;

    if (!ioeventfd) {
        eventfd_ctx_put(eventfd);
        return -ENOMEM;
    }
    ioeventfd->port.ring = ioeventfd_ring;
    ioeventfd->eventfd = eventfd;
    ioeventfd->address = args->addr;
    ioeventfd->length = args->len;
    ioeventfd->any_value = !(args->flags & BIT(MSHV_IOEVENTFD_BIT_DATAMATCH));
    ioeventfd->value = ioeventfd->any_value ? 0 : args->datamatch;
    err = insert(partition, ioeventfd);
    if (err) {
        eventfd_ctx_put(eventfd);
        kfree(ioeventfd);
    }
    return err;
}

static bool matches(const struct ioeventfd *ioeventfd, const struct mshv_user_ioeventfd *args,
                    const struct eventfd_ctx *eventfd)
{
    bool any_value = !(args->flags & BIT(MSHV_IOEVENTFD_BIT_DATAMATCH));

    return ioeventfd->eventfd == eventfd && ioeventfd->address == args->addr &&
           ioeventfd->length == args->len && ioeventfd->any_value == any_value &&
           (any_value || ioeventfd->value == args->datamatch);
}

static int deassign(struct bh_partition *partition, const struct mshv_user_ioeventfd *args,
                    struct eventfd_ctx *eventfd)
{
    struct ioeventfd *ioeventfd;
    int err = -ENOENT;

    list_for_each_entry(ioeventfd, &partition->ioeventfds, list) {
        if (!matches(ioeventfd, args, eventfd))
            continue;
        destroy(partition, ioeventfd);
        err = 0;
        break;
    }
    eventfd_ctx_put(eventfd);
    return err;
}

static bool is_length(u32 length)
{
    return length == 0 || length == 1 || length == 2 || length == 4 || length == 8;
}

int bh_ioeventfd_set(struct bh_partition *partition, const struct mshv_user_ioeventfd *args)
{
    struct eventfd_ctx *eventfd;

    if (args->flags & BIT(MSHV_IOEVENTFD_BIT_PIO))
        return -EOPNOTSUPP;
    if (args->flags & ~MSHV_IOEVENTFD_FLAGS_MASK || !is_length(args->len) ||
        args->addr + args->len < args->addr ||
        (!args->len && args->flags & BIT(MSHV_IOEVENTFD_BIT_DATAMATCH)) ||
        memchr_inv(args->rsvd, 0, sizeof(args->rsvd)))
        return -EINVAL;
    eventfd = eventfd_ctx_fdget(args->fd);
    if (IS_ERR(eventfd))
        return PTR_ERR(eventfd);
    if (args->flags & BIT(MSHV_IOEVENTFD_BIT_DEASSIGN))
        return deassign(partition, args, eventfd);
    return assign(partition, args, eventfd);
}

void bh_ioeventfd_release(struct bh_partition *partition)
{
    struct ioeventfd *ioeventfd;
    struct ioeventfd *next;

    list_for_each_entry_safe(ioeventfd, next, &partition->ioeventfds, list)
        destroy(partition, ioeventfd);
}
