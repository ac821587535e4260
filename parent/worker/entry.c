/* SPDX-License-Identifier: MIT */
#include "parent/worker/entry.h"

#define RFLAGS_RESERVED 0x2ull
#define ATTRIBUTES_LDT  0x0082u /* present, of limit 0 */

struct list {
    struct bh_register registers[BH_REGISTERS_MAX];
    size_t count;
};

static struct bh_register *add(struct list *list, uint32_t name)
{
    struct bh_register *next = &list->registers[list->count++];

    *next = (struct bh_register){.name = name};
    return next;
}

static void add_number(struct list *list, uint32_t name, uint64_t value)
{
    add(list, name)->value.u64 = value;
}

static void add_segment(struct list *list, uint32_t name, struct hv_segment_register segment)
{
    add(list, name)->value.segment = segment;
}

static void add_general(struct list *list, const struct bh_boot_state *boot)
{
    for (uint32_t name = HV_REGISTER_RAX; name <= HV_REGISTER_R15; name++)
        add_number(list, name, 0);
    list->registers[0].value.u64 = boot->rax;
    list->registers[HV_REGISTER_RBX - HV_REGISTER_RAX].value.u64 = boot->rbx;
    list->registers[HV_REGISTER_RSI - HV_REGISTER_RAX].value.u64 = boot->rsi;
    add_number(list, HV_REGISTER_RIP, boot->rip);
    add_number(list, HV_REGISTER_RFLAGS, RFLAGS_RESERVED);
}

static void add_segments(struct list *list, const struct bh_boot_state *boot)
{
    static const uint32_t data[] = {HV_REGISTER_DS, HV_REGISTER_ES, HV_REGISTER_SS, HV_REGISTER_FS,
                                    HV_REGISTER_GS};
    const struct hv_table_register no_interrupts = {0};

    add_segment(list, HV_REGISTER_CS, boot->code);
    for (unsigned i = 0; i < sizeof(data) / sizeof(data[0]); i++)
        add_segment(list, data[i], boot->data);
    add_segment(list, HV_REGISTER_TR, boot->task);
    add_segment(list, HV_REGISTER_LDTR, (struct hv_segment_register){.attributes = ATTRIBUTES_LDT});
    add(list, HV_REGISTER_GDTR)->value.table = boot->gdtr;
    add(list, HV_REGISTER_IDTR)->value.table = no_interrupts;
}

bool bh_entry_set(struct bh_vp *vp, const struct bh_boot_state *boot, struct bh_error *error)
{
    struct list list = {.count = 0};

    add_general(&list, boot);
    /* EFER before CR0: paging may be on, and its kind comes from EFER and CR4. */
    add_number(&list, HV_REGISTER_EFER, boot->efer);
    add_number(&list, HV_REGISTER_CR4, boot->cr4);
    add_number(&list, HV_REGISTER_CR3, boot->cr3);
    add_number(&list, HV_REGISTER_CR0, boot->cr0);
    add_segments(&list, boot);
    return bh_vp_set_registers(vp, list.registers, list.count, error);
}
