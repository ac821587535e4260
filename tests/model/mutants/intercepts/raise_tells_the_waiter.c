/* SPDX-License-Identifier: MIT */
/* The parent is told by a message, too, of the intercept that it waits for. */
#include "hv/core/intercept.h"

#include "hv/arch.h"
#include "hv/core/vp.h"

#define intercept_raise intercept_raise_checked
void intercept_raise(struct vp *vp, uint32_t type, const void *payload, size_t size);
#include "hv/core/intercept.c"
#undef intercept_raise

void intercept_raise(struct vp *vp, uint32_t type, const void *payload, size_t size)
{
    struct vp *parent_vp = arch_parent_vp(vp);
    struct vp *waits_for = parent_vp->waits_for;
    parent_vp->waits_for = NULL;
    intercept_raise_checked(vp, type, payload, size);
    parent_vp->waits_for = waits_for;
}
