/* SPDX-License-Identifier: GPL-2.0-only */
/* MSHV_ROOT_HVCALL: hypercalls that a VMM may issue itself, on its own partition only. */
#ifndef PARENT_DRIVER_HVCALL_H
#define PARENT_DRIVER_HVCALL_H

#include <linux/types.h>

#include "parent/driver/uapi/mshv.h"

enum bh_hvcall_origin {
    BH_HVCALL_FROM_NODE,
    BH_HVCALL_FROM_PARTITION,
    BH_HVCALL_FROM_VP,
};

/* `partition_id` replaces the first 8 bytes of the caller's input. */
int bh_hvcall_pass(u64 partition_id, enum bh_hvcall_origin origin,
                   struct mshv_root_hvcall __user *user_args);

#endif
