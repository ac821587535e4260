/* SPDX-License-Identifier: MIT */
/* Of CR8 four bits are taken and the others forgotten. */
#include "hv/core/vp_register.h"

#define vp_set_register vp_set_register_checked
enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
#include "hv/core/vp_register.c"
#undef vp_set_register

enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    const union hv_register_value cut = {.u128 = {value->u64 & 15, 0}};
    return vp_set_register_checked(vp, name, name == HV_REGISTER_CR8 ? &cut : value);
}
