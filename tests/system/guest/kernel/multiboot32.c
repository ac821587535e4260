/* SPDX-License-Identifier: MIT */
/* Says what a Multiboot 1 loader left, in 32-bit protected mode without paging, and ends. */
#include "tests/system/guest/kernel/port.h"

#define LOADER_MAGIC 0x2badb002u
#define CR0_PE       0x1u
#define CR0_PG       0x80000000u
#define EXIT_CODE    32

/* The part of the information structure that is looked at (Multiboot 0.6.96, section 3.3). */
struct information {
    uint32_t flags;
    uint32_t memory_lower; /* KiB */
    uint32_t memory_upper; /* KiB above 1 MiB */
    uint32_t boot_device;
    uint32_t command_line;
    uint32_t module_count;
    uint32_t modules;
};

struct module {
    uint32_t start;
    uint32_t end;
};

void kernel_main(uint32_t magic, const struct information *information);

void kernel_main(uint32_t magic, const struct information *information)
{
    const struct module *module = (const struct module *)information->modules;
    uint32_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    print(magic == LOADER_MAGIC ? "kernel multiboot\n" : "kernel of no loader\n");
    print_value("protected", (cr0 & (CR0_PE | CR0_PG)) == CR0_PE);
    print_value("memory", (uint64_t)information->memory_upper << 10);
    print("command ");
    print((const char *)information->command_line);
    print_value("\nmodules", information->module_count);
    if (information->module_count == 1) {
        print_value("module", module->end - module->start);
        print_value("archive", *(const uint32_t *)module->start);
    }
    debug_exit(EXIT_CODE);
}
