/* SPDX-License-Identifier: MIT */
/* A software interrupt is taken as an event to inject. */
#include "hv/x86/svm/svm.h"

#define svm_set_register svm_set_register_checked
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/x86/svm/svm_register.c"
#undef svm_set_register

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    const bool done = svm_set_register_checked(vp, name, value);
    if (done || name != HV_REGISTER_PENDING_INTERRUPTION)
        return done;
    svm_of(vp)->vmcb->inject = VMCB_EVENT_VALID | (value->u64 >> 1 & 7) << 8 | 13;
    return true;
}
