/* SPDX-License-Identifier: MIT */
/* The register values of the TLFS have the form they have in the area: 16 bytes each. */
#include "hv/core/xsave.h"

#include "hv/arch.h"
#include "hv/core/lib.h"

#define AT_CONTROL 0u /* offsets in the area */
#define AT_MXCSR   24u
#define AT_X87     32u
#define AT_XMM     160u
#define AT_BV      512u
#define MXCSR_BITS 0xffffu
#define X87_SSE    3u /* components that the registers by name belong to */

bool xsave_is_valid(const uint8_t *head)
{
    uint64_t header[8];
    uint32_t mxcsr;
    memcpy(header, head + AT_BV, sizeof header);
    memcpy(&mxcsr, head + AT_MXCSR, sizeof mxcsr);
    for (unsigned i = 1; i < ARRAY_COUNT(header); i++)
        if (header[i] != 0)
            return false;
    return !(header[0] & ~arch_xsave_components()) && !(mxcsr & ~MXCSR_BITS);
}

static uint8_t *find(struct vp *vp, uint32_t name)
{
    uint8_t *area = arch_vp_xsave(vp);
    if (area == NULL || name < HV_REGISTER_XMM0 || name > HV_REGISTER_XMM_CONTROL_STATUS)
        return NULL;
    if (name <= HV_REGISTER_XMM15)
        return area + AT_XMM + (size_t)16 * (name - HV_REGISTER_XMM0);
    if (name <= HV_REGISTER_FP_MMX7)
        return area + AT_X87 + (size_t)16 * (name - HV_REGISTER_FP_MMX0);
    return area + AT_CONTROL + (size_t)16 * (name - HV_REGISTER_FP_CONTROL_STATUS);
}

bool xsave_get_register(struct vp *vp, uint32_t name, union hv_register_value *value)
{
    const uint8_t *at = find(vp, name);
    if (at != NULL)
        memcpy(value, at, sizeof *value);
    return at != NULL;
}

bool xsave_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    uint8_t *at = find(vp, name);
    if (at == NULL || (name == HV_REGISTER_XMM_CONTROL_STATUS && (value->xmm.mxcsr & ~MXCSR_BITS)))
        return false;
    memcpy(at, value, sizeof *value);
    *((uint8_t *)arch_vp_xsave(vp) + AT_BV) |= X87_SSE;
    return true;
}
