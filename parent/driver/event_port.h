/* SPDX-License-Identifier: GPL-2.0-only */
/* Events from a child to eventfds; events and messages to it. */
#ifndef PARENT_DRIVER_EVENT_PORT_H
#define PARENT_DRIVER_EVENT_PORT_H

#include "parent/driver/partition.h"
#include "parent/driver/uapi/bulkhead.h"

/* BH_IOC_EVENT_PORT and BH_IOC_WATCH_ROOM, under partition->lock. */
int bh_event_port_set(struct bh_partition *partition, const struct bh_event_port *args);
int bh_event_watch_room(struct bh_partition *partition, const struct bh_watch_room *args);

/* BH_IOC_POST_MESSAGE and BH_IOC_SIGNAL_EVENT; need no lock. */
int bh_event_post_message(struct bh_partition *partition, const struct bh_post_message *args);
int bh_event_signal(struct bh_partition *partition, const struct bh_signal_event *args);

/* The hypervisor has room for messages again. In the interrupt handler. */
void bh_event_tell_room(struct bh_partition *partition);

/* Closes all ports, forgets the eventfds. */
void bh_event_port_release(struct bh_partition *partition);

#endif
