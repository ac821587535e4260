/* SPDX-License-Identifier: MIT */
/* Is SVM there, turning it on, and the state of a VP in its VMCB. */
#include "hv/x86/svm/svm.h"

#include "hv/abi/bulkhead.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/x86/cpu.h"
#include "hv/x86/extended.h"
#include "hv/x86/lapic.h"
#include "hv/x86/memory.h"
#include "hv/x86/run.h"

#define EDX_NPT      (1u << 0)
#define EDX_NRIPS    (1u << 3)
#define PARENT_ASID  1u
#define CHILD_ASIDS  2u /* and up */
#define MSR_MAP_SIZE (2 * PAGE_SIZE)
#define IO_MAP_SIZE  (3 * PAGE_SIZE)
#define MSR_WRITE    2u
#define MSR_BOTH     3u

bool svm_has_next_rip;
static bool emulated_by_qemu;
static uint32_t asid_count;
static uint64_t msr_map_spa, child_msr_map_spa, child_io_map_spa;

void svm_read_facts(struct svm_facts *facts)
{
    *facts = (struct svm_facts){0};
    facts->has_svm = cpu_cpuid(0x80000001, 0).ecx >> 2 & 1;
    if (!facts->has_svm)
        return;
    const struct cpuid_regs svm = cpu_cpuid(0x8000000a, 0);
    facts->vm_cr = cpu_read_msr(MSR_VM_CR);
    facts->has_nested_paging = svm.edx & EDX_NPT;
    facts->has_next_rip = svm.edx & EDX_NRIPS;
    facts->asid_count = svm.ebx;
}

/* ---- MSR permissions ---- */

static uint32_t msr_map_offset(uint32_t msr)
{
    if (msr >= 0xc0010000)
        return 0x1000 + (msr - 0xc0010000) / 4;
    if (msr >= 0xc0000000)
        return 0x800 + (msr - 0xc0000000) / 4;
    return msr / 4;
}

/* access: what of it exits, by the bits of the map. */
static void intercept_msr(uint8_t *map, uint32_t msr, uint8_t access)
{
    uint8_t *four = &map[msr_map_offset(msr)];
    const unsigned shift = msr % 4 * 2;
    *four = (uint8_t)((*four & ~(3u << shift)) | (unsigned)access << shift);
}

/*
 * The parent reads and writes the machine's MSRs, but for those that belong to
 * the hypervisor, those that an emulated APIC stands behind, and the clock.
 */
static void make_msr_map(void)
{
    static const uint32_t both[] = {MSR_TSC,  MSR_TSC_ADJUST,   MSR_APIC_BASE, MSR_PAT,
                                    MSR_EFER, MSR_TSC_DEADLINE, MSR_VM_CR,     MSR_VM_HSAVE_PA};
    /* SYSCFG, IORRs, TOP_MEM, TOP_MEM2, MMIO configuration, SMM: they say what is RAM and what
     * is not, and could lay a device over the hypervisor. Writes are ignored (arch_write_msr). */
    static const uint32_t address_map[] = {
        MSR_SYSCFG,         MSR_IORR_FIRST,    MSR_IORR_FIRST + 1, MSR_IORR_FIRST + 2,
        MSR_IORR_FIRST + 3, MSR_TOP_MEM,       MSR_TOP_MEM2,       MSR_MMIO_CONFIG,
        MSR_SMM_FIRST,      MSR_SMM_FIRST + 1, MSR_SMM_LAST,
    };
    uint8_t *map = memory_alloc_pages(MSR_MAP_SIZE / PAGE_SIZE);
    for (unsigned i = 0; i < ARRAY_COUNT(both); i++)
        intercept_msr(map, both[i], MSR_BOTH);
    for (uint32_t msr = MSR_X2APIC_FIRST; msr <= MSR_X2APIC_LAST; msr++)
        intercept_msr(map, msr, MSR_BOTH);
    intercept_msr(map, MSR_PATCH_LOADER, MSR_WRITE);
    for (unsigned i = 0; i < ARRAY_COUNT(address_map); i++)
        intercept_msr(map, address_map[i], MSR_WRITE);
    msr_map_spa = memory_spa(map).raw;
}

