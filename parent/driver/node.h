/* SPDX-License-Identifier: GPL-2.0-only */
/* The misc device /dev/mshv (uapi/mshv.h), and all that children need. */
#ifndef PARENT_DRIVER_NODE_H
#define PARENT_DRIVER_NODE_H

/* 0 also when the hypervisor offers no partitions; then there is no node. */
int bh_node_init(void);
void bh_node_exit(void);

#endif
