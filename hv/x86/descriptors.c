/* SPDX-License-Identifier: MIT */
/* Segment, interrupt and task tables of the LPs, and their entry into 64-bit C. */
#include "hv/x86/descriptors.h"

#include "hv/x86/cpu.h"
#include "hv/x86/memory.h"

#define GATE_INTERRUPT 0x8e00ull
#define STUB_SIZE      16ull
#define TSS_AVAILABLE  0x89ull
#define VECTOR_DOUBLE  8

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

struct gate {
    uint64_t low, high;
};

static struct gate idt[256];
extern const char vector_stubs[];

static struct gate make_gate(uint64_t handler, uint64_t ist)
{
    return (struct gate){
        .low = (handler & 0xffff) | (uint64_t)HV_CS << 16 | ist << 32 | GATE_INTERRUPT << 32 |
               (handler & 0xffff0000) << 32,
        .high = handler >> 32,
    };
}

void descriptors_init(void)
{
    for (unsigned vector = 0; vector < ARRAY_COUNT(idt); vector++)
        idt[vector] = make_gate((uint64_t)vector_stubs + vector * STUB_SIZE, 0);
    idt[VECTOR_NMI] = make_gate((uint64_t)vector_stubs + VECTOR_NMI * STUB_SIZE, 1);
    idt[VECTOR_DOUBLE] = make_gate((uint64_t)vector_stubs + VECTOR_DOUBLE * STUB_SIZE, 2);
    idt[VECTOR_MACHINE_CHECK] =
        make_gate((uint64_t)vector_stubs + VECTOR_MACHINE_CHECK * STUB_SIZE, 3);
}

void descriptors_alloc_stacks(struct lp *lp)
{
    lp->stack = memory_alloc_stack();
    for (unsigned ist = 0; ist < 3; ist++)
        lp->tss.ist[ist] = (uint64_t)memory_alloc_stack();
}

static void fill_gdt(struct lp *lp)
{
    const uint64_t tss = (uint64_t)&lp->tss;
    lp->gdt.code = 0x00af9b000000ffff;
    lp->gdt.data = 0x00cf93000000ffff;
    lp->gdt.tss[0] = (sizeof lp->tss - 1) | (tss & 0xffffff) << 16 | TSS_AVAILABLE << 40 |
                     (tss >> 24 & 0xff) << 56;
    lp->gdt.tss[1] = tss >> 32;
    lp->tss.io_map = sizeof lp->tss;
}

void descriptors_load(struct lp *lp)
{
    fill_gdt(lp);
    const struct table_pointer gdt = {sizeof lp->gdt - 1, (uint64_t)&lp->gdt};
    const struct table_pointer idtr = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lgdt %0" : : "m"(gdt));
    __asm__ volatile("lidt %0" : : "m"(idtr));
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss" : : "r"(HV_DS));
    __asm__ volatile("mov %0, %%fs; mov %0, %%gs" : : "r"(0));
    __asm__ volatile("ltr %w0" : : "r"(HV_TSS));
    lp->self = lp;
    cpu_write_msr(MSR_GS_BASE, (uint64_t)lp);
}
