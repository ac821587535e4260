/* SPDX-License-Identifier: MIT */
/* Access to the physical local APIC (AMD64 APM 2, chapter 16). */
#include "hv/x86/lapic.h"

#include "hv/x86/cpu.h"
#include "hv/x86/memory.h"

#define SPURIOUS_APIC_ENABLE 0x100u
#define ICR_PENDING          (1u << 12)
#define ICR_ASSERT           (1u << 14)

static volatile uint32_t *lapic_registers; /* NULL in x2APIC mode */

spa_t lapic_page(void)
{
    return spa_make(cpu_read_msr(MSR_APIC_BASE) & 0xfffffffff000ull);
}

void lapic_init(void)
{
    if (!(cpu_read_msr(MSR_APIC_BASE) & APIC_BASE_X2APIC))
        lapic_registers = memory_map_device(lapic_page());
}

uint32_t lapic_read(enum lapic_register reg)
{
    if (lapic_registers != NULL)
        return lapic_registers[reg / 4];
    return (uint32_t)cpu_read_msr(MSR_X2APIC_FIRST + reg / 16);
}

void lapic_write(enum lapic_register reg, uint32_t value)
{
    if (lapic_registers != NULL)
        lapic_registers[reg / 4] = value;
    else
        cpu_write_msr(MSR_X2APIC_FIRST + reg / 16, value);
}

void lapic_init_lp(void)
{
    lapic_write(LAPIC_TPR, 0);
    lapic_write(LAPIC_LVT_LINT0, LAPIC_LVT_MASKED);
    lapic_write(LAPIC_LVT_LINT1, LAPIC_LVT_NMI);
    lapic_write(LAPIC_LVT_ERROR, HV_VECTOR_ERROR);
    lapic_write(LAPIC_TIMER_DIVIDE, LAPIC_DIVIDE_BY_1);
    lapic_write(LAPIC_LVT_TIMER, HV_VECTOR_TIMER);
    lapic_write(LAPIC_SPURIOUS, SPURIOUS_APIC_ENABLE | HV_VECTOR_SPURIOUS);
}

void lapic_look_again(void)
{
    lapic_write(LAPIC_TPR, 0);
}

uint32_t lapic_id(void)
{
    const uint32_t id = lapic_read(LAPIC_ID);
    return lapic_registers != NULL ? id >> 24 : id;
}

void lapic_eoi(void)
{
    lapic_write(LAPIC_EOI, 0);
}

bool lapic_is_level(uint8_t vector)
{
    const enum lapic_register word = (enum lapic_register)(LAPIC_TMR + vector / 32 * 16);
    return lapic_read(word) >> (vector % 32) & 1;
}

void lapic_send(uint32_t apic_id, uint32_t command)
{
    command |= ICR_ASSERT;
    if (lapic_registers == NULL) {
        cpu_write_msr(MSR_X2APIC_FIRST + LAPIC_ICR / 16, (uint64_t)apic_id << 32 | command);
        return;
    }
    while (lapic_read(LAPIC_ICR) & ICR_PENDING)
        cpu_pause();
    lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
    lapic_write(LAPIC_ICR, command);
}
