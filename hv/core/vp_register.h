/* SPDX-License-Identifier: MIT */
/* Registers of a VP by their TLFS names. On the VP's own LP, between its exits. */
#ifndef HV_CORE_VP_REGISTER_H
#define HV_CORE_VP_REGISTER_H

#include "hv/abi/hypercall.h"
#include "hv/abi/vp.h"

struct vp;

/* INVALID_PARAMETER: no such register. INVALID_REGISTER_VALUE: it can not have this value, and has
 * not changed. */
enum hv_status vp_get_register(struct vp *vp, uint32_t name, union hv_register_value *value);
/* Clearing the last reason to be suspended lets the VP run. */
enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);

#endif
