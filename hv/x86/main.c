/* SPDX-License-Identifier: MIT */
/* The order of the start: each step may rely on those before it. */
#include "hv/core/log.h"
#include "hv/x86/boot/boot_info.h"
#include "hv/x86/boot/options.h"
#include "hv/x86/console.h"
#include "hv/x86/descriptors.h"
#include "hv/x86/extended.h"
#include "hv/x86/lapic.h"
#include "hv/x86/memory.h"
#include "hv/x86/panic.h"
#include "hv/x86/parent.h"
#include "hv/x86/release.h"
#include "hv/x86/run.h"
#include "hv/x86/smp.h"
#include "hv/x86/time.h"
#include "hv/x86/vendor.h"

#define PARENT_MINIMUM (96ull << 20)

const char *release_command_line;

static struct boot_info boot;
static struct options options;
static struct acpi_info acpi;
static struct ranges ranges;
static bool released; /* (atomic) the other LPs may run */

void boot_main(uint32_t magic, uint64_t information);

static void read_boot_info(uint32_t magic, uint64_t information)
{
    console_init(CONSOLE_PORT_COM1);
    if (!boot_info_read(&boot, magic, information))
        refuse("the boot loader does not speak Multiboot (magic %x)", magic);
    char error[OPTIONS_ERROR_SIZE];
    if (!options_parse(boot.command_line, &options, error))
        refuse("%s", error);
    console_init(options.console_port);
    log_set_console_level(options.log_level);
    log_line(LOG_INFO, "Bulkhead %s (%s)", BULKHEAD_RELEASE, BULKHEAD_BUILD);
    if (boot.error != NULL)
        refuse("%s", boot.error);
    release_command_line = boot.command_line;
}

static uint32_t count_lps(void)
{
    const char *error = acpi_read(&boot, cpu_cpuid(1, 0).ebx >> 24, &acpi);
    if (error != NULL)
        refuse("%s", error);
    const bool fewer = options.lps != 0 && options.lps < acpi.apic_count;
    const uint32_t count = fewer ? options.lps : acpi.apic_count;
    if (count > HV_MAX_LPS)
        refuse("this machine has %u processors, and %u are supported: start with lps=%u",
               acpi.apic_count, HV_MAX_LPS, HV_MAX_LPS);
    return count;
}

static void check_modules(void)
{
    struct linux_image image;
    if (boot.module_count == 0)
        refuse("no kernel was given: the first boot module must be the parent's Linux kernel");
    const char *error =
        linux_inspect((const uint8_t *)boot.module[0].base, boot.module[0].size, &image);
    if (error != NULL)
        refuse("%s", error);
}

static void check_memory(void)
{
    const uint64_t ram = ranges_ram_bytes(&ranges);
    if (ram < PARENT_MINIMUM)
        refuse("too little memory: the parent would get %lu MiB and needs at least %llu MiB",
               ram >> 20, PARENT_MINIMUM >> 20);
}

/* SMEP and SMAP; and machine checks, which would reset the machine without a word otherwise. */
static void enable_protection(void)
{
    uint64_t cr4 = cpu_read_cr4();
    if (cpu_cpuid(1, 0).edx >> 7 & 1)
        cr4 |= CR4_MCE;
    const struct cpuid_regs leaf7 =
        cpu_cpuid(0, 0).eax >= 7 ? cpu_cpuid(7, 0) : (struct cpuid_regs){0};
    if (leaf7.ebx >> 7 & 1)
        cr4 |= CR4_SMEP;
    if (leaf7.ebx >> 20 & 1)
        cr4 |= CR4_SMAP;
    cpu_write_cr4(cr4);
    extended_init_lp();
}

static void log_machine(void)
{
    log_line(LOG_INFO, "%s, %u LPs, %lu MiB of RAM for the parent, %lu KiB for the hypervisor",
             vendor->name, lp_count, ranges_ram_bytes(&ranges) >> 20,
             (memory_image.size + memory_pool.size) >> 10);
    log_line(LOG_INFO, "clock: TSC at %lu kHz%s%s", time_base.tsc_hz / 1000,
             time_base.invariant ? ", invariant" : "",
             time_base.synchronized ? "" : ", not synchronized between LPs");
}

/* Leaves the boot stack for the LP's own, which has a guard page. */
_Noreturn static void switch_stack_and_run(struct lp *lp)
{
    __asm__ volatile("mov %0, %%rsp\n\txor %%ebp, %%ebp\n\tmov %1, %%rdi\n\tcall run_loop\n\tud2"
                     :
                     : "r"(lp->stack), "r"(lp)
                     : "memory");
    __builtin_unreachable();
}

void boot_main(uint32_t magic, uint64_t information)
{
    read_boot_info(magic, information);
    const uint32_t count = count_lps();
    vendor_select();
    check_modules();
    if (!ranges_init(&ranges, &boot))
        refuse("the firmware's memory map has more entries than the hypervisor can hold");
    const uint64_t ram_end = ranges_ram_end(&ranges);
    memory_init(&ranges, &boot, options.parent_memory, count);
    check_memory();
    if (!extended_init())
        log_line(LOG_WARNING, "this processor has no XSAVE: there can be no child partitions");
    enable_protection();
    smp_init_boot_lp(&acpi, count);
    lapic_init();
    lapic_init_lp();
    time_calibrate(&acpi);
    vendor->init_lp(lp_this());
    smp_start_others(&ranges, &boot);
    acpi_hide_from_parent(&boot);

    struct linux_entry entry;
    const char *error = linux_load(&boot, &ranges, &acpi, &entry);
    if (error != NULL)
        refuse("%s", error);
    parent_create(ram_end, &entry);
    log_machine();
    memory_drop_boot_map();
    memory_load_tables();
    __atomic_store_n(&released, true, __ATOMIC_RELEASE);
    switch_stack_and_run(lp_this());
}

_Noreturn void lp_main(struct lp *lp)
{
    descriptors_load(lp);
    enable_protection();
    lapic_init_lp();
    vendor->init_lp(lp);
    time_compare_as_started();
    while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
        cpu_pause();
    memory_load_tables();
    run_loop(lp);
}
