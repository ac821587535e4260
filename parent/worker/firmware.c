/* SPDX-License-Identifier: MIT */
#include "parent/worker/firmware.h"

#include "parent/worker/acpi.h"
#include "parent/worker/power.h"

#define RESET_VECTOR   0xffff0ull
#define HIGH_MMIO_SIZE (64ull << 30)

/*
 * A kernel that restarts "through the BIOS" jumps to 0xffff0 in real mode.
 * mov al, value; mov dx, port; out dx, al; hlt; jmp back to the hlt
 */
static const uint8_t reset_stub[] = {
    0xb0, BH_RESET_VALUE, 0xba, BH_RESET_PORT & 0xff, BH_RESET_PORT >> 8, 0xee, 0xf4, 0xeb, 0xfd,
};

/* The first multiple of 64 GiB above all RAM. */
static uint64_t high_mmio_base(const struct bh_guest_memory *memory)
{
    const struct bh_memory_region *last = &memory->region[memory->count - 1];

    return (last->gpa + last->size + HIGH_MMIO_SIZE - 1) & ~(HIGH_MMIO_SIZE - 1);
}

bool bh_firmware_write(const struct bh_guest_memory *memory, uint32_t vps, uint64_t *rsdp)
{
    struct bh_acpi_config config = {
        .vps = vps,
        .low_mmio_base = BH_LOW_RAM_END,
        .low_mmio_size = BH_LOW_MMIO_END + 1 - BH_LOW_RAM_END,
        .high_mmio_base = high_mmio_base(memory),
        .high_mmio_size = HIGH_MMIO_SIZE,
    };
    uint64_t size = RESET_VECTOR - BH_FIRMWARE_BASE;
    uint8_t *area = bh_guest_memory_at(memory, BH_FIRMWARE_BASE, size);

    if (area == NULL)
        return false;
    *rsdp = BH_FIRMWARE_BASE;
    return bh_acpi_build(&config, area, size, BH_FIRMWARE_BASE) != 0 &&
           bh_guest_memory_fill(memory, RESET_VECTOR, reset_stub, sizeof(reset_stub));
}
