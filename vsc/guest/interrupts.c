/* SPDX-License-Identifier: MIT */
#include "vsc/guest/interrupts.h"

#include "vsc/guest/console.h"
#include "vsc/guest/processor.h"

#define MSR_APIC_BASE   0x1bu
#define APIC_X2         0xc00u
#define MSR_X2APIC_EOI  0x80bu
#define MSR_X2APIC_SVR  0x80fu
#define SVR_ENABLED     0x1ffu
#define PIC_FIRST_MASK  0x21
#define PIC_SECOND_MASK 0xa1
#define CODE_64         0x10
#define GATE            0x8e00u
#define EXCEPTIONS      32u
#define ENTRY_SIZE      16u

struct frame;

static struct {
    uint16_t low, selector, flags, middle;
    uint32_t high, reserved;
} gates[256];

static volatile uint64_t taken;

extern const char exception_entries[];
_Noreturn void guest_exception(uint64_t vector, uint64_t error, uint64_t rip);

void guest_exception(uint64_t vector, uint64_t error, uint64_t rip)
{
    say("exception ");
    say_number(vector);
    say(" error ");
    say_hex(error);
    say(" at ");
    say_hex(rip);
    say("\n");
    guest_fail("guest", "an exception");
}

/* What has come is looked for where the guest goes on: vsc/guest/synic.c. */
__attribute__((interrupt)) static void on_vmbus(struct frame *frame)
{
    (void)frame;
    taken++;
    __asm__ volatile("wrmsr" : : "c"(MSR_X2APIC_EOI), "a"(0), "d"(0) : "memory");
}

__attribute__((interrupt)) static void on_timer(struct frame *frame)
{
    (void)frame;
    __asm__ volatile("wrmsr" : : "c"(MSR_X2APIC_EOI), "a"(0), "d"(0) : "memory");
}

static void set_gate(unsigned vector, uint64_t address)
{
    gates[vector].low = (uint16_t)address;
    gates[vector].middle = (uint16_t)(address >> 16);
    gates[vector].high = (uint32_t)(address >> 32);
    gates[vector].selector = CODE_64;
    gates[vector].flags = GATE;
}

void interrupts_begin(void)
{
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof(gates) - 1, (uint64_t)gates};

    for (unsigned i = 0; i < EXCEPTIONS; i++)
        set_gate(i, (uint64_t)exception_entries + (uint64_t)i * ENTRY_SIZE);
    set_gate(VECTOR_VMBUS, (uint64_t)on_vmbus);
    set_gate(VECTOR_TIMER, (uint64_t)on_timer);
    __asm__ volatile("lidt %0" : : "m"(pointer));
    write_port8(PIC_FIRST_MASK, 0xff);
    write_port8(PIC_SECOND_MASK, 0xff);
    write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_X2);
    write_msr(MSR_X2APIC_SVR, SVR_ENABLED);
}

uint64_t interrupts_taken(void)
{
    return taken;
}
