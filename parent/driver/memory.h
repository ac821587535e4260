/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory: regions of pinned user memory, mapped in the child in pages of
 * 2 MiB wherever 512 frames lie together. All functions hold partition->lock.
 */
#ifndef PARENT_DRIVER_MEMORY_H
#define PARENT_DRIVER_MEMORY_H

#include "parent/driver/partition.h"

/* MSHV_SET_GUEST_MEMORY */
int bh_memory_set(struct bh_partition *partition, const struct mshv_user_mem_region *args);

/* MSHV_GET_GPAP_ACCESS_BITMAP; args->page_count becomes what was done. */
int bh_memory_access_bitmap(struct bh_partition *partition, struct mshv_gpap_access_bitmap *args);

/* Unmaps and unpins everything. */
void bh_memory_release(struct bh_partition *partition);

#endif
