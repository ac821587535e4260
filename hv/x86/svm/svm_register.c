/* SPDX-License-Identifier: MIT */
/* Registers of the control block by their TLFS names. */
#include "hv/core/lib.h"
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#define EFER_SETTABLE (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR)
#define DPL_SHIFT     5
#define HIGH_HALF     0xffffffff00000000ull

/* A field of the control block and the bits that are always zero in it. */
struct scalar {
    uint32_t name, offset;
    uint64_t zero;
};

static const struct scalar *find_scalar(uint32_t name)
{
    static const struct scalar table[] = {
        {HV_REGISTER_RSP, offsetof(struct vmcb, rsp), 0},
        {HV_REGISTER_RIP, offsetof(struct vmcb, rip), 0},
        {HV_REGISTER_RFLAGS, offsetof(struct vmcb, rflags), ~RFLAGS_ALL},
        {HV_REGISTER_CR0, offsetof(struct vmcb, cr0), ~CR0_ALL},
        {HV_REGISTER_CR2, offsetof(struct vmcb, cr2), 0},
        {HV_REGISTER_CR3, offsetof(struct vmcb, cr3), ~CR3_ALL},
        {HV_REGISTER_CR4, offsetof(struct vmcb, cr4), ~CR4_ALL},
        {HV_REGISTER_DR6, offsetof(struct vmcb, dr6), HIGH_HALF},
        {HV_REGISTER_DR7, offsetof(struct vmcb, dr7), HIGH_HALF},
        {HV_REGISTER_EFER, offsetof(struct vmcb, efer), ~EFER_SETTABLE},
        {HV_REGISTER_KERNEL_GS_BASE, offsetof(struct vmcb, kernel_gs_base), 0},
        {HV_REGISTER_SYSENTER_CS, offsetof(struct vmcb, sysenter_cs), 0},
        {HV_REGISTER_SYSENTER_EIP, offsetof(struct vmcb, sysenter_eip), 0},
        {HV_REGISTER_SYSENTER_ESP, offsetof(struct vmcb, sysenter_esp), 0},
        {HV_REGISTER_STAR, offsetof(struct vmcb, star), 0},
        {HV_REGISTER_LSTAR, offsetof(struct vmcb, lstar), 0},
        {HV_REGISTER_CSTAR, offsetof(struct vmcb, cstar), 0},
        {HV_REGISTER_SFMASK, offsetof(struct vmcb, sfmask), 0},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(table); i++)
        if (table[i].name == name)
            return &table[i];
    return NULL;
}

static uint64_t *field_of(struct vmcb *vmcb, const struct scalar *scalar)
{
    return (uint64_t *)(void *)((char *)vmcb + scalar->offset);
}

static struct vmcb_segment *find_segment(struct vmcb *vmcb, uint32_t name)
{
    if (name == HV_REGISTER_LDTR)
        return &vmcb->ldtr;
    if (name == HV_REGISTER_TR)
        return &vmcb->tr;
    _Static_assert(offsetof(struct vmcb, gs) - offsetof(struct vmcb, es) ==
                       (HV_REGISTER_GS - HV_REGISTER_ES) * sizeof(struct vmcb_segment),
                   "ES to GS lie in the order of their names");
    return name >= HV_REGISTER_ES && name <= HV_REGISTER_GS ? &vmcb->es + (name - HV_REGISTER_ES)
                                                            : NULL;
}

static struct vmcb_segment *find_table(struct vmcb *vmcb, uint32_t name)
{
    if (name == HV_REGISTER_IDTR)
        return &vmcb->idtr;
    return name == HV_REGISTER_GDTR ? &vmcb->gdtr : NULL;
}

/* The control block leaves out bits 8 to 11 of a descriptor's attributes. */
void svm_pack_segment(const struct vmcb_segment *from, struct hv_segment_register *to)
{
    *to = (struct hv_segment_register){
        .base = from->base,
        .limit = from->limit,
        .selector = from->selector,
        .attributes = (uint16_t)((from->attributes & 0xff) | (from->attributes & 0xf00) << 4),
    };
}

static void unpack_segment(const struct hv_segment_register *from, struct vmcb_segment *to)
{
    *to = (struct vmcb_segment){
        .base = from->base,
        .limit = from->limit,
        .selector = from->selector,
        .attributes = (uint16_t)((from->attributes & 0xff) | (from->attributes >> 4 & 0xf00)),
    };
}

/* What translations depend on makes the VP forget them. */
static bool set_scalar(struct vp *vp, const struct scalar *scalar, uint64_t value)
{
    const uint32_t name = scalar->name;
    if ((value & scalar->zero) ||
        (name == HV_REGISTER_CR0 && (value & (CR0_PG | CR0_PE)) == CR0_PG))
        return false;
    if (name == HV_REGISTER_EFER)
        value |= EFER_SVME;
    if (name == HV_REGISTER_RFLAGS)
        value |= RFLAGS_RESERVED;
    *field_of(svm_of(vp)->vmcb, scalar) = value;
    if ((name >= HV_REGISTER_CR0 && name <= HV_REGISTER_CR4) || name == HV_REGISTER_EFER)
        vp_want_flush(vp);
    return true;
}

/* ---- events ---- */

