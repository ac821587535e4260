/* SPDX-License-Identifier: GPL-2.0-only */
/* The table that turns a GSI into an interrupt of the child, as MSI_ROUTING sets it. */
#ifndef PARENT_DRIVER_ROUTING_H
#define PARENT_DRIVER_ROUTING_H

#include "parent/driver/partition.h"

struct bh_route {
    u8 vector;
    u8 type; /* enum hv_interrupt_type */
    bool level;
    bool logical;
    u32 destination; /* APIC id */
};

/* MSHV_SET_MSI_ROUTING, under partition->lock: replaces the whole table. */
int bh_routing_set(struct bh_partition *partition, const struct mshv_user_irq_table __user *args);
void bh_routing_release(struct bh_partition *partition);

/* False when the GSI has no route. Any context. */
bool bh_routing_find(struct bh_partition *partition, u32 gsi, struct bh_route *route);

/* Asserts the interrupt in the child; any context. */
void bh_routing_deliver(struct bh_partition *partition, const struct bh_route *route);

#endif
