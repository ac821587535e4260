/* SPDX-License-Identifier: MIT */
/* A VP whose state the processor refuses stops the others too. */
#include "hv/core/partition.h"
#include "hv/x86/svm/svm.h"

#define svm_handle_child_exit svm_handle_child_exit_checked
void svm_handle_child_exit(struct vp *vp);
#include "hv/x86/svm/svm_child.c"
#undef svm_handle_child_exit

void svm_handle_child_exit(struct vp *vp)
{
    svm_handle_child_exit_checked(vp);
    for (uint32_t i = 0; i < vp->partition->vp_count && vp->intercept_suspend; i++)
        vp->partition->vp[i]->intercept_suspend = true;
}
