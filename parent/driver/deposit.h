/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that the hypervisor needs for a partition: given page by page, taken
 * back when the partition is finalized. The hypervisor names the pages it
 * returns; a page that was not given for that partition is not believed.
 */
#ifndef PARENT_DRIVER_DEPOSIT_H
#define PARENT_DRIVER_DEPOSIT_H

#include <linux/types.h>

#define BH_DEPOSIT_INITIALIZE 16u /* pages before a partition is initialized */
#define BH_DEPOSIT_VP         8u  /* before a VP is created */
#define BH_DEPOSIT_MAP        64u /* when memory runs out while mapping */
#define BH_DEPOSIT_RETRY      1u  /* when it runs out elsewhere */

/* 0 or a negative errno. What could be given stays given. */
int bh_deposit(u64 partition_id, unsigned pages);

/*
 * A call whose memory the partition pays: when it runs out, a page is given and the call made
 * again. Returns the status; INSUFFICIENT_MEMORY only when there is none to give.
 */
u16 bh_deposit_and_call(u64 partition_id, u16 code, const void *in, size_t in_size);

/* Takes back and frees all that the hypervisor returns. */
void bh_withdraw_all(u64 partition_id);

#endif
