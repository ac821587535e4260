/* SPDX-License-Identifier: MIT */
/* Attributes of TR stay as the parent gave them. */
#include "hv/x86/svm/svm.h"

#define svm_set_register svm_set_register_checked
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/x86/svm/svm_register.c"
#undef svm_set_register

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    const bool done = svm_set_register_checked(vp, name, value);
    if (name == HV_REGISTER_TR)
        svm_of(vp)->vmcb->tr.attributes = value->segment.attributes & 0xfff;
    return done;
}