/* A child has to itself what the processor switches with it; all else is asked for. */
static void make_child_maps(void)
{
    static const uint32_t own[] = {
        MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR,         MSR_LSTAR,       MSR_CSTAR,
        MSR_SFMASK,  MSR_TSC_AUX, MSR_SYSENTER_CS,    MSR_SYSENTER_ESP, MSR_SYSENTER_EIP};
    uint8_t *msr_map = memory_alloc_pages(MSR_MAP_SIZE / PAGE_SIZE);
    uint8_t *io_map = memory_alloc_pages(IO_MAP_SIZE / PAGE_SIZE);
    memset(msr_map, 0xff, MSR_MAP_SIZE);
    memset(io_map, 0xff, IO_MAP_SIZE);
    for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
        intercept_msr(msr_map, own[i], 0);
    for (uint32_t msr = MSR_SPEC_CTRL; msr <= MSR_PRED_CMD; msr++)
        if (extended_has_msr(msr))
            intercept_msr(msr_map, msr, 0);
    child_msr_map_spa = memory_spa(msr_map).raw;
    child_io_map_spa = memory_spa(io_map).raw;
}

/* ---- an LP ---- */

static bool is_qemu_tcg(void)
{
    const struct cpuid_regs leaf = cpu_cpuid(0x40000000, 0);
    return leaf.ebx == 0x54474354 && leaf.ecx == 0x43544743 && leaf.edx == 0x47435447;
}

static void svm_init_lp(struct lp *lp)
{
    if (lp->index == 0) {
        struct svm_facts facts;
        svm_read_facts(&facts);
        svm_has_next_rip = facts.has_next_rip;
        asid_count = facts.asid_count;
        emulated_by_qemu = is_qemu_tcg();
        make_msr_map();
        make_child_maps();
    }
    struct svm_lp *state = memory_alloc_pages(1);
    *state = (struct svm_lp){memory_spa(memory_alloc_pages(1)).raw, 1, CHILD_ASIDS};
    lp->vendor = state;
    cpu_write_msr(MSR_EFER, cpu_read_msr(MSR_EFER) | EFER_SVME);
    cpu_write_msr(MSR_VM_HSAVE_PA, memory_spa(memory_alloc_pages(1)).raw);
    __asm__ volatile("vmsave %0" : : "a"(state->host_vmcb) : "memory");
}

/* ---- a VP ---- */

static void set_segment(struct vmcb_segment *segment, uint16_t selector, uint16_t attributes,
                        uint32_t limit, uint64_t base)
{
    *segment = (struct vmcb_segment){selector, attributes, limit, base};
}

static void set_controls(struct vmcb *vmcb, const struct vp *vp)
{
    vmcb->intercept_cr_write = VMCB_INTERCEPT_CR8;
    vmcb->intercept1 = VMCB_INTERCEPT1_INTR | VMCB_INTERCEPT1_NMI | VMCB_INTERCEPT1_INIT |
                       VMCB_INTERCEPT1_CPUID | VMCB_INTERCEPT1_INVD | VMCB_INTERCEPT1_HLT |
                       VMCB_INTERCEPT1_INVLPGA | VMCB_INTERCEPT1_MSR | VMCB_INTERCEPT1_SHUTDOWN;
    vmcb->intercept2 = VMCB_INTERCEPT2_VMRUN | VMCB_INTERCEPT2_VMMCALL | VMCB_INTERCEPT2_VMLOAD |
                       VMCB_INTERCEPT2_VMSAVE | VMCB_INTERCEPT2_STGI | VMCB_INTERCEPT2_CLGI |
                       VMCB_INTERCEPT2_SKINIT | VMCB_INTERCEPT2_MONITOR | VMCB_INTERCEPT2_MWAIT;
    vmcb->msr_map = msr_map_spa;
    vmcb->asid = PARENT_ASID;
    vmcb->tlb_control = VMCB_TLB_FLUSH_ALL;
    vmcb->virtual_interrupt = VMCB_VINTR_MASKING;
    vmcb->nested_enable = VMCB_NESTED_ENABLE;
    vmcb->nested_root = vp->partition->nested.root.raw;
}

static void svm_take_intercepts(struct vp *vp)
{
    svm_of(vp)->vmcb->intercept_exceptions = vp->partition->exception_intercepts;
}

static void svm_init_vp(struct vp *vp, void *state, void *control, spa_t control_spa)
{
    struct svm_vp *svm = state;
    struct vmcb *vmcb = control;
    svm->vmcb = vmcb;
    svm->vmcb_spa = control_spa.raw;
    vp->vendor = svm;
    set_controls(vmcb, vp);
    if (partition_is_parent(vp->partition))
        return;
    svm_take_intercepts(vp);
    vmcb->intercept1 |= VMCB_INTERCEPT1_RDPMC | VMCB_INTERCEPT1_IO;
    vmcb->intercept2 |= VMCB_INTERCEPT2_WBINVD;
    vmcb->msr_map = child_msr_map_spa;
    vmcb->io_map = child_io_map_spa;
}

