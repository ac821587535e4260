/* SPDX-License-Identifier: MIT */
/* What each SVM exit means (AMD64 APM 2, appendix C). */
#include "hv/core/decode.h"
#include "hv/core/lib.h"
#include "hv/core/log.h"
#include "hv/core/partition.h"
#include "hv/x86/cpu.h"
#include "hv/x86/exit.h"
#include "hv/x86/panic.h"
#include "hv/x86/parent.h"
#include "hv/x86/svm/svm.h"

#define CACHE_LENGTH 2

static void exit_msr(struct vp *vp)
{
    const bool write = svm_of(vp)->vmcb->exit_info1 & 1;
    vp->stats.exits[write ? BH_EXIT_MSR_WRITE : BH_EXIT_MSR_READ]++;
    if (write)
        exit_write_msr(vp);
    else
        exit_read_msr(vp);
}

/* The NMI handler is about to return. The intercept comes before the IRET is executed. */
static void exit_iret(struct vp *vp)
{
    struct svm_vp *state = svm_of(vp);
    state->vmcb->intercept1 &= ~VMCB_INTERCEPT1_IRET;
    state->nmi_iret = true;
    state->nmi_iret_rip = state->vmcb->rip;
}

/* The parent touched memory that is not its own: the hypervisor's, or a page it deposited. */
static void exit_nested_fault(struct vp *vp)
{
    struct svm_vp *state = svm_of(vp);
    vp->stats.exits[BH_EXIT_NESTED_FAULT]++;
    if (log_limit(&state->complaints, COMPLAINTS_MAX))
        log_line(LOG_WARNING,
                 "parent VP %u: access to %lx, which is not the parent's, refused (rip %lx)",
                 vp->index, state->vmcb->exit_info2, state->vmcb->rip);
    vendor->inject_fault(vp, VECTOR_GP, true, 0);
}

static void exit_unknown(struct vp *vp)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    vp->stats.exits[BH_EXIT_OTHER]++;
    refuse("the parent partition cannot go on: VP %u: exit %lx (info %lx %lx) at rip %lx",
           vp->index, vmcb->exit_code, vmcb->exit_info1, vmcb->exit_info2, vmcb->rip);
}

/* WBINVD and INVD: the caches are written back; the parent owns the machine's memory. */
static void exit_cache(struct vp *vp)
{
    vp->stats.exits[BH_EXIT_CACHE]++;
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
    uint8_t bytes[HV_INSTRUCTION_BYTES_MAX];
    unsigned general;
    const unsigned length = decode_mov_to_control(bytes, svm_fetch(vp, bytes), &general);
    if (length == 0 || svm_general_register(vp, general) > 15) {
        vendor->inject_fault(vp, VECTOR_GP, true, 0);
        return;
    }
    vapic_write(vp, VAPIC_TPR, svm_general_register(vp, general) << 4);
    vendor->advance(vp, length);
}

static void exit_undefined(struct vp *vp)
{
    vendor->inject_fault(vp, VECTOR_UD, false, 0);
}

static void exit_interrupt(struct vp *vp)
{
    (void)vp;
    cpu_interrupts_window();
}

/* NMI: taken at STGI, its handler left a note. INIT: from a device, a guest's are virtual. Window:
 * the next entry delivers. */
static void exit_nothing(struct vp *vp)
{
    (void)vp;
}

static const struct {
    enum bh_exit reason; /* as it is counted */
    void (*act)(struct vp *vp);
} common_exits[] = {
    [VMEXIT_CR8_WRITE] = {BH_EXIT_CONTROL_REGISTER, exit_cr8_write},
    [VMEXIT_INTR] = {BH_EXIT_INTERRUPT, exit_interrupt},
    [VMEXIT_NMI] = {BH_EXIT_NMI, exit_nothing},
    [VMEXIT_INIT] = {BH_EXIT_OTHER, exit_nothing},
    [VMEXIT_VINTR] = {BH_EXIT_INTERRUPT_WINDOW, exit_nothing},
    [VMEXIT_CPUID] = {BH_EXIT_CPUID, exit_cpuid},
    [VMEXIT_IRET] = {BH_EXIT_IRET, exit_iret},
    [VMEXIT_HLT] = {BH_EXIT_HLT, exit_halt},
    [VMEXIT_INVLPGA] = {BH_EXIT_VIRTUALIZATION_INSTRUCTION, exit_undefined},
    [VMEXIT_VMRUN] = {BH_EXIT_VIRTUALIZATION_INSTRUCTION, exit_undefined},
    [VMEXIT_VMMCALL] = {BH_EXIT_HYPERCALL, exit_hypercall},
    [VMEXIT_VMLOAD... VMEXIT_SKINIT] = {BH_EXIT_VIRTUALIZATION_INSTRUCTION, exit_undefined},
    [VMEXIT_MONITOR... VMEXIT_MWAIT_ARMED] = {BH_EXIT_VIRTUALIZATION_INSTRUCTION, exit_undefined},
};

bool svm_handle_common_exit(struct vp *vp)
{
    const uint32_t code = (uint32_t)svm_of(vp)->vmcb->exit_code;
    if (code == VMEXIT_MSR) {
        exit_msr(vp);
        return true;
    }
    if (code >= ARRAY_COUNT(common_exits) || common_exits[code].act == NULL)
        return false;
    vp->stats.exits[common_exits[code].reason]++;
    common_exits[code].act(vp);
    return true;
}

void svm_handle_exit(struct vp *vp)
{
    if (svm_handle_common_exit(vp))
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
        vp->stats.exits[BH_EXIT_SHUTDOWN]++;
        parent_reset();
    default:
        exit_unknown(vp);
        break;
    }
}
