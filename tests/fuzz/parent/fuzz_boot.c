/* SPDX-License-Identifier: MIT */
/* Kernel images of all three kinds. The first two bytes choose the size of RAM and an initrd. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parent/worker/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_MAX (20u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t initrd[4096];
    struct bh_guest_memory memory;
    struct bh_boot_input input = {.command_line = "quiet", .rsdp = 0xe0000};
    struct bh_boot_state state;
    struct bh_boot_error error;
    uint64_t ram_size;
    uint8_t *ram;

    if (size < 2)
        return 0;
    ram_size = (1u + data[0] % 10u) * (2u << 20);
    ram = calloc(1, ram_size);
    if (ram == NULL)
        return 0;
    bh_guest_memory_init(&memory, ram, ram_size);
    input.kernel = (struct bh_boot_image){data + 2, size - 2};
    input.initrd = (struct bh_boot_image){initrd, data[1] % 2 != 0 ? sizeof(initrd) : 0};
    if (!bh_boot_load(&memory, &input, &state, &error) && strlen(error.text) == 0)
        abort();
    free(ram);
    return 0;
}
