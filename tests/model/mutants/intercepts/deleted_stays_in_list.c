/* SPDX-License-Identifier: MIT */
/* A VP that goes stays in the list of those who have news. */
#include "hv/core/intercept.h"

#include "hv/arch.h"
#include "hv/core/vp.h"

#define intercept_forget intercept_forget_checked
void intercept_forget(struct vp *vp);
#include "hv/core/intercept.c"
#undef intercept_forget

void intercept_forget(struct vp *vp)
{
    arch_parent_vp(vp)->waits_for = NULL;
}
