/* SPDX-License-Identifier: MIT */
/* What each SVM exit means (AMD64 APM 2, appendix C). */
#include "hv/core/decode.h"
#include "hv/core/guest_walk.h"
#include "hv/core/lib.h"
#include "hv/core/log.h"
#include "hv/core/partition.h"
#include "hv/x86/cpu.h"
#include "hv/x86/exit.h"
#include "hv/x86/parent.h"
#include "hv/x86/svm/svm.h"

#define COMPLAINTS_MAX  8u
#define CACHE_LENGTH    2
#define INSTRUCTION_MAX 15

static void count(struct vp *vp, enum bh_exit reason)
{
    vp->stats.exits[reason]++;
}

static void exit_msr(struct vp *vp)
{
    const bool write = svm_of(vp)->vmcb->exit_info1 & 1;
    count(vp, write ? BH_EXIT_MSR_WRITE : BH_EXIT_MSR_READ);
    if (write)
        exit_write_msr(vp);
    else
        exit_read_msr(vp);
}

/* The NMI handler is about to return. The intercept comes before the IRET is executed. */
static void exit_iret(struct vp *vp)
{
    struct svm_vp *state = svm_of(vp);
    count(vp, BH_EXIT_IRET);
    state->vmcb->intercept1 &= ~VMCB_INTERCEPT1_IRET;
    state->nmi_iret = true;
    state->nmi_iret_rip = state->vmcb->rip;
}

/* The parent touched memory that is not its own: the hypervisor's, or a page it deposited. */
static void exit_nested_fault(struct vp *vp)
{
    struct svm_vp *state = svm_of(vp);
    count(vp, BH_EXIT_NESTED_FAULT);
    if (log_limit(&state->complaints, COMPLAINTS_MAX))
        log_line(LOG_WARNING,
                 "parent VP %u: access to %lx, which is not the parent's, refused (rip %lx)",
                 vp->index, state->vmcb->exit_info2, state->vmcb->rip);
    vendor->inject_fault(vp, VECTOR_GP, true, 0);
}

static void exit_unknown(struct vp *vp)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    count(vp, BH_EXIT_OTHER);
    parent_stop("VP %u: exit %lx (info %lx %lx) at rip %lx cannot be handled", vp->index,
                vmcb->exit_code, vmcb->exit_info1, vmcb->exit_info2, vmcb->rip);
}

/* WBINVD and INVD: the caches are written back; the parent owns the machine's memory. */
static void exit_cache(struct vp *vp)
{
    count(vp, BH_EXIT_CACHE);
    __asm__ volatile("wbinvd" : : : "memory");
    vendor->advance(vp, CACHE_LENGTH);
}

uint64_t svm_general_register(const struct vp *vp, unsigned number)
{
    uint64_t registers[16];
    _Static_assert(sizeof registers == sizeof vp->registers, "registers in encoding order");
    memcpy(registers, &vp->registers, sizeof registers);
    return number == 4 ? svm_of(vp)->vmcb->rsp : registers[number];
}

/*
 * MOV to CR8 is the task priority of the virtual APIC. It must be intercepted
 * because QEMU's SVM stops the whole emulation when a guest does it while the
 * interrupt window is open.
 */
static void exit_cr8_write(struct vp *vp)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    const struct guest_paging paging = {vmcb->cr0, vmcb->cr3, vmcb->cr4, vmcb->efer};
    uint8_t bytes[INSTRUCTION_MAX];
    unsigned general;
    count(vp, BH_EXIT_CONTROL_REGISTER);
    const size_t fetched = guest_fetch(vp->partition, &paging, vmcb->rip, bytes, sizeof bytes);
    const unsigned length = decode_mov_to_control(bytes, fetched, &general);
    if (length == 0 || svm_general_register(vp, general) > 15) {
        vendor->inject_fault(vp, VECTOR_GP, true, 0);
        return;
    }
    vapic_write(vp, VAPIC_TPR, svm_general_register(vp, general) << 4);
    vendor->advance(vp, length);
}

static void exit_undefined(struct vp *vp)
{
    count(vp, BH_EXIT_VIRTUALIZATION_INSTRUCTION);
    vendor->inject_fault(vp, VECTOR_UD, false, 0);
}

bool svm_handle_common_exit(struct lp *lp, struct vp *vp)
{
    switch ((uint32_t)svm_of(vp)->vmcb->exit_code) {
    case VMEXIT_INTR:
        count(vp, BH_EXIT_INTERRUPT);
        cpu_interrupts_window();
        return true;
    case VMEXIT_NMI:
        count(vp, BH_EXIT_NMI); /* taken at STGI; its handler left a note */
        return true;
    case VMEXIT_INIT:
        count(vp, BH_EXIT_OTHER); /* from a device: a guest's INITs are virtual */
        return true;
    case VMEXIT_VINTR:
        count(vp, BH_EXIT_INTERRUPT_WINDOW);
        return true;
    case VMEXIT_CPUID:
        count(vp, BH_EXIT_CPUID);
        exit_cpuid(vp);
        return true;
    case VMEXIT_MSR:
        exit_msr(vp);
        return true;
    case VMEXIT_HLT:
        count(vp, BH_EXIT_HLT);
        exit_halt(lp, vp);
        return true;
    case VMEXIT_VMMCALL:
        count(vp, BH_EXIT_HYPERCALL);
        exit_hypercall(vp);
        return true;
    case VMEXIT_CR8_WRITE:
        exit_cr8_write(vp);
        return true;
    case VMEXIT_IRET:
        exit_iret(vp);
        return true;
    case VMEXIT_INVLPGA:
    case VMEXIT_VMRUN:
    case VMEXIT_VMLOAD:
    case VMEXIT_VMSAVE:
    case VMEXIT_STGI:
    case VMEXIT_CLGI:
    case VMEXIT_SKINIT:
    case VMEXIT_MONITOR:
    case VMEXIT_MWAIT:
    case VMEXIT_MWAIT_ARMED:
        exit_undefined(vp);
        return true;
    default:
        return false;
    }
}

void svm_handle_exit(struct lp *lp, struct vp *vp)
{
    if (svm_handle_common_exit(lp, vp))
        return;
    switch ((uint32_t)svm_of(vp)->vmcb->exit_code) {
    case VMEXIT_INVD:
    case VMEXIT_WBINVD:
        exit_cache(vp);
        break;
    case VMEXIT_NPF:
        exit_nested_fault(vp);
        break;
    case VMEXIT_SHUTDOWN:
        count(vp, BH_EXIT_SHUTDOWN);
        parent_reset();
    default:
        exit_unknown(vp);
        break;
    }
}
