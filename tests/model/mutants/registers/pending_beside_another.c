/* SPDX-License-Identifier: MIT */
/* An event does not take the place of the one that was pending. */
#include "hv/x86/svm/svm.h"

#define svm_set_register svm_set_register_checked
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/x86/svm/svm_register.c"
#undef svm_set_register

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    const int delivering = svm_of(vp)->delivering;
    const bool done = svm_set_register_checked(vp, name, value);
    if (name == HV_REGISTER_PENDING_INTERRUPTION && done && delivering != VAPIC_NONE)
        svm_of(vp)->delivering = delivering;
    return done;
}
