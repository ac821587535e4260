/* SPDX-License-Identifier: MIT */
/*
 * The little of ACPI that the hypervisor needs: which processors there are,
 * where the power-management timer is, and what the parent must not see.
 * Used at boot only, while the first 4 GiB are mapped one to one.
 */
#ifndef HV_X86_BOOT_ACPI_H
#define HV_X86_BOOT_ACPI_H

#include "hv/x86/boot/boot_info.h"

struct acpi_info {
    uint64_t rsdp; /* address of the pointer found in memory, 0 if the loader gave a copy */
    uint32_t apic_id[1024]; /* enabled processors, boot processor first */
    unsigned apic_count;
    uint16_t pm_timer_port;
    bool pm_timer_32bit;
};

/* NULL, or a sentence that says what is missing. */
const char *acpi_read(const struct boot_info *boot, uint32_t boot_apic_id, struct acpi_info *acpi);

/*
 * Takes from the parent's view what it must not use: the IOMMU tables (DMAR,
 * IVRS), which would change how interrupts are routed under the hypervisor, and
 * the sleep states S3 and S4, from which it would not come back.
 */
void acpi_hide_from_parent(const struct boot_info *boot);

#endif
