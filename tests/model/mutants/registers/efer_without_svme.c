/* SPDX-License-Identifier: MIT */
/* Where EFER is set, the bit that is the hypervisor's goes. */
#include "hv/x86/svm/svm.h"

#define svm_set_register svm_set_register_checked
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/x86/svm/svm_register.c"
#undef svm_set_register

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    const bool done = svm_set_register_checked(vp, name, value);
    if (name == HV_REGISTER_EFER && done)
        svm_of(vp)->vmcb->efer = value->u64;
    return done;
}
