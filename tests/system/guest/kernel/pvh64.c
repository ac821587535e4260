/* SPDX-License-Identifier: MIT */
/* Says what a PVH loader left, from long mode, and ends. */
#include "tests/system/guest/kernel/port.h"
#include "tests/system/guest/kernel/pvh.h"

#define RSDP_SIGNATURE 0x2052545020445352ull /* "RSD PTR " */
#define EXIT_CODE      64

void kernel_main(const struct pvh_information *information);

static uint64_t count_ram(const struct pvh_information *information)
{
    const struct pvh_range *range = (const struct pvh_range *)information->memory_map;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < information->memory_map_entries; i++)
        sum += range[i].type == PVH_RAM ? range[i].size : 0;
    return sum;
}

void kernel_main(const struct pvh_information *information)
{
    const struct pvh_module *module = (const struct pvh_module *)information->modules;

    print(information->magic == PVH_MAGIC ? "kernel pvh\n" : "kernel of no loader\n");
    print_value("rsdp", *(const uint64_t *)information->rsdp == RSDP_SIGNATURE);
    print_value("memory", count_ram(information));
    print("command ");
    print((const char *)information->command_line);
    print_value("\nmodules", information->module_count);
    if (information->module_count == 1) {
        print_value("module", module->size);
        print_value("archive", *(const uint32_t *)module->address);
    }
    debug_exit(EXIT_CODE);
}
