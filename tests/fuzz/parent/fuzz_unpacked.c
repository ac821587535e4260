/* SPDX-License-Identifier: MIT */
/*
 * Unpacked kernels: their ELF and the table of places to move. The first bytes
 * choose the entropy; the header of the packed kernel is a good one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parent/worker/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM       (32u << 20)
#define PREFERRED 0x1000000u

static void put(uint8_t *at, uint64_t value, size_t size)
{
    memcpy(at, &value, size);
}

static void make_packed(uint8_t *packed)
{
    packed[0x1f1] = 1;
    put(packed + 0x1fe, 0xaa55, 2);
    packed[0x201] = 0x66;
    put(packed + 0x202, 0x53726448, 4);
    put(packed + 0x206, 0x020f, 2);
    packed[0x211] = 1;
    put(packed + 0x230, 0x200000, 4);
    packed[0x236] = 1;
    put(packed + 0x238, 2047, 4);
    put(packed + 0x258, PREFERRED, 8);
    put(packed + 0x260, 0x400000, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t packed[0x800];
    struct bh_guest_memory memory;
    struct bh_boot_input input = {.kernel = {packed, sizeof(packed)}, .command_line = "quiet"};
    struct bh_boot_state state;
    struct bh_boot_error error;
    uint8_t *ram;

    if (size < sizeof(input.entropy))
        return 0;
    ram = calloc(1, RAM);
    if (ram == NULL)
        return 0;
    make_packed(packed);
    bh_guest_memory_init(&memory, ram, RAM);
    memcpy(input.entropy, data, sizeof(input.entropy));
    input.unpacked =
        (struct bh_boot_image){data + sizeof(input.entropy), size - sizeof(input.entropy)};
    if (!bh_boot_load(&memory, &input, &state, &error) || state.rip < PREFERRED || state.rip >= RAM)
        abort();
    free(ram);
    return 0;
}
