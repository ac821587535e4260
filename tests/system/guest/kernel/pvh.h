/* SPDX-License-Identifier: MIT */
/* What a PVH loader leaves (Xen's public/arch-x86/hvm/start_info.h, version 1). */
#ifndef TESTS_SYSTEM_GUEST_KERNEL_PVH_H
#define TESTS_SYSTEM_GUEST_KERNEL_PVH_H

#include <stdint.h>

#define PVH_MAGIC 0x336ec578u
#define PVH_RAM   1u

struct pvh_information {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t memory_map;
    uint32_t memory_map_entries;
    uint32_t reserved;
};
_Static_assert(sizeof(struct pvh_information) == 56, "hvm_start_info");

struct pvh_module {
    uint64_t address;
    uint64_t size;
};

struct pvh_range {
    uint64_t address;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};
_Static_assert(sizeof(struct pvh_range) == 24, "hvm_memmap_table_entry");

#endif
