/* SPDX-License-Identifier: MIT */
/* The VP of an intercept is not stopped. */
#include "hv/core/intercept.h"

#include "hv/arch.h"
#include "hv/core/vp.h"

#define intercept_raise intercept_raise_checked
void intercept_raise(struct vp *vp, uint32_t type, const void *payload, size_t size);
#include "hv/core/intercept.c"
#undef intercept_raise

void intercept_raise(struct vp *vp, uint32_t type, const void *payload, size_t size)
{
    intercept_raise_checked(vp, type, payload, size);
    vp->intercept_suspend = false;
}
