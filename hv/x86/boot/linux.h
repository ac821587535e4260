/* SPDX-License-Identifier: MIT */
/*
 * Loads the parent's Linux kernel by the 64-bit boot protocol of the kernel's
 * Documentation/x86/boot.rst. Every field that is read from the image is checked
 * before it is used: a damaged kernel ends in a sentence, not in a fault.
 */
#ifndef HV_X86_BOOT_LINUX_H
#define HV_X86_BOOT_LINUX_H

#include "hv/x86/boot/acpi.h"
#include "hv/x86/boot/ranges.h"

struct linux_entry {
    uint64_t rip;
    uint64_t boot_params; /* for RSI */
    uint64_t page_tables; /* for CR3: identity map of the first 4 GiB */
    uint64_t gdt;         /* base; limit LINUX_GDT_LIMIT; CS LINUX_CS, others LINUX_DS */
};

#define LINUX_GDT_LIMIT 31
#define LINUX_CS        0x10
#define LINUX_DS        0x18

/* What the header of a kernel image says. */
struct linux_image {
    const uint8_t *kernel; /* the protected-mode part */
    uint64_t kernel_size;
    uint64_t init_size; /* memory it needs from its load address on */
    uint64_t alignment;
    uint32_t cmdline_size;
    uint32_t initrd_max;
    uint32_t setup_header_size;
};

/* NULL, or a sentence that says why these bytes are no kernel that can be started. */
const char *linux_inspect(const uint8_t *bytes, uint64_t size, struct linux_image *image);

/*
 * Places kernel, boot parameters, descriptor and page tables in the parent's RAM.
 * boot->module[0] is the kernel and its command line, module[1], if any, the initrd.
 * `ranges` is the map the parent will see. NULL or a sentence.
 */
const char *linux_load(const struct boot_info *boot, const struct ranges *ranges,
                       const struct acpi_info *acpi, struct linux_entry *entry);

#endif
