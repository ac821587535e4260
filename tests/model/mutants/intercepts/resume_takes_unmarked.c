/* SPDX-License-Identifier: MIT */
/* Registers in the page are taken whether the parent marked them or not. */
#include "hv/core/intercept.h"

#include "hv/arch.h"
#include "hv/core/vp.h"

#define intercept_resume intercept_resume_checked
void intercept_resume(struct vp *vp);
#include "hv/core/intercept.c"
#undef intercept_resume

void intercept_resume(struct vp *vp)
{
    struct hv_register_page *page = overlay_map(&vp->register_page);
    if (page != NULL) {
        page->dirty = HV_REGISTER_PAGE_DIRTY_GENERAL;
        arch_window_unmap(page);
    }
    intercept_resume_checked(vp);
}
