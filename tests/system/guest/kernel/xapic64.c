/* SPDX-License-Identifier: MIT */
/* Takes its local APIC from x2APIC to xAPIC mode and uses it through its page of registers. */
#include "tests/system/guest/kernel/idt.h"
#include "tests/system/guest/kernel/port.h"
#include "tests/system/guest/kernel/pvh.h"

#define MSR_APIC_BASE  0x1bu
#define APIC_BASE_X2   0x400u
#define APIC_BASE_ON   0x800u
#define APIC_PAGE      0xfee00000u
#define APIC(offset)   (*(volatile uint32_t *)(uintptr_t)(APIC_PAGE + (offset)))
#define APIC_ID        0x20u
#define APIC_VERSION   0x30u
#define APIC_EOI       0xb0u
#define APIC_SPURIOUS  0xf0u
#define APIC_ICR_LOW   0x300u
#define APIC_ICR_HIGH  0x310u
#define APIC_LVT_TIMER 0x320u
#define APIC_INITIAL   0x380u
#define APIC_DIVIDE    0x3e0u
#define APIC_ON        0x1ffu
#define DIVIDE_BY_1    0xbu
#define TIMER_TICKS    1000000u /* 5 ms */
#define ICR_ASSERT     0x4000u
#define TIMER_VECTOR   0x40u
#define IPI_VECTOR     0x41u
#define ROUNDS         3u
#define GATES          0x42u
#define EXIT_CODE      65

struct frame;

static struct gate gates[GATES];
static volatile uint64_t timers;
static volatile uint64_t ipis;

void kernel_main(const struct pvh_information *information);

__attribute__((interrupt)) static void take_timer(struct frame *frame)
{
    (void)frame;
    timers++;
    APIC(APIC_EOI) = 0;
}

__attribute__((interrupt)) static void take_ipi(struct frame *frame)
{
    (void)frame;
    ipis++;
    APIC(APIC_EOI) = 0;
}

static void write_base(uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(MSR_APIC_BASE), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t read_base(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_APIC_BASE));
    return (uint64_t)high << 32 | low;
}

/* From x2APIC mode the way leads through an APIC that is off. */
static void enter_xapic(void)
{
    uint64_t base = read_base();

    write_base(base & ~(uint64_t)(APIC_BASE_X2 | APIC_BASE_ON));
    write_base((base & ~(uint64_t)APIC_BASE_X2) | APIC_BASE_ON);
    print_value("mode", (read_base() & (APIC_BASE_X2 | APIC_BASE_ON)) == APIC_BASE_ON);
}

static void wait_for(const volatile uint64_t *count, uint64_t value)
{
    while (*count < value)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
}

void kernel_main(const struct pvh_information *information)
{
    (void)information;
    gates[TIMER_VECTOR] = idt_gate((uint64_t)take_timer);
    gates[IPI_VECTOR] = idt_gate((uint64_t)take_ipi);
    idt_load(gates, GATES);
    enter_xapic();
    APIC(APIC_SPURIOUS) = APIC_ON;
    print_value("version", APIC(APIC_VERSION));
    APIC(APIC_LVT_TIMER) = TIMER_VECTOR;
    APIC(APIC_DIVIDE) = DIVIDE_BY_1;
    print_value("kept", APIC(APIC_SPURIOUS) == APIC_ON && APIC(APIC_LVT_TIMER) == TIMER_VECTOR &&
                            APIC(APIC_DIVIDE) == DIVIDE_BY_1);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        APIC(APIC_INITIAL) = TIMER_TICKS;
        wait_for(&timers, i);
        APIC(APIC_ICR_HIGH) = APIC(APIC_ID);
        APIC(APIC_ICR_LOW) = IPI_VECTOR | ICR_ASSERT;
        wait_for(&ipis, i);
    }
    print_value("timers", timers);
    print_value("ipis", ipis);
    debug_exit(EXIT_CODE);
}
