/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables of a child: hardware-reduced, local APICs and one I/O APIC,
 * a VMBus device with its windows of MMIO, one serial port. No sleep states but
 * power-off, no PCI, no legacy devices.
 */
#ifndef PARENT_WORKER_ACPI_H
#define PARENT_WORKER_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_SERIAL_BASE 0x3f8u
#define BH_SERIAL_IRQ  4u

#define BH_LOCAL_APIC_BASE 0xfee00000u

struct bh_acpi_config {
    uint32_t vps; /* VP n has APIC id n */
    uint64_t low_mmio_base;
    uint64_t low_mmio_size;
    uint64_t high_mmio_base;
    uint64_t high_mmio_size;
};

/*
 * Builds all tables in `area`, which the guest sees at `gpa` (16-byte aligned).
 * The RSDP is first. Returns the bytes used, 0 when they do not fit.
 */
size_t bh_acpi_build(const struct bh_acpi_config *config, uint8_t *area, size_t size, uint64_t gpa);

#endif
