/* SPDX-License-Identifier: MIT */
/* Registers of the control block by their TLFS names. */
#include "hv/core/lib.h"
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#define EFER_SETTABLE (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR)
#define DPL_SHIFT     5

static uint64_t *find_scalar(struct vmcb *vmcb, uint32_t name)
{
    static const struct {
        uint32_t name, offset;
    } table[] = {
        {HV_REGISTER_RSP, offsetof(struct vmcb, rsp)},
        {HV_REGISTER_RIP, offsetof(struct vmcb, rip)},
        {HV_REGISTER_RFLAGS, offsetof(struct vmcb, rflags)},
        {HV_REGISTER_CR0, offsetof(struct vmcb, cr0)},
        {HV_REGISTER_CR2, offsetof(struct vmcb, cr2)},
        {HV_REGISTER_CR3, offsetof(struct vmcb, cr3)},
        {HV_REGISTER_CR4, offsetof(struct vmcb, cr4)},
        {HV_REGISTER_DR6, offsetof(struct vmcb, dr6)},
        {HV_REGISTER_DR7, offsetof(struct vmcb, dr7)},
        {HV_REGISTER_EFER, offsetof(struct vmcb, efer)},
        {HV_REGISTER_PAT, offsetof(struct vmcb, pat)},
        {HV_REGISTER_KERNEL_GS_BASE, offsetof(struct vmcb, kernel_gs_base)},
        {HV_REGISTER_SYSENTER_CS, offsetof(struct vmcb, sysenter_cs)},
        {HV_REGISTER_SYSENTER_EIP, offsetof(struct vmcb, sysenter_eip)},
        {HV_REGISTER_SYSENTER_ESP, offsetof(struct vmcb, sysenter_esp)},
        {HV_REGISTER_STAR, offsetof(struct vmcb, star)},
        {HV_REGISTER_LSTAR, offsetof(struct vmcb, lstar)},
        {HV_REGISTER_CSTAR, offsetof(struct vmcb, cstar)},
        {HV_REGISTER_SFMASK, offsetof(struct vmcb, sfmask)},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(table); i++)
        if (table[i].name == name)
            return (uint64_t *)(void *)((char *)vmcb + table[i].offset);
    return NULL;
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

bool svm_get_register(struct vp *vp, uint32_t name, union hv_register_value *value)
{
    struct vmcb *vmcb = svm_of(vp)->vmcb;
    const uint64_t *scalar = find_scalar(vmcb, name);
    const struct vmcb_segment *segment = find_segment(vmcb, name);
    const struct vmcb_segment *table = find_table(vmcb, name);
    if (scalar != NULL)
        value->u64 = name == HV_REGISTER_EFER ? *scalar & ~EFER_SVME : *scalar;
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

static bool set_scalar(uint64_t *field, uint32_t name, uint64_t value)
{
    if (name == HV_REGISTER_EFER) {
        if (value & ~EFER_SETTABLE)
            return false;
        value |= EFER_SVME;
    }
    if (name == HV_REGISTER_RFLAGS)
        value |= RFLAGS_RESERVED;
    *field = value;
    return true;
}

bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    struct vmcb *vmcb = svm_of(vp)->vmcb;
    uint64_t *scalar = find_scalar(vmcb, name);
    struct vmcb_segment *segment = find_segment(vmcb, name);
    struct vmcb_segment *table = find_table(vmcb, name);
    if (scalar != NULL)
        return set_scalar(scalar, name, value->u64);
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
