/* SPDX-License-Identifier: MIT */
/* A Linux bzImage by the 64-bit boot protocol (the kernel's Documentation/arch/x86/boot.rst). */
#include <string.h>

#include "parent/worker/boot_parts.h"

/* Offsets in the image's first sectors, and in boot_params. */
#define HDR_START         0x1f1u
#define HDR_SETUP_SECTS   0x1f1u
#define HDR_BOOT_FLAG     0x1feu
#define HDR_JUMP_LENGTH   0x201u
#define HDR_MAGIC         0x202u
#define HDR_VERSION       0x206u
#define HDR_LOADER        0x210u
#define HDR_LOADFLAGS     0x211u
#define HDR_RAMDISK       0x218u
#define HDR_RAMDISK_SIZE  0x21cu
#define HDR_CMD_LINE      0x228u
#define HDR_INITRD_MAX    0x22cu
#define HDR_ALIGNMENT     0x230u
#define HDR_XLOADFLAGS    0x236u
#define HDR_CMDLINE_SIZE  0x238u
#define HDR_PREF_ADDRESS  0x258u
#define HDR_INIT_SIZE     0x260u
#define HDR_END           0x264u
#define PARAMS_RSDP       0x070u
#define PARAMS_E820_COUNT 0x1e8u
#define PARAMS_E820_TABLE 0x2d0u
#define PARAMS_SIZE       4096u

#define MAGIC_HDRS         0x53726448u
#define BOOT_FLAG          0xaa55u
#define VERSION_MIN        0x020cu /* the first with a 64-bit entry */
#define XLF_KERNEL_64      0x1u
#define LOADED_HIGH        0x1u
#define KASLR_FLAG         0x2u
#define LOADER_UNDEFINED   0xffu
#define ENTRY_64           0x200u
#define SECTOR             512u
#define SETUP_SECTS_WHEN_0 4u

static uint64_t get(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, at, size);
    return value;
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    memcpy(at, &value, size);
}

bool bh_boot_is_linux(const struct bh_boot_image *image)
{
    return image->size >= HDR_END && get(image->data + HDR_BOOT_FLAG, 2) == BOOT_FLAG &&
           get(image->data + HDR_MAGIC, 4) == MAGIC_HDRS;
}

/* Where the protected-mode part begins in the file. */
static size_t payload_offset(const uint8_t *image)
{
    size_t sectors = image[HDR_SETUP_SECTS];

    return ((sectors != 0 ? sectors : SETUP_SECTS_WHEN_0) + 1) * SECTOR;
}

static bool check_header(const struct bh_boot_image *image, struct bh_boot_error *error)
{
    const uint8_t *data = image->data;
    unsigned version = (unsigned)get(data + HDR_VERSION, 2);

    if (version < VERSION_MIN || (get(data + HDR_XLOADFLAGS, 2) & XLF_KERNEL_64) == 0)
        return bh_boot_refuse(error,
                              "The bzImage has no 64-bit entry (boot protocol %u.%u); use a 64-bit "
                              "kernel.",
                              version >> 8, version & 0xff);
    if ((data[HDR_LOADFLAGS] & LOADED_HIGH) == 0)
        return bh_boot_refuse(error, "The kernel is a zImage; use a bzImage.");
    if (payload_offset(data) >= image->size)
        return bh_boot_refuse(error, "The bzImage is cut off: it ends before its kernel begins.");
    return true;
}

/* Finds room where the kernel wants to lie: *load, and *size of what it needs to unpack itself. */
static bool find_room(const struct bh_guest_memory *memory, const struct bh_boot_image *image,
                      uint64_t *load, uint64_t *size, struct bh_boot_error *error)
{
    uint64_t payload = image->size - payload_offset(image->data);

    *load = get(image->data + HDR_PREF_ADDRESS, 8);
    *size = get(image->data + HDR_INIT_SIZE, 4);
    if (*size < payload)
        *size = payload;
    if (*load < BH_BOOT_LOW_END || bh_guest_memory_at(memory, *load, *size) == NULL ||
        *load + *size > memory->region[0].size)
        return bh_boot_refuse(error,
                              "The kernel needs %llu MiB from address 0x%llx on; give the VM more "
                              "memory.",
                              (unsigned long long)(*size >> 20) + 1, (unsigned long long)*load);
    return true;
}

