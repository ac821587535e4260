/* SPDX-License-Identifier: MIT */
/* Calls of the parent alone are not refused to a child. */
#include "hv/core/hypercall.h"

#include "hv/core/partition.h"
#include "hv/core/vp.h"

/* Whoever calls is taken for the parent. */
static inline partition_id_t caller_id(const struct vp *vp)
{
    return vp->partition->id;
}

#undef PARTITION_PARENT
#define PARTITION_PARENT caller_id(vp)
#include "hv/core/hypercall.c"
