/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader told us, copied out of its memory into one form,
 * whichever of the Multiboot versions it spoke.
 */
#ifndef HV_X86_BOOT_BOOT_INFO_H
#define HV_X86_BOOT_BOOT_INFO_H

#include "hv/core/types.h"

#define BOOT_MAX_RANGES   128
#define BOOT_MAX_MODULES  4
#define BOOT_CMDLINE_SIZE 2048

enum boot_range_type {
    BOOT_RANGE_RAM = 1, /* values of the E820 interface */
    BOOT_RANGE_RESERVED = 2,
    BOOT_RANGE_ACPI = 3,
    BOOT_RANGE_ACPI_NVS = 4,
    BOOT_RANGE_BAD = 5,
};

struct boot_range {
    uint64_t base;
    uint64_t size;
    uint32_t type;
};

struct boot_module {
    uint64_t base;
    uint64_t size;
    char args[BOOT_CMDLINE_SIZE]; /* text behind the file name */
};

struct boot_info {
    char command_line[BOOT_CMDLINE_SIZE];
    char loader[64];
    struct boot_range range[BOOT_MAX_RANGES];
    unsigned range_count;
    struct boot_module module[BOOT_MAX_MODULES];
    unsigned module_count;
    const char *error;  /* NULL or a sentence */
    uint8_t rsdp[36];   /* copy, if the loader gave one */
    unsigned rsdp_size; /* 0, 20 or 36 */
    bool efi;           /* started by UEFI firmware */
};

/* Reads the loader's information at `address` (below 4 GiB, mapped one to one). False: unknown
 * magic. */
bool boot_info_read(struct boot_info *info, uint32_t magic, uint64_t address);

#endif
