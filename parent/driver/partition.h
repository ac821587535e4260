/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A child partition and its VPs as the driver holds them.
 *
 * Life: a partition is created by /dev/mshv and lives as long as a file of it
 * or of one of its VPs or message ports is open; the last close tears it down completely.
 *
 * Locks, outermost first: vp->lock, partition->lock. The interrupt handler takes
 * neither: it finds partitions in a table under RCU, and `vp[i]`, once set,
 * stays until the partition has left the table.
 */
#ifndef PARENT_DRIVER_PARTITION_H
#define PARENT_DRIVER_PARTITION_H

#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "parent/driver/uapi/mshv.h"

#define BH_VPS_MAX 256u

struct bh_routing;
struct eventfd_ctx;

struct bh_vp {
    struct bh_partition *partition;
    u32 index;
    struct mutex lock; /* held while it runs */
    wait_queue_head_t wait;
    struct page *message_page;  /* the type of its message is HV_MESSAGE_NONE while the VP runs */
    DECLARE_BITMAP(ended, 256); /* level interrupts that it ended and nobody was told of */
    struct page *register_page; /* NULL when the hypervisor offers none */
};

struct bh_partition {
    u64 id;
    u64 pt_flags;
    struct kref references; /* open files */
    struct hlist_node table_node;
    struct mutex lock;
    bool initialized;
    struct bh_vp *vp[BH_VPS_MAX];
    struct list_head regions;    /* memory.c */
    struct list_head ioeventfds; /* ioeventfd.c */
    struct list_head irqfds;     /* irqfd.c, under irqfd_lock */
    spinlock_t irqfd_lock;
    struct xarray event_ports; /* event_port.c */
    struct eventfd_ctx *room;  /* event_port.c, under irqfd_lock; or NULL */
    struct srcu_struct routing_srcu;
    struct bh_routing __rcu *routing; /* routing.c */
};

/* Creates one with the arguments of MSHV_CREATE_PARTITION; returns its file or a negative errno. */
int bh_partition_create(const struct mshv_create_partition_v2 *args);

void bh_partition_get(struct bh_partition *partition);
void bh_partition_put(struct bh_partition *partition);

/* Finds by the hypervisor's id; call under RCU. */
struct bh_partition *bh_partition_find(u64 id);

/* The id of the partition whose file this is; 0 for any other file. */
u64 bh_partition_id_of(const struct file *file);

/* Ids of all partitions into `ids`; returns how many there are, also beyond `capacity`. */
unsigned bh_partition_list(u64 *ids, unsigned capacity);

#endif
