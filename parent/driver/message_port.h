/* SPDX-License-Identifier: GPL-2.0-only */
/* Message ports: what a child posts, as a file to read. */
#ifndef PARENT_DRIVER_MESSAGE_PORT_H
#define PARENT_DRIVER_MESSAGE_PORT_H

#include "parent/driver/partition.h"
#include "parent/driver/uapi/bulkhead.h"

/* BH_IOC_OPEN_MESSAGE_PORT, under partition->lock: returns the file or a negative errno. */
int bh_message_port_open(struct bh_partition *partition, const struct bh_message_port *args);

#endif
