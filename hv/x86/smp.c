/* SPDX-License-Identifier: MIT */
/* Logical processors: making, starting, stopping. */
#include "hv/x86/smp.h"

#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/log.h"
#include "hv/x86/cpu.h"
#include "hv/x86/descriptors.h"
#include "hv/x86/lapic.h"
#include "hv/x86/memory.h"
#include "hv/x86/panic.h"
#include "hv/x86/time.h"

#define START_TIMEOUT_US 1000000
#define START_STEP_US    50
#define INIT_WAIT_US     10000
#define LOW_MEMORY_FLOOR 0x1000
#define LOW_MEMORY_END   0xa0000

extern const char trampoline_start[], trampoline_end[], trampoline_gdt_base[], trampoline_far[];
extern const char trampoline_long[], trampoline_boot_tables[], trampoline_tables[];
extern const char trampoline_stack[], trampoline_lp[], trampoline_gdt[];
extern uint64_t boot_pml4[];

_Static_assert(sizeof(struct lp) <= PAGE_SIZE, "an LP's state fills one page of the pool");

struct lp *lp_table[HV_MAX_LPS];
uint32_t lp_count;

static void make_lp(uint32_t index, uint32_t apic_id)
{
    struct lp *lp = memory_alloc_pages(1);
    descriptors_alloc_stacks(lp);
    lp->hypercall_buffers = memory_alloc_pages(sizeof *lp->hypercall_buffers / PAGE_SIZE);
    lp->index = index;
    lp->apic_id = apic_id;
    lp->timer_armed = TIMER_NEVER;
    lp_table[index] = lp;
}

void smp_init_boot_lp(const struct acpi_info *acpi, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        make_lp(i, acpi->apic_id[i]);
    lp_count = count;
    descriptors_init();
    descriptors_load(lp_table[0]);
    lp_table[0]->online = true;
}

/* ---- start ---- */

static void set_field(uint64_t page, const char *field, const void *value, size_t size)
{
    memcpy((char *)page + (field - trampoline_start), value, size);
}

static uint64_t choose_page(const struct ranges *ranges, const struct boot_info *boot)
{
    struct ranges free = *ranges;
    uint64_t page;
    if (!ranges_reserve_modules(&free, boot) ||
        !ranges_find(&free, RANGES_HIGH, PAGE_SIZE, PAGE_SIZE, LOW_MEMORY_FLOOR, LOW_MEMORY_END,
                     &page))
        refuse("no free page below 640 KiB to start the other processors from");
    return page;
}

/* Offset of one of its symbols. */
static uint64_t in_trampoline(const char *symbol)
{
    return (uint64_t)symbol - (uint64_t)trampoline_start;
}

static void fill_trampoline(uint64_t page)
{
    const uint32_t gdt = (uint32_t)(page + in_trampoline(trampoline_gdt));
    const uint32_t entry = (uint32_t)(page + in_trampoline(trampoline_long));
    const uint64_t boot_tables = memory_spa(boot_pml4).raw;
    uint64_t tables;
    __asm__ volatile("mov %%cr3, %0" : "=r"(tables));
    memcpy((void *)page, trampoline_start, in_trampoline(trampoline_end));
    set_field(page, trampoline_gdt_base, &gdt, sizeof gdt);
    set_field(page, trampoline_far, &entry, sizeof entry);
    set_field(page, trampoline_boot_tables, &boot_tables, sizeof boot_tables);
    set_field(page, trampoline_tables, &tables, sizeof tables);
}

static bool wait_online(const struct lp *lp, uint64_t microseconds)
{
    for (uint64_t waited = 0; !lp->online && waited < microseconds; waited += START_STEP_US)
        time_delay_microseconds(START_STEP_US);
    return lp->online;
}

static void start(struct lp *lp, uint64_t page)
{
    set_field(page, trampoline_stack, &lp->stack, sizeof lp->stack);
    const uint64_t lp_address = (uint64_t)lp;
    set_field(page, trampoline_lp, &lp_address, sizeof lp_address);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const uint32_t startup = LAPIC_SEND_STARTUP | (uint32_t)(page >> PAGE_SHIFT);
    lapic_send(lp->apic_id, LAPIC_SEND_INIT);
    time_delay_microseconds(INIT_WAIT_US);
    lapic_send(lp->apic_id, startup);
    if (!wait_online(lp, INIT_WAIT_US))
        lapic_send(lp->apic_id, startup);
    if (!wait_online(lp, START_TIMEOUT_US))
        refuse("processor %u (APIC id %u) does not start; lps=%u leaves it out", lp->index,
               lp->apic_id, lp->index);
    time_compare_as_starter();
}

void smp_start_others(const struct ranges *ranges, const struct boot_info *boot)
{
    if (lp_count == 1)
        return;
    const uint64_t page = choose_page(ranges, boot);
    fill_trampoline(page);
    for (uint32_t i = 1; i < lp_count; i++)
        start(lp_table[i], page);
    memset((void *)page, 0, PAGE_SIZE);
}

/* ---- signals ---- */

void smp_kick(const struct lp *lp)
{
    lapic_send(lp->apic_id, HV_VECTOR_KICK);
}

void smp_stop_others(void)
{
    for (uint32_t i = 0; i < lp_count; i++)
        if (lp_table[i]->online && lp_table[i]->apic_id != lapic_id())
            lapic_send(lp_table[i]->apic_id, HV_VECTOR_STOP);
}
