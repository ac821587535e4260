/* SPDX-License-Identifier: MIT */
/* Common exits. Instructions without prefixes have the lengths given here. */
#include "hv/x86/exit.h"

#include "hv/arch.h"
#include "hv/core/cpuid_override.h"
#include "hv/core/hypercall.h"
#include "hv/core/intercept.h"
#include "hv/core/lib.h"
#include "hv/core/msr.h"
#include "hv/core/partition.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vendor.h"

#define CPUID_LENGTH     2
#define MSR_LENGTH       2
#define HYPERCALL_LENGTH 3
#define HLT_LENGTH       1
#define XSAVE_XMM        160 /* XMM0 in the area */

/* The VP stops, and RIP stays where it is. */
static void stop(struct vp *vp, uint32_t type, const void *message, size_t size)
{
    struct lp *lp = vp->lp;
    intercept_raise(vp, type, message, size);
    lp->reschedule = true;
}

__attribute__((noinline)) static void intercept_cpuid(struct vp *vp,
                                                      const struct cpuid_result *result)
{
    struct hv_cpuid_intercept message = {
        .header = vendor->make_header(vp, HV_ACCESS_EXECUTE, CPUID_LENGTH),
        .default_rax = result->eax,
        .default_rcx = result->ecx,
        .default_rdx = result->edx,
        .default_rbx = result->ebx,
    };
    memcpy(&message.rax, &vp->registers.rax, 4 * sizeof message.rax); /* in the same order */
    stop(vp, HV_MESSAGE_CPUID, &message, sizeof message);
}

/* As cpuid_emulate does it, without the call: this is the exit whose cost has a budget. */
void exit_cpuid(struct vp *vp)
{
    struct vp_registers *r = &vp->registers;
    struct cpuid_result result;
    cpuid_default(vp, (uint32_t)r->rax, (uint32_t)r->rcx, &result);
    if (vp->partition->cpuid_overrides.raw != 0 &&
        cpuid_override_apply(vp, (uint32_t)r->rax, (uint32_t)r->rcx, &result)) {
        intercept_cpuid(vp, &result);
        return;
    }
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
    if (!(vp->partition->msr_intercepts & 1u << access)) {
        vendor->inject_fault(vp, VECTOR_GP, true, 0);
        return;
    }
    const struct hv_msr_intercept message = {.header = vendor->make_header(vp, access, MSR_LENGTH),
                                             .number = (uint32_t)r->rcx,
                                             .rdx = r->rdx,
                                             .rax = r->rax};
    stop(vp, HV_MESSAGE_MSR, &message, sizeof message);
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

void arch_intercept_hypercall(struct vp *vp)
{
    const struct vp_registers *r = &vp->registers;
    struct hv_hypercall_intercept message = {
        .header = vendor->make_header(vp, HV_ACCESS_EXECUTE, HYPERCALL_LENGTH),
        .rax = r->rax,
        .rbx = r->rbx,
        .rcx = r->rcx,
        .rdx = r->rdx,
        .r8 = r->r8,
        .rsi = r->rsi,
        .rdi = r->rdi,
    };
    memcpy(message.xmm, arch_vp_xsave(vp) + XSAVE_XMM, sizeof message.xmm);
    stop(vp, HV_MESSAGE_HYPERCALL, &message, sizeof message);
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
