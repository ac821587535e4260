/* SPDX-License-Identifier: MIT */
/* RFLAGS are written before they are looked at. */
#include "hv/x86/svm/svm.h"

#define svm_set_register svm_set_register_checked
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/x86/svm/svm_register.c"
#undef svm_set_register

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    if (name == HV_REGISTER_RFLAGS)
        svm_of(vp)->vmcb->rflags = value->u64 | RFLAGS_RESERVED;
    return svm_set_register_checked(vp, name, value);
}
