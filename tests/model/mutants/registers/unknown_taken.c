/* SPDX-License-Identifier: MIT */
/* What is no register can be set, without effect. */
#include "hv/core/vp_register.h"

#define vp_set_register vp_set_register_checked
enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/core/vp_register.c"
#undef vp_set_register

enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    const enum hv_status status = vp_set_register_checked(vp, name, value);
    return status == HV_STATUS_INVALID_PARAMETER ? HV_STATUS_SUCCESS : status;
}
