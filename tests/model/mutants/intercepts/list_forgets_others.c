/* SPDX-License-Identifier: MIT */
/* Who comes to the list of news takes the place of who was there. */
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
    intercept_raise_checked(vp, type, payload, size);
    if (parent_vp->news_first != NULL && parent_vp->news_first != vp && vp->news != 0)
        parent_vp->news_first = vp;
}
