// SPDX-License-Identifier: GPL-2.0-only
#include <linux/eventfd.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "parent/driver/ioeventfd.h"
#include "parent/driver/port.h"

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

static int open_port(u64 partition_id, struct ioeventfd *ioeventfd)
{
    struct hv_connection_info info = {
        .type = HV_PORT_DOORBELL,
        .doorbell = {.gpa = ioeventfd->address,
                     .trigger_value = ioeventfd->value,
                     .flags = doorbell_flags(ioeventfd)},
    };

    return bh_port_open(&ioeventfd->port, partition_id, 0, &info);
}

/* --- requests ----------------------------------------------------------------------------- */

static void destroy(struct ioeventfd *ioeventfd)
{
    bh_port_close(&ioeventfd->port);
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
    err = open_port(partition->id, ioeventfd);
    if (err)
        return err;
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
        destroy(ioeventfd);
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
        destroy(ioeventfd);
}
