/* SPDX-License-Identifier: MIT */
/* Registers by name: those of hv/core here, the processor's in the back end. */
#include "hv/core/vp_register.h"

#include "hv/arch.h"
#include "hv/core/intercept.h"
#include "hv/core/vp.h"

/* The general registers but RSP, which the back end keeps. */
static uint64_t *general_register(struct vp *vp, uint32_t name)
{
    if (name < HV_REGISTER_RAX || name > HV_REGISTER_R15 || name == HV_REGISTER_RSP)
        return NULL;
    return &vp->registers.rax + (name - HV_REGISTER_RAX);
}

static uint64_t activity(const struct vp *vp)
{
    if (vp->activity == VP_WAIT_STARTUP)
        return HV_ACTIVITY_STARTUP_SUSPEND;
    return vp->activity == VP_HALTED ? HV_ACTIVITY_HALT_SUSPEND : 0;
}

enum hv_status vp_get_register(struct vp *vp, uint32_t name, union hv_register_value *value)
{
    const uint64_t *general = general_register(vp, name);
    *value = (union hv_register_value){.u128 = {0, 0}};
    if (general != NULL)
        value->u64 = *general;
    else if (name == HV_REGISTER_EXPLICIT_SUSPEND)
        value->u64 = vp->explicit_suspend;
    else if (name == HV_REGISTER_INTERCEPT_SUSPEND)
        value->u64 = vp->intercept_suspend;
    else if (name == HV_REGISTER_INTERNAL_ACTIVITY_STATE)
        value->u64 = activity(vp);
    else if (name == HV_REGISTER_CR8)
        value->u64 = vp->apic.tpr >> 4;
    else if (name == HV_REGISTER_APIC_BASE)
        value->u64 = vp->apic.base;
    else if (name == HV_REGISTER_INITIAL_APIC_ID || name == HV_REGISTER_APIC_ID)
        value->u64 = vp->apic.id;
    else if (!arch_get_register(vp, name, value))
        return HV_STATUS_INVALID_PARAMETER;
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_suspend(struct vp *vp, uint32_t name, uint64_t value)
{
    if (value > 1 || (name == HV_REGISTER_INTERCEPT_SUSPEND && value == 1))
        return HV_STATUS_INVALID_PARAMETER;
    if (name == HV_REGISTER_INTERCEPT_SUSPEND)
        intercept_resume(vp);
    else
        vp->explicit_suspend = value;
    arch_suspend_changed(vp);
    return HV_STATUS_SUCCESS;
}

enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    uint64_t *general = general_register(vp, name);
    bool done = true;
    if (general != NULL)
        *general = value->u64;
    else if (name == HV_REGISTER_EXPLICIT_SUSPEND || name == HV_REGISTER_INTERCEPT_SUSPEND)
        return set_suspend(vp, name, value->u64);
    else if (name == HV_REGISTER_CR8)
        done = value->u64 < 16 && vapic_write(vp, VAPIC_TPR, value->u64 << 4);
    else if (name == HV_REGISTER_APIC_BASE)
        done = vapic_write_base(vp, value->u64);
    else
        done = arch_set_register(vp, name, value);
    return done ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}
