// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hv/abi/vp.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/routing.h"

#define ROUTES_MAX 4096u

struct bh_routing {
    u32 count;
    struct mshv_user_irq_entry entry[];
};

/* Whether all entries are valid and no GSI is there twice. */
static int check(const struct bh_routing *routing)
{
    unsigned long *seen = bitmap_zalloc(ROUTES_MAX, GFP_KERNEL);
    int err = seen ? 0 : -ENOMEM;
    u32 i;

    for (i = 0; !err && i < routing->count; i++) {
        const struct mshv_user_irq_entry *entry = &routing->entry[i];

        if (entry->gsi >= ROUTES_MAX || entry->address_hi || test_and_set_bit(entry->gsi, seen))
            err = -EINVAL;
    }
    bitmap_free(seen);
    return err;
}

static struct bh_routing *read_table(const struct mshv_user_irq_table __user *args)
{
    struct mshv_user_irq_table head;
    struct bh_routing *routing;
    int err;

    if (copy_from_user(&head, args, sizeof(head)))
        return ERR_PTR(-EFAULT);
    if (head.nr > ROUTES_MAX || head.rsvd)
        return ERR_PTR(-EINVAL);
    routing = kvzalloc(struct_size(routing, entry, head.nr), GFP_KERNEL_ACCOUNT);
    if (!routing)
        return ERR_PTR(-ENOMEM);
    routing->count = head.nr;
    err = copy_from_user(routing->entry, args->entries, head.nr * sizeof(routing->entry[0]))
              ? -EFAULT
              : check(routing);
    if (!err)
        return routing;
    kvfree(routing);
    return ERR_PTR(err);
}

static void replace(struct bh_partition *partition, struct bh_routing *routing)
{
    struct bh_routing *old = rcu_replace_pointer(partition->routing, routing, true);

    synchronize_srcu(&partition->routing_srcu);
    kvfree(old);
}

int bh_routing_set(struct bh_partition *partition, const struct mshv_user_irq_table __user *args)
{
    struct bh_routing *routing = read_table(args);

    if (IS_ERR(routing))
        return PTR_ERR(routing);
    replace(partition, routing);
    return 0;
}

void bh_routing_release(struct bh_partition *partition)
{
    replace(partition, NULL);
}

static struct bh_route decode(const struct mshv_user_irq_entry *entry)
{
    return (struct bh_route){
        .vector = (u8)entry->data,
        .type = entry->data >> 8 & 7,
        .level = entry->data >> 15 & 1,
        .logical = entry->address_lo >> 2 & 1,
        .destination = entry->address_lo >> 12 & 0xff,
    };
}

bool bh_routing_find(struct bh_partition *partition, u32 gsi, struct bh_route *route)
{
    int token = srcu_read_lock(&partition->routing_srcu);
    const struct bh_routing *routing =
        srcu_dereference(partition->routing, &partition->routing_srcu);
    bool found = false;
    u32 i;

    for (i = 0; routing && i < routing->count && !found; i++) {
        if (routing->entry[i].gsi != gsi)
            continue;
        *route = decode(&routing->entry[i]);
        found = true;
    }
    srcu_read_unlock(&partition->routing_srcu, token);
    return found;
}

void bh_routing_deliver(struct bh_partition *partition, const struct bh_route *route)
{
    struct hv_input_assert_interrupt input = {
        .partition_id = partition->id,
        .type = route->type,
        .flags = (route->level ? HV_INTERRUPT_LEVEL_TRIGGERED : 0) |
                 (route->logical ? HV_INTERRUPT_LOGICAL_DESTINATION : 0),
        .destination = route->destination,
        .vector = route->vector,
    };

    (void)bh_hypercall(HVCALL_ASSERT_VIRTUAL_INTERRUPT, &input, sizeof(input), NULL, 0);
}
