/* SPDX-License-Identifier: MIT */
/* The parent can make a VP wait for an answer that it owes itself. */
#include "hv/core/vp_register.h"

#define vp_set_register vp_set_register_checked
enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/core/vp_register.c"
#undef vp_set_register

enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    if (name == HV_REGISTER_INTERCEPT_SUSPEND && value->u64 == 1)
        vp->intercept_suspend = true;
    return vp->intercept_suspend ? HV_STATUS_SUCCESS : vp_set_register_checked(vp, name, value);
}
