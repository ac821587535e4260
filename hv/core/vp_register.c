/* SPDX-License-Identifier: MIT */
/* Registers by name: those of hv/core here, the processor's in the back end. */
#include "hv/core/vp_register.h"

#include "hv/abi/msr.h"
#include "hv/arch.h"
#include "hv/core/intercept.h"
#include "hv/core/msr.h"
#include "hv/core/vp.h"
#include "hv/core/xsave.h"

/* Runs of names that are MSRs under another number; what an MSR may hold is judged there. */
static const struct {
    uint32_t first, last, msr;
} msr_names[] = {
    {HV_REGISTER_CRASH_P0, HV_REGISTER_CRASH_CTL, HV_MSR_CRASH_P0},
    {HV_REGISTER_TSC, HV_REGISTER_TSC, MSR_TSC},
    {HV_REGISTER_APIC_BASE, HV_REGISTER_APIC_BASE, MSR_APIC_BASE},
    {HV_REGISTER_PAT, HV_REGISTER_PAT, MSR_PAT},
    {HV_REGISTER_MTRR_CAP, HV_REGISTER_MTRR_CAP, MSR_MTRR_CAP},
    {HV_REGISTER_MTRR_DEF_TYPE, HV_REGISTER_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE},
    {HV_REGISTER_VP_RUNTIME, HV_REGISTER_VP_RUNTIME, HV_MSR_VP_RUNTIME},
    {HV_REGISTER_HYPERCALL, HV_REGISTER_HYPERCALL, HV_MSR_HYPERCALL},
    {HV_REGISTER_GUEST_OS_ID, HV_REGISTER_GUEST_OS_ID, HV_MSR_GUEST_OS_ID},
    {HV_REGISTER_VP_INDEX, HV_REGISTER_VP_INDEX, HV_MSR_VP_INDEX},
    {HV_REGISTER_TIME_REF_COUNT, HV_REGISTER_TIME_REF_COUNT, HV_MSR_TIME_REF_COUNT},
    {HV_REGISTER_SYNTHETIC_EOI, HV_REGISTER_VP_ASSIST_PAGE, HV_MSR_EOI},
    {HV_REGISTER_REFERENCE_TSC, HV_REGISTER_REFERENCE_TSC, HV_MSR_REFERENCE_TSC},
    {HV_REGISTER_SINT0, HV_REGISTER_SINT15, HV_MSR_SINT0},
    {HV_REGISTER_SCONTROL, HV_REGISTER_EOM, HV_MSR_SCONTROL},
    {HV_REGISTER_STIMER0_CONFIG, HV_REGISTER_STIMER3_COUNT, HV_MSR_STIMER0_CONFIG},
};

static bool find_msr(uint32_t name, uint32_t *msr)
{
    for (unsigned i = 0; i < ARRAY_COUNT(msr_names); i++) {
        *msr = msr_names[i].msr + (name - msr_names[i].first);
        if (name >= msr_names[i].first && name <= msr_names[i].last)
            return true;
    }
    return false;
}

/* The general registers but RSP, which the back end keeps. */
static uint64_t *general_register(struct vp *vp, uint32_t name)
{
    if (name < HV_REGISTER_RAX || name > HV_REGISTER_R15 || name == HV_REGISTER_RSP)
        return NULL;
    return &vp->registers.rax + (name - HV_REGISTER_RAX);
}

/* By the rules of the mode that the APIC is in. */
static bool is_apic(uint32_t name)
{
    return name >= HV_REGISTER_APIC && name - HV_REGISTER_APIC < HV_REGISTER_APIC_COUNT;
}

enum hv_status vp_get_register(struct vp *vp, uint32_t name, union hv_register_value *value)
{
    const uint64_t *general = general_register(vp, name);
    uint32_t msr;
    bool found = true;
    *value = (union hv_register_value){.u128 = {0, 0}};
    if (general != NULL)
        value->u64 = *general;
    else if (name == HV_REGISTER_EXPLICIT_SUSPEND)
        value->u64 = vp->explicit_suspend;
    else if (name == HV_REGISTER_INTERCEPT_SUSPEND)
        value->u64 = vp->intercept_suspend;
    else if (name == HV_REGISTER_INTERNAL_ACTIVITY_STATE)
        value->u64 = vp->activity;
    else if (name == HV_REGISTER_CR8)
        value->u64 = vp->apic.tpr >> 4;
    else if (name == HV_REGISTER_INITIAL_APIC_ID)
        value->u64 = vp->apic.id;
    else if (find_msr(name, &msr))
        found = msr_read(vp, msr, &value->u64);
    else if (is_apic(name))
        found = vapic_read(vp, name - HV_REGISTER_APIC, &value->u64);
    else
        found = xsave_get_register(vp, name, value) || arch_get_register(vp, name, value);
    return found ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

static enum hv_status set_suspend(struct vp *vp, uint32_t name, uint64_t value)
{
    if (value > 1 || (name == HV_REGISTER_INTERCEPT_SUSPEND && value == 1))
        return HV_STATUS_INVALID_REGISTER_VALUE;
    if (name == HV_REGISTER_INTERCEPT_SUSPEND)
        intercept_resume(vp);
    else
        vp->explicit_suspend = value;
    arch_suspend_changed(vp);
    return HV_STATUS_SUCCESS;
}

static bool set_activity(struct vp *vp, uint64_t value)
{
    if (value != VP_ACTIVE && value != VP_WAIT_STARTUP && value != VP_HALTED)
        return false;
    vp->activity = (enum vp_activity)value;
    arch_suspend_changed(vp);
    return true;
}

static bool set_other(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    uint32_t msr;
    if (find_msr(name, &msr))
        return msr_write(vp, msr, value->u64);
    if (is_apic(name))
        return vapic_write(vp, name - HV_REGISTER_APIC, value->u64);
    if (name >= HV_REGISTER_XMM0 && name <= HV_REGISTER_XMM_CONTROL_STATUS)
        return xsave_set_register(vp, name, value);
    return arch_set_register(vp, name, value);
}

enum hv_status vp_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    uint64_t *general = general_register(vp, name);
    union hv_register_value old;
    bool done = true;
    if (general != NULL)
        *general = value->u64;
    else if (name == HV_REGISTER_EXPLICIT_SUSPEND || name == HV_REGISTER_INTERCEPT_SUSPEND)
        return set_suspend(vp, name, value->u64);
    else if (name == HV_REGISTER_CR8)
        done = value->u64 < 16 && vapic_write(vp, VAPIC_TPR, value->u64 << 4);
    else if (name == HV_REGISTER_INTERNAL_ACTIVITY_STATE)
        done = set_activity(vp, value->u64);
    else
        done = set_other(vp, name, value);
    if (done)
        return HV_STATUS_SUCCESS;
    return vp_get_register(vp, name, &old) == HV_STATUS_SUCCESS ? HV_STATUS_INVALID_REGISTER_VALUE
                                                                : HV_STATUS_INVALID_PARAMETER;
}
