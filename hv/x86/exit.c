/* SPDX-License-Identifier: MIT */
/* Common exits. Instructions without prefixes have the lengths given here. */
#include "hv/x86/exit.h"

#include "hv/core/cpuid.h"
#include "hv/core/hypercall.h"
#include "hv/core/intercept.h"
#include "hv/core/msr.h"
#include "hv/core/partition.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vendor.h"

#define CPUID_LENGTH     2
#define MSR_LENGTH       2
#define HYPERCALL_LENGTH 3
#define HLT_LENGTH       1

void exit_cpuid(struct vp *vp)
{
    struct vp_registers *r = &vp->registers;
    struct cpuid_result result;
    cpuid_emulate(vp, (uint32_t)r->rax, (uint32_t)r->rcx, &result);
    r->rax = result.eax;
    r->rbx = result.ebx;
    r->rcx = result.ecx;
    r->rdx = result.edx;
    vendor->advance(vp, CPUID_LENGTH);
}

/* A fault, or, when the parent wants to answer, an intercept. */
static void refuse_msr(struct vp *vp, enum hv_intercept_access access)
{
    const struct vp_registers *r = &vp->registers;
    struct lp *lp = vp->lp;
    if (!(vp->partition->msr_intercepts & 1u << access)) {
        vendor->inject_fault(vp, VECTOR_GP, true, 0);
        return;
    }
    const struct hv_msr_intercept message = {.header = vendor->make_header(vp, access, MSR_LENGTH),
                                             .number = (uint32_t)r->rcx,
                                             .rdx = r->rdx,
                                             .rax = r->rax};
    intercept_raise(vp, HV_MESSAGE_MSR, &message, sizeof message);
    lp->reschedule = true;
}

void exit_read_msr(struct vp *vp)
{
    struct vp_registers *r = &vp->registers;
    uint64_t value;
    if (!msr_read(vp, (uint32_t)r->rcx, &value)) {
        refuse_msr(vp, HV_ACCESS_READ);
        return;
    }
    r->rax = (uint32_t)value;
    r->rdx = value >> 32;
    vendor->advance(vp, MSR_LENGTH);
}

void exit_write_msr(struct vp *vp)
{
    const struct vp_registers *r = &vp->registers;
    const uint64_t value = r->rdx << 32 | (uint32_t)r->rax;
    if (!msr_write(vp, (uint32_t)r->rcx, value)) {
        refuse_msr(vp, HV_ACCESS_WRITE);
        return;
    }
    vendor->advance(vp, MSR_LENGTH);
}

/* Only 64-bit kernels call: from elsewhere the instruction does not exist (TLFS, "Legal
 * Hypercall Environments"). */
void exit_hypercall(struct vp *vp)
{
    if (vendor->get_cpl(vp) != 0 || !(vendor->get(vp, VENDOR_EFER) & EFER_LMA)) {
        vendor->inject_fault(vp, VECTOR_UD, false, 0);
        return;
    }
    struct lp *lp = vp->lp;
    if (hypercall_dispatch(vp))
        vendor->advance(vp, HYPERCALL_LENGTH);
    lp->reschedule = lp->reschedule || vp->activity == VP_HALTED;
}

void exit_halt(struct vp *vp)
{
    struct lp *lp = vp->lp;
    vendor->advance(vp, HLT_LENGTH);
    vp_halt(vp);
    lp->reschedule = true;
}
