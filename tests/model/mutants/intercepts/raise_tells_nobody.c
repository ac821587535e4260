/* SPDX-License-Identifier: MIT */
/* The parent, which waits for another VP, is not told of an intercept. */
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
    if (parent_vp->activity == VP_HALTED)
        parent_vp->waits_for = vp;
    intercept_raise_checked(vp, type, payload, size);
    parent_vp->waits_for = waits_for;
}