static void set_common_state(struct vp *vp)
{
    struct svm_vp *state = svm_of(vp);
    struct vmcb *vmcb = state->vmcb;
    memset(&vp->registers, 0, sizeof vp->registers);
    state->nmi_masked = state->nmi_iret = false;
    vmcb->inject = 0;
    state->delivering = VAPIC_NONE;
    vmcb->exit_interrupt = 0;
    vmcb->interrupt_shadow = 0;
    vmcb->virtual_interrupt = VMCB_VINTR_MASKING;
    vmcb->intercept1 &= ~(VMCB_INTERCEPT1_VINTR | VMCB_INTERCEPT1_IRET);
    vmcb->rflags = RFLAGS_RESERVED;
    vmcb->dr6 = DR6_RESET;
    vmcb->dr7 = DR7_RESET;
    vmcb->cpl = 0;
    vmcb->cr2 = vmcb->cr3 = vmcb->cr4 = 0;
    vmcb->rsp = vmcb->rax = 0;
    vmcb->pat = PAT_RESET_VALUE;
    set_segment(&vmcb->ldtr, 0, SEG_LDT, 0xffff, 0);
    set_segment(&vmcb->tr, 0, SEG_TSS_BUSY, 0xffff, 0);
    set_segment(&vmcb->idtr, 0, 0, 0xffff, 0);
    set_segment(&vmcb->gdtr, 0, 0, 0xffff, 0);
}

/* AMD64 APM 2, table 14-1. */
static void svm_reset(struct vp *vp)
{
    struct vmcb *vmcb = svm_of(vp)->vmcb;
    set_common_state(vp);
    vp->registers.rdx = cpu_cpuid(1, 0).eax;
    vmcb->efer = EFER_SVME;
    vmcb->cr0 = RESET_CR0;
    vmcb->rip = 0xfff0;
    set_segment(&vmcb->cs, 0xf000, SEG_CODE_REAL, 0xffff, 0xffff0000);
    struct vmcb_segment *const data[] = {&vmcb->ds, &vmcb->es, &vmcb->fs, &vmcb->gs, &vmcb->ss};
    for (unsigned i = 0; i < ARRAY_COUNT(data); i++)
        set_segment(data[i], 0, SEG_DATA, 0xffff, 0);
}

static void svm_startup(struct vp *vp, uint8_t vector)
{
    struct vmcb *vmcb = svm_of(vp)->vmcb;
    svm_reset(vp);
    vmcb->rip = 0;
    set_segment(&vmcb->cs, (uint16_t)(vector << 8), SEG_CODE_REAL, 0xffff,
                (uint64_t)vector << PAGE_SHIFT);
}

static void svm_set_linux_entry(struct vp *vp, const struct linux_entry *entry)
{
    struct vmcb *vmcb = svm_of(vp)->vmcb;
    set_common_state(vp);
    vp->registers.rsi = entry->boot_params;
    vmcb->efer = EFER_SVME | EFER_LME | EFER_LMA;
    vmcb->cr0 = CR0_PG | CR0_PE | CR0_ET;
    vmcb->cr3 = entry->page_tables;
    vmcb->cr4 = CR4_PAE;
    vmcb->rip = entry->rip;
    set_segment(&vmcb->gdtr, 0, 0, LINUX_GDT_LIMIT, entry->gdt);
    set_segment(&vmcb->cs, LINUX_CS, SEG_CODE_64, 0xffffffff, 0);
    struct vmcb_segment *const data[] = {&vmcb->ds, &vmcb->es, &vmcb->fs, &vmcb->gs, &vmcb->ss};
    for (unsigned i = 0; i < ARRAY_COUNT(data); i++)
        set_segment(data[i], LINUX_DS, SEG_DATA_32, 0xffffffff, 0);
}

/* ---- registers ---- */

static uint64_t *field(const struct vp *vp, enum vendor_register reg)
{
    static const uint16_t offset[] = {
        [VENDOR_CR0] = offsetof(struct vmcb, cr0),
        [VENDOR_CR4] = offsetof(struct vmcb, cr4),
        [VENDOR_EFER] = offsetof(struct vmcb, efer),
        [VENDOR_RFLAGS] = offsetof(struct vmcb, rflags),
        [VENDOR_PAT] = offsetof(struct vmcb, pat),
        [VENDOR_TSC_OFFSET] = offsetof(struct vmcb, tsc_offset),
    };
    return (uint64_t *)(void *)((char *)svm_of(vp)->vmcb + offset[reg]);
}

