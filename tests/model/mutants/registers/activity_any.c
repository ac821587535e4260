/* SPDX-License-Identifier: MIT */
/* A VP is given an activity that does not exist. */
#include "hv/core/vp_register.h"

#define vp_set_register vp_set_register_checked
enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/core/vp_register.c"
#undef vp_set_register

enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    if (name == HV_REGISTER_INTERNAL_ACTIVITY_STATE)
        vp->activity = (enum vp_activity)value->u64;
    return name == HV_REGISTER_INTERNAL_ACTIVITY_STATE ? HV_STATUS_SUCCESS
                                                       : vp_set_register_checked(vp, name, value);
}
