/* SPDX-License-Identifier: MIT */
/* DR7 takes its upper half. */
#include "hv/x86/svm/svm.h"

#define svm_set_register svm_set_register_checked
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/x86/svm/svm_register.c"
#undef svm_set_register

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    if (name == HV_REGISTER_DR7)
        svm_of(vp)->vmcb->dr7 = value->u64;
    return name == HV_REGISTER_DR7 || svm_set_register_checked(vp, name, value);
}
