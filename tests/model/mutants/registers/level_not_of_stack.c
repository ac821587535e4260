/* SPDX-License-Identifier: MIT */
/* SS does not change the privilege level. */
#include "hv/x86/svm/svm.h"

#define svm_set_register svm_set_register_checked
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/x86/svm/svm_register.c"
#undef svm_set_register

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    const uint8_t cpl = svm_of(vp)->vmcb->cpl;
    const bool done = svm_set_register_checked(vp, name, value);
    svm_of(vp)->vmcb->cpl = cpl;
    return done;
}
