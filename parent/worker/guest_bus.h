/* SPDX-License-Identifier: MIT */
/*
 * The VMBus of the worker's guest: puts the hypervisor's ports behind the bus.
 * The bus and its devices stay over resets; the ports come and go with the
 * partition. All functions belong to the event loop.
 */
#ifndef PARENT_WORKER_GUEST_BUS_H
#define PARENT_WORKER_GUEST_BUS_H

#include "parent/partition/partition.h"
#include "parent/worker/guest_memory.h"
#include "parent/worker/keeper.h"
#include "vsp/bus/vmbus.h"

struct bh_guest_bus;

/*
 * `memory` must outlive it, and is filled before a guest runs. `journal` is the bus's
 * (vsp/bus/host.h), `kept` gets the message ports. NULL: no memory or descriptors.
 */
struct bh_guest_bus *bh_guest_bus_create(const struct bh_guest_memory *memory, uint32_t vps,
                                         void *journal, struct bh_kept *kept);
void bh_guest_bus_destroy(struct bh_guest_bus *bus);

/* A partition, before its VPs run. On failure nothing stays attached. */
bool bh_guest_bus_attach(struct bh_guest_bus *bus, struct bh_partition *partition,
                         struct bh_error *error);

/* The same with a partition, ports and devices of another process (vsp/bus/vmbus.h). */
bool bh_guest_bus_resume(struct bh_guest_bus *bus, struct bh_partition *partition,
                         struct bh_error *error);

/*
 * Its VPs do not run any more. False when I/O still uses the guest's memory after `patience`
 * milliseconds: then to be called again before the memory or the partition goes.
 */
bool bh_guest_bus_detach(struct bh_guest_bus *bus, int patience);

struct bh_vmbus *bh_guest_bus_vmbus(const struct bh_guest_bus *bus);

#endif