/* The guest does not see that SVM is on. */
static uint64_t svm_get(const struct vp *vp, enum vendor_register reg)
{
    return *field(vp, reg) & ~(reg == VENDOR_EFER ? EFER_SVME : 0);
}

static void svm_set(struct vp *vp, enum vendor_register reg, uint64_t value)
{
    *field(vp, reg) = value | (reg == VENDOR_EFER ? EFER_SVME : 0);
}

static unsigned svm_get_cpl(const struct vp *vp)
{
    return svm_of(vp)->vmcb->cpl;
}

static void svm_advance(struct vp *vp, unsigned length)
{
    struct vmcb *vmcb = svm_of(vp)->vmcb;
    vmcb->rip = svm_has_next_rip && vmcb->next_rip != 0 ? vmcb->next_rip : vmcb->rip + length;
    vmcb->interrupt_shadow = 0;
}

static void svm_inject_fault(struct vp *vp, uint8_t vector, bool has_error, uint32_t error)
{
    uint64_t event = VMCB_EVENT_VALID | VMCB_EVENT_EXCEPTION | vector;
    if (has_error)
        event |= VMCB_EVENT_ERROR_VALID | (uint64_t)error << VMCB_EVENT_ERROR_SHIFT;
    svm_of(vp)->vmcb->inject = event;
}

/* ---- events and entry ---- */

/*
 * The handler's IRET ends the masking of NMIs, once it has retired. If another
 * NMI waits, the timer looks again after a moment in which the IRET can run.
 */
static bool nmi_is_masked(struct svm_vp *state)
{
    if (state->nmi_iret && state->vmcb->rip != state->nmi_iret_rip)
        state->nmi_masked = state->nmi_iret = false;
    return state->nmi_masked;
}

static void inject_nmi(struct vp *vp, struct svm_vp *state)
{
    vp->nmi_pending = false;
    state->nmi_masked = true;
    state->vmcb->intercept1 |= VMCB_INTERCEPT1_IRET;
    state->vmcb->inject = VMCB_EVENT_VALID | VMCB_EVENT_NMI;
}

/* The bits above it are no state: processors with GUEST_INTERRUPT_MASK copy IF there. */
static bool is_in_shadow(const struct vmcb *vmcb)
{
    return vmcb->interrupt_shadow & VMCB_INTERRUPT_SHADOW;
}

/*
 * An interrupt that the guest can take now is accepted and given to the processor as its virtual
 * interrupt, which it delivers before the guest's next instruction. An event injection would do the
 * same, but after one QEMU delivers the vector again at an arbitrary later instruction.
 *
 * True: an interrupt waits for the guest to be able to take it.
 */
static bool deliver_interrupt(struct vp *vp, struct svm_vp *state)
{
    const struct vmcb *vmcb = state->vmcb;
    if (state->delivering != VAPIC_NONE)
        return false;
    const int vector = vapic_next(&vp->apic);
    if (vector == VAPIC_NONE)
        return false;
    if (!(vmcb->rflags & RFLAGS_IF) || is_in_shadow(vmcb) || (vmcb->inject & VMCB_EVENT_VALID))
        return true;
    vapic_accept(vp, (uint8_t)vector);
    state->delivering = vector;
    return false;
}

/* The window is a virtual interrupt that is intercepted before it is delivered. */
static void set_virtual_interrupt(const struct vp *vp, struct svm_vp *state, bool window)
{
    struct vmcb *vmcb = state->vmcb;
    vmcb->virtual_interrupt = VMCB_VINTR_MASKING | vp->apic.tpr >> 4;
    vmcb->intercept1 &= ~VMCB_INTERCEPT1_VINTR;
    if (window)
        vmcb->intercept1 |= VMCB_INTERCEPT1_VINTR;
    if (window || state->delivering != VAPIC_NONE)
        vmcb->virtual_interrupt |= VMCB_VINTR_IRQ | VMCB_VINTR_IGNORE_TPR;
    if (state->delivering != VAPIC_NONE)
        vmcb->virtual_interrupt |= VMCB_VINTR_VECTOR(state->delivering);
}

