/* SPDX-License-Identifier: MIT */
/* A VP whose state the processor refuses is entered again and again. */
#include "hv/core/partition.h"
#include "hv/x86/svm/svm.h"

#define svm_handle_child_exit svm_handle_child_exit_checked
void svm_handle_child_exit(struct vp *vp);
#include "hv/x86/svm/svm_child.c"
#undef svm_handle_child_exit

void svm_handle_child_exit(struct vp *vp)
{
    if (svm_of(vp)->vmcb->exit_code != UINT64_MAX)
        svm_handle_child_exit_checked(vp);
}