/* The option as a word of its own. */
static bool has_option(const char *command_line, const char *option)
{
    size_t length = strlen(option);
    const char *at = command_line;

    while ((at = strstr(at, option)) != NULL) {
        bool begins = at == command_line || at[-1] == ' ';

        at += length;
        if (begins && (*at == ' ' || *at == '\0'))
            return true;
    }
    return false;
}

/* Loads the unpacked kernel somewhere in the room; false when there is none that can be used. */
static bool load_unpacked(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                          const struct bh_unpacked_room *room, uint8_t *params,
                          struct bh_boot_state *state)
{
    bool fixed = has_option(input->command_line, "nokaslr");
    struct bh_unpacked_placement placement;
    struct bh_unpacked kernel;

    if (input->unpacked.size == 0 || !bh_unpacked_read(&input->unpacked, &kernel) ||
        !bh_unpacked_place(&kernel, room, input->entropy, &placement))
        return false;
    if (fixed)
        placement = (struct bh_unpacked_placement){.load = room->first};
    else
        params[HDR_LOADFLAGS] |= KASLR_FLAG; /* its other random places follow this */
    bh_unpacked_load(memory, &input->unpacked, &kernel, &placement);
    state->rip = placement.load + (kernel.entry - kernel.low);
    return true;
}

static void fill_params(const struct bh_guest_memory *memory, uint8_t *params,
                        const struct bh_boot_input *input, uint64_t initrd)
{
    const uint8_t *image = input->kernel.data;
    size_t header_end = HDR_MAGIC + image[HDR_JUMP_LENGTH];
    struct bh_e820_entry map[BH_E820_MAX];
    unsigned count = bh_guest_memory_e820(memory, map);

    memset(params, 0, PARAMS_SIZE);
    memcpy(params + HDR_START, image + HDR_START, header_end - HDR_START);
    put(params + PARAMS_RSDP, input->rsdp, 8);
    params[HDR_LOADER] = LOADER_UNDEFINED;
    put(params + HDR_RAMDISK, initrd, 4);
    put(params + HDR_RAMDISK_SIZE, input->initrd.size, 4);
    put(params + HDR_CMD_LINE, BH_BOOT_COMMAND_LINE, 4);
    params[PARAMS_E820_COUNT] = (uint8_t)count;
    memcpy(params + PARAMS_E820_TABLE, map, count * sizeof(map[0]));
}

bool bh_boot_linux(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                   struct bh_boot_state *state, struct bh_boot_error *error)
{
    const uint8_t *image = input->kernel.data;
    uint8_t *params = bh_guest_memory_at(memory, BH_BOOT_INFO, PARAMS_SIZE);
    struct bh_unpacked_room room = {0};
    size_t offset;
    uint64_t initrd;

    if (params == NULL)
        return bh_boot_refuse(error, "The VM has no memory.");
    if (!check_header(&input->kernel, error) ||
        !find_room(memory, &input->kernel, &room.first, &room.size, error) ||
        !bh_boot_command_line(memory, input->command_line, get(image + HDR_CMDLINE_SIZE, 4),
                              error) ||
        !bh_boot_place_initrd(memory, &input->initrd, room.first + room.size,
                              get(image + HDR_INITRD_MAX, 4) + 1, &initrd, error))
        return false;
    fill_params(memory, params, input, initrd);
    bh_boot_enter_long(memory, state);
    state->kind = BH_BOOT_LINUX;
    state->rsi = BH_BOOT_INFO;
    room.end = initrd != 0 ? initrd : memory->region[0].size;
    room.alignment = get(image + HDR_ALIGNMENT, 4);
    if (load_unpacked(memory, input, &room, params, state))
        return true;
    offset = payload_offset(image);
    state->rip = room.first + ENTRY_64;
    return bh_guest_memory_fill(memory, room.first, image + offset, input->kernel.size - offset);
}