/* An interrupt that the processor has not delivered yet, or the event to inject. */
static uint64_t get_pending(const struct svm_vp *state)
{
    const uint64_t event = state->vmcb->inject;
    if (state->delivering != VAPIC_NONE)
        return HV_PENDING_INTERRUPTION | (uint64_t)state->delivering << HV_PENDING_VECTOR_SHIFT;
    if (!(event & VMCB_EVENT_VALID))
        return 0;
    return HV_PENDING_INTERRUPTION | VMCB_EVENT_TYPE(event) << HV_PENDING_TYPE_SHIFT |
           (event & VMCB_EVENT_ERROR_VALID ? HV_PENDING_ERROR_CODE_VALID : 0) |
           (event & 0xff) << HV_PENDING_VECTOR_SHIFT | (event & HIGH_HALF);
}

static bool set_pending(struct svm_vp *state, uint64_t value)
{
    const uint64_t vector = value >> HV_PENDING_VECTOR_SHIFT & 0xffff;
    const uint64_t type = value >> HV_PENDING_TYPE_SHIFT & 7;
    const bool pending = value & HV_PENDING_INTERRUPTION;
    const bool external = type == HV_INTERRUPTION_EXTERNAL && vector >= 16 && vector < 256;
    const bool other = (type == HV_INTERRUPTION_NMI && vector == VECTOR_NMI) ||
                       (type == HV_INTERRUPTION_EXCEPTION && vector < 32 && vector != VECTOR_NMI);
    if (pending && !external && !other)
        return false;
    state->delivering = pending && external ? (int)vector : VAPIC_NONE;
    state->vmcb->inject = 0;
    if (pending && other)
        state->vmcb->inject =
            VMCB_EVENT_VALID | type << 8 | vector |
            (value & HV_PENDING_ERROR_CODE_VALID ? VMCB_EVENT_ERROR_VALID | (value & HIGH_HALF)
                                                 : 0);
    return true;
}

static bool set_interrupt_state(struct svm_vp *state, uint64_t value)
{
    if (value & ~(HV_INTERRUPT_SHADOW | HV_INTERRUPT_NMI_MASKED))
        return false;
    state->vmcb->interrupt_shadow = value & HV_INTERRUPT_SHADOW;
    state->nmi_masked = value & HV_INTERRUPT_NMI_MASKED;
    state->nmi_iret = false;
    state->vmcb->intercept1 &= ~VMCB_INTERCEPT1_IRET;
    if (state->nmi_masked)
        state->vmcb->intercept1 |= VMCB_INTERCEPT1_IRET;
    return true;
}

/* ---- by name ---- */

bool svm_get_register(struct vp *vp, uint32_t name, union hv_register_value *value)
{
    struct vmcb *vmcb = svm_of(vp)->vmcb;
    const struct scalar *scalar = find_scalar(name);
    const struct vmcb_segment *segment = find_segment(vmcb, name);
    const struct vmcb_segment *table = find_table(vmcb, name);
    if (scalar != NULL)
        value->u64 = *field_of(vmcb, scalar) & ~(name == HV_REGISTER_EFER ? EFER_SVME : 0);
    else if (name == HV_REGISTER_PENDING_INTERRUPTION)
        value->u64 = get_pending(svm_of(vp));
    else if (name == HV_REGISTER_INTERRUPT_STATE)
        value->u64 =
            (vmcb->interrupt_shadow & 1) | (svm_of(vp)->nmi_masked ? HV_INTERRUPT_NMI_MASKED : 0);
    else if (segment != NULL)
        svm_pack_segment(segment, &value->segment);
    else if (table != NULL)
        value->table =
            (struct hv_table_register){.limit = (uint16_t)table->limit, .base = table->base};
    else
        return false;
    return true;
}

void svm_fill_register_page(const struct vp *vp, struct hv_register_page *page)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    page->general[HV_REGISTER_RSP - HV_REGISTER_RAX] = vmcb->rsp;
    page->rip = vmcb->rip;
    page->rflags = vmcb->rflags;
    for (unsigned i = 0; i < ARRAY_COUNT(page->segment); i++)
        svm_pack_segment(&vmcb->es + i, &page->segment[i]);
    page->cr0 = vmcb->cr0;
    page->cr3 = vmcb->cr3;
    page->cr4 = vmcb->cr4;
    page->efer = vmcb->efer & ~EFER_SVME;
    page->dr7 = vmcb->dr7;
}

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    struct vmcb *vmcb = svm_of(vp)->vmcb;
    const struct scalar *scalar = find_scalar(name);
    struct vmcb_segment *segment = find_segment(vmcb, name);
    struct vmcb_segment *table = find_table(vmcb, name);
    if (scalar != NULL)
        return set_scalar(vp, scalar, value->u64);
    if (name == HV_REGISTER_PENDING_INTERRUPTION)
        return set_pending(svm_of(vp), value->u64);
    if (name == HV_REGISTER_INTERRUPT_STATE)
        return set_interrupt_state(svm_of(vp), value->u64);
    if (segment != NULL)
        unpack_segment(&value->segment, segment);
    else if (table != NULL)
        *table = (struct vmcb_segment){.limit = value->table.limit, .base = value->table.base};
    else
        return false;
    if (name == HV_REGISTER_SS)
        vmcb->cpl = segment->attributes >> DPL_SHIFT & 3;
    return true;
}
