/* SPDX-License-Identifier: GPL-2.0-only */
/* Eventfds signalled when the child writes to an address: doorbell ports of the hypervisor. */
#ifndef PARENT_DRIVER_IOEVENTFD_H
#define PARENT_DRIVER_IOEVENTFD_H

#include "parent/driver/partition.h"

/* MSHV_IOEVENTFD, under partition->lock. */
int bh_ioeventfd_set(struct bh_partition *partition, const struct mshv_user_ioeventfd *args);
void bh_ioeventfd_release(struct bh_partition *partition);

#endif
