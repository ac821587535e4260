/* SPDX-License-Identifier: MIT */
/*
 * The XSAVE area of a VP (AMD64 APM 2, 11.5), standard form. While the registers of the VP are in
 * the processor it is out of date: arch_vp_xsave saves them. What comes from outside is checked,
 * because the hypervisor itself would fault when it loads an area that is malformed.
 */
#ifndef HV_CORE_XSAVE_H
#define HV_CORE_XSAVE_H

#include "hv/abi/vp.h"
#include "hv/core/types.h"

struct vp;

#define XSAVE_HEAD 576u /* bytes that every area has, the legacy region and the header */

/* Can the processor load an area that begins so? */
bool xsave_is_valid(const uint8_t *head);

/* XMM0 to FP and MXCSR, by TLFS name. False: another register, or not that value. */
bool xsave_get_register(struct vp *vp, uint32_t name, union hv_register_value *value);
bool xsave_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);

#endif
