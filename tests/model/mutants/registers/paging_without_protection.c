/* SPDX-License-Identifier: MIT */
/* CR0 may have paging alone. */
#include "hv/x86/svm/svm.h"

#define svm_set_register svm_set_register_checked
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/x86/svm/svm_register.c"
#undef svm_set_register

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    if (svm_set_register_checked(vp, name, value))
        return true;
    if (name != HV_REGISTER_CR0 || (value->u64 & ~CR0_ALL))
        return false;
    svm_of(vp)->vmcb->cr0 = value->u64;
    return true;
}
