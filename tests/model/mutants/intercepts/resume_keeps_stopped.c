/* SPDX-License-Identifier: MIT */
/* A VP that the parent answered stays stopped. */
#include "hv/core/intercept.h"

#include "hv/arch.h"
#include "hv/core/vp.h"

#define intercept_resume intercept_resume_checked
void intercept_resume(struct vp *vp);
#include "hv/core/intercept.c"
#undef intercept_resume

void intercept_resume(struct vp *vp)
{
    const bool stopped = vp->intercept_suspend;
    intercept_resume_checked(vp);
    vp->intercept_suspend = stopped;
}
