/* SPDX-License-Identifier: MIT */
/* Instructions of a hostile guest. First byte: the mode; eight more: registers; then the bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parent/worker/mmio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GPA 0xfec00000u

static uint64_t cell_read(void *context, uint64_t offset, unsigned size)
{
    if (offset + size > 16)
        abort();
    return *(const uint64_t *)context;
}

static void cell_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset + size > 16 || (size < 8 && value >> 8 * size != 0))
        abort();
    *(uint64_t *)context = value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t cell = 0x0123456789abcdef;
    struct bh_bus_device device = {cell_read, cell_write, &cell};
    struct bh_bus bus = {0};
    struct bh_mmio_cpu cpu = {.rip = 0x1000, .rflags = 2};
    struct bh_mmio_cpu before;
    enum bh_mmio_status status;

    if (size < 9 || size > 9 + 16 || !bh_bus_add(&bus, GPA, 16, &device))
        return 0;
    cpu.long_mode = (data[0] & 1) != 0;
    cpu.code_32 = (data[0] & 2) != 0;
    for (unsigned i = 0; i < 16; i++)
        memcpy(&cpu.general[i], data + 1, 8);
    before = cpu;
    status = bh_mmio_emulate(&cpu, data + 9, size - 9, GPA + (data[0] >> 4), &bus);
    if (status != BH_MMIO_DONE && memcmp(&before, &cpu, sizeof(cpu)) != 0)
        abort();
    if (status == BH_MMIO_DONE && cpu.rip - before.rip > 15)
        abort();
    return 0;
}
