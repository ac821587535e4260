/* SPDX-License-Identifier: MIT */
/* Registers of the control block by their TLFS names. */
#include "hv/core/lib.h"
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#define EFER_SETTABLE (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR)
#define DPL_SHIFT     5

static uint64_t *find_scalar(struct vmcb *vmcb, uint32_t name)
{
    const struct {
        uint32_t name;
        uint64_t *field;
    } table[] = {
        {HV_REGISTER_RSP, &vmcb->rsp},
        {HV_REGISTER_RIP, &vmcb->rip},
        {HV_REGISTER_RFLAGS, &vmcb->rflags},
        {HV_REGISTER_CR0, &vmcb->cr0},
        {HV_REGISTER_CR2, &vmcb->cr2},
        {HV_REGISTER_CR3, &vmcb->cr3},
        {HV_REGISTER_CR4, &vmcb->cr4},
        {HV_REGISTER_DR6, &vmcb->dr6},
        {HV_REGISTER_DR7, &vmcb->dr7},
        {HV_REGISTER_EFER, &vmcb->efer},
        {HV_REGISTER_PAT, &vmcb->pat},
        {HV_REGISTER_KERNEL_GS_BASE, &vmcb->kernel_gs_base},
        {HV_REGISTER_SYSENTER_CS, &vmcb->sysenter_cs},
        {HV_REGISTER_SYSENTER_EIP, &vmcb->sysenter_eip},
        {HV_REGISTER_SYSENTER_ESP, &vmcb->sysenter_esp},
        {HV_REGISTER_STAR, &vmcb->star},
        {HV_REGISTER_LSTAR, &vmcb->lstar},
        {HV_REGISTER_CSTAR, &vmcb->cstar},
        {HV_REGISTER_SFMASK, &vmcb->sfmask},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(table); i++)
        if (table[i].name == name)
            return table[i].field;
    return NULL;
}

static struct vmcb_segment *find_segment(struct vmcb *vmcb, uint32_t name)
{
    struct vmcb_segment *const table[] = {&vmcb->es, &vmcb->cs, &vmcb->ss,   &vmcb->ds,
                                          &vmcb->fs, &vmcb->gs, &vmcb->ldtr, &vmcb->tr};
    return name >= HV_REGISTER_ES && name <= HV_REGISTER_TR ? table[name - HV_REGISTER_ES] : NULL;
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