static void prepare_events(struct lp *lp, struct vp *vp)
{
    struct svm_vp *state = svm_of(vp);
    struct vmcb *vmcb = state->vmcb;
    if (vp->nmi_pending && !(vmcb->inject & VMCB_EVENT_VALID)) {
        if (!nmi_is_masked(state))
            inject_nmi(vp, state);
        else if (state->nmi_iret)
            lp->look_again = true;
    }
    vapic_sync(vp);
    set_virtual_interrupt(vp, state, deliver_interrupt(vp, state));
    /* With automatic EOI a second interrupt may be due at once. */
    if (state->delivering != VAPIC_NONE && vapic_next(&vp->apic) != VAPIC_NONE)
        lp->look_again = true;
}

/*
 * An event whose delivery the exit interrupted is delivered again, unless it is the instruction's
 * own, which is simply executed again. A virtual interrupt that was not delivered is requested
 * again by prepare_events; QEMU may name it here too, as an exception.
 */
static void keep_interrupted_event(struct svm_vp *state)
{
    struct vmcb *vmcb = state->vmcb;
    const uint64_t event = vmcb->exit_interrupt;
    vmcb->inject = 0;
    if (!(vmcb->virtual_interrupt & VMCB_VINTR_IRQ))
        state->delivering = VAPIC_NONE;
    if ((event & VMCB_EVENT_VALID) && VMCB_EVENT_TYPE(event) != VMCB_EVENT_TYPE_SOFT &&
        (int)(event & 0xff) != state->delivering)
        vmcb->inject = event;
}

static void forget_translations(struct lp *lp, const struct vp *vp)
{
    svm_of(vp)->asid_lp = NULL;
    lp->flush_guests = lp->flush_guests || partition_is_parent(vp->partition);
}

/* Each child's VP has an address-space identifier to itself, until the LP has given all out: then
 * all translations are flushed and a new round begins. */
static void prepare_translations(struct lp *lp, const struct vp *vp, struct svm_vp *state)
{
    struct svm_lp *own = lp->vendor;
    if (!partition_is_parent(vp->partition) &&
        (state->asid_lp != own || state->asid_round != own->asid_round)) {
        if (own->asid_next >= asid_count) {
            own->asid_round++;
            own->asid_next = CHILD_ASIDS;
            lp->flush_guests = true;
        }
        state->asid_lp = own;
        state->asid_round = own->asid_round;
        state->vmcb->asid = own->asid_next++;
    }
    if (lp->flush_guests)
        state->vmcb->tlb_control = VMCB_TLB_FLUSH_ALL;
}

static void finish_flush(struct lp *lp, struct vmcb *vmcb)
{
    if (vmcb->tlb_control != 0)
        lp->flush_guests = false;
    vmcb->tlb_control = 0;
}

static void svm_run(struct lp *lp, struct vp *vp)
{
    const struct svm_lp *svm_lp = lp->vendor;
    struct svm_vp *state = svm_of(vp);
    struct vmcb *vmcb = state->vmcb;
    prepare_events(lp, vp);
    vmcb->rax = vp->registers.rax;
    if (emulated_by_qemu) /* a guest that computes would not see a forgotten timer for long */
        lapic_look_again();
    lp_account_guest_entry(lp);
    if (vp_enter_guest(vp))
        forget_translations(lp, vp);
    prepare_translations(lp, vp, state);
    const bool entered = svm_enter(&vp->registers, state->vmcb_spa, svm_lp->host_vmcb,
                                   &lp->nmi_seen, is_in_shadow(vmcb));
    vp_leave_guest(vp);
    lp_account_guest_exit(lp);
    if (!entered)
        return;
    finish_flush(lp, vmcb);
    vp->registers.rax = vmcb->rax;
    keep_interrupted_event(state);
    if (partition_is_parent(vp->partition))
        svm_handle_exit(vp);
    else
        svm_handle_child_exit(vp);
}

const struct vendor_ops svm_ops = {
    .id = BH_VENDOR_SVM,
    .name = "AMD SVM",
    .nested_format = &nested_format_npt,
    .hypercall_code = {0x0f, 0x01, 0xd9},
    .init_lp = svm_init_lp,
    .init_vp = svm_init_vp,
    .reset = svm_reset,
    .startup = svm_startup,
    .set_linux_entry = svm_set_linux_entry,
    .run = svm_run,
    .take_intercepts = svm_take_intercepts,
    .get = svm_get,
    .set = svm_set,
    .get_cpl = svm_get_cpl,
    .get_register = svm_get_register,
    .set_register = svm_set_register,
    .fill_register_page = svm_fill_register_page,
    .make_header = svm_make_header,
    .advance = svm_advance,
    .inject_fault = svm_inject_fault,
};
