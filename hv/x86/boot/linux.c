/* SPDX-License-Identifier: MIT */
/* The parent's kernel: checking the image, filling boot_params. */
#include "hv/x86/boot/linux.h"

#include "hv/core/lib.h"
#include "hv/core/log.h"

/* Offsets in the image and in boot_params, which agree from SETUP_SECTS on. */
enum {
    BP_ACPI_RSDP = 0x070,
    BP_E820_COUNT = 0x1e8,
    HDR_SETUP_SECTS = 0x1f1,
    HDR_SYSSIZE = 0x1f4,
    HDR_BOOT_FLAG = 0x1fe,
    HDR_JUMP = 0x201, /* low byte of the jump: the header ends that far behind 0x202 */
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_TYPE_OF_LOADER = 0x210,
    HDR_RAMDISK_IMAGE = 0x218,
    HDR_RAMDISK_SIZE = 0x21c,
    HDR_CMDLINE_PTR = 0x228,
    HDR_INITRD_MAX = 0x22c,
    HDR_ALIGNMENT = 0x230,
    HDR_XLOADFLAGS = 0x236,
    HDR_CMDLINE_SIZE = 0x238,
    HDR_INIT_SIZE = 0x260,
    HDR_END = 0x264,
    BP_E820_TABLE = 0x2d0,
    BP_SIZE = 0x1000,
};

#define BOOT_FLAG           0xaa55u
#define HEADER_MAGIC        0x53726448u /* "HdrS" */
#define VERSION_MINIMUM     0x20cu
#define XLF_KERNEL_64       1u
#define LOADER_UNDEFINED    0xffu
#define E820_MAX            128u
#define ENTRY_64_OFFSET     0x200
#define KERNEL_FLOOR        0x1000000ull
#define LOW_FLOOR           0x10000ull
#define LOW_END             0x90000ull
#define FOUR_GIB            0x100000000ull
#define IDENTITY_PRESENT_RW 3ull
#define IDENTITY_LARGE      0x83ull

/* The low chunk: boot_params, command line, RSDP copy, GDT, then six pages of tables. */
enum {
    CHUNK_PARAMS = 0x0000,
    CHUNK_CMDLINE = 0x1000,
    CHUNK_RSDP = 0x1800,
    CHUNK_GDT = 0x1900,
    CHUNK_PML4 = 0x2000,
    CHUNK_PDPT = 0x3000,
    CHUNK_DIRECTORIES = 0x4000,
    CHUNK_SIZE = 0x8000,
};

static uint64_t get(const uint8_t *bytes, size_t offset, size_t size)
{
    return lib_load(bytes + offset, size);
}

static void put(uint64_t base, size_t offset, uint64_t value, size_t size)
{
    memcpy((uint8_t *)base + offset, &value, size);
}

/* ---- the image ---- */

static const char *check_header(const uint8_t *bytes, uint64_t size)
{
    if (size < BP_SIZE || get(bytes, HDR_BOOT_FLAG, 2) != BOOT_FLAG ||
        get(bytes, HDR_MAGIC, 4) != HEADER_MAGIC)
        return "the first boot module is not a Linux kernel image (bzImage)";
    if (get(bytes, HDR_VERSION, 2) < VERSION_MINIMUM ||
        !(get(bytes, HDR_XLOADFLAGS, 2) & XLF_KERNEL_64))
        return "the parent's kernel has no 64-bit entry: give a 64-bit bzImage of Linux 3.8 or "
               "later";
    return NULL;
}

const char *linux_inspect(const uint8_t *bytes, uint64_t size, struct linux_image *image)
{
    const char *error = check_header(bytes, size);
    if (error != NULL)
        return error;
    const uint64_t sectors = get(bytes, HDR_SETUP_SECTS, 1);
    const uint64_t setup_size = ((sectors == 0 ? 4 : sectors) + 1) * 512;
    const uint64_t kernel_size = get(bytes, HDR_SYSSIZE, 4) * 16;
    if (setup_size + kernel_size > size || kernel_size == 0)
        return "the parent's kernel image is cut short: copy it anew";
    image->kernel = bytes + setup_size;
    image->kernel_size = size - setup_size;
    image->init_size = get(bytes, HDR_INIT_SIZE, 4);
    image->alignment = get(bytes, HDR_ALIGNMENT, 4);
    image->cmdline_size = (uint32_t)get(bytes, HDR_CMDLINE_SIZE, 4);
    image->initrd_max = (uint32_t)get(bytes, HDR_INITRD_MAX, 4);
    image->setup_header_size = HDR_MAGIC + (uint32_t)get(bytes, HDR_JUMP, 1);
    const bool aligned =
        image->alignment >= PAGE_SIZE && (image->alignment & (image->alignment - 1)) == 0;
    if (!aligned || image->init_size < kernel_size || image->setup_header_size < HDR_END ||
        image->setup_header_size > BP_E820_TABLE)
        return "the header of the parent's kernel image is damaged";
    return NULL;
}

/* ---- what the kernel finds ---- */

static void fill_page_tables(uint64_t chunk)
{
    put(chunk, CHUNK_PML4, (chunk + CHUNK_PDPT) | IDENTITY_PRESENT_RW, 8);
    for (uint64_t gib = 0; gib < 4; gib++) {
        const uint64_t directory = chunk + CHUNK_DIRECTORIES + gib * PAGE_SIZE;
        put(chunk, CHUNK_PDPT + gib * 8, directory | IDENTITY_PRESENT_RW, 8);
        for (uint64_t i = 0; i < 512; i++)
            put(directory, i * 8, (gib * SIZE_1G + i * SIZE_2M) | IDENTITY_LARGE, 8);
    }
}

static void fill_e820(uint64_t params, const struct ranges *ranges)
{
    const unsigned count = ranges->count < E820_MAX ? ranges->count : E820_MAX;
    if (count < ranges->count)
        log_line(LOG_WARNING,
                 "the parent is told %u of the %u entries of the memory map: it uses less memory",
                 count, ranges->count);
    put(params, BP_E820_COUNT, count, 1);
    for (unsigned i = 0; i < count; i++) {
        const size_t at = BP_E820_TABLE + i * 20;
        put(params, at, ranges->range[i].base, 8);
        put(params, at + 8, ranges->range[i].size, 8);
        put(params, at + 16, ranges->range[i].type, 4);
    }
}

static uint64_t place_rsdp(uint64_t chunk, const struct boot_info *boot,
                           const struct acpi_info *acpi)
{
    if (boot->rsdp_size == 0)
        return acpi->rsdp;
    memcpy((void *)(chunk + CHUNK_RSDP), boot->rsdp, boot->rsdp_size);
    return chunk + CHUNK_RSDP;
}

/* BIOS text mode, which the loader leaves behind unless the firmware is UEFI. */
static void fill_screen(uint64_t params)
{
    enum { MODE = 0x06, COLUMNS = 0x07, EGA_BX = 0x0a, LINES = 0x0e, IS_VGA = 0x0f, POINTS = 0x10 };
    put(params, MODE, 3, 1);
    put(params, COLUMNS, 80, 1);
    put(params, EGA_BX, 3, 2);
    put(params, LINES, 25, 1);
    put(params, IS_VGA, 1, 1);
    put(params, POINTS, 16, 2);
}

static const char *fill_initrd(uint64_t params, const struct boot_info *boot,
                               const struct linux_image *image)
{
    if (boot->module_count < 2)
        return NULL;
    const struct boot_module *initrd = &boot->module[1];
    if (initrd->base + initrd->size > image->initrd_max)
        return "the boot loader placed the initrd too high for the parent's kernel";
    put(params, HDR_RAMDISK_IMAGE, initrd->base, 4);
    put(params, HDR_RAMDISK_SIZE, initrd->size, 4);
    return NULL;
}

static const char *fill_params(uint64_t chunk, const struct boot_info *boot,
                               const struct ranges *ranges, const struct acpi_info *acpi,
                               const struct linux_image *image)
{
    const uint8_t *bytes = (const uint8_t *)boot->module[0].base;
    const uint64_t params = chunk + CHUNK_PARAMS;
    const char *args = boot->module[0].args;
    size_t length = 0;
    while (args[length] != '\0')
        length++;
    if (length > image->cmdline_size || length >= CHUNK_RSDP - CHUNK_CMDLINE)
        return "the parent's command line is too long for its kernel";

    memset((void *)chunk, 0, CHUNK_SIZE);
    memcpy((void *)(params + HDR_SETUP_SECTS), bytes + HDR_SETUP_SECTS,
           image->setup_header_size - HDR_SETUP_SECTS);
    memcpy((void *)(chunk + CHUNK_CMDLINE), args, length);
    put(params, HDR_TYPE_OF_LOADER, LOADER_UNDEFINED, 1);
    put(params, HDR_CMDLINE_PTR, chunk + CHUNK_CMDLINE, 4);
    put(params, BP_ACPI_RSDP, place_rsdp(chunk, boot, acpi), 8);
    if (!boot->efi)
        fill_screen(params);
    fill_e820(params, ranges);
    return fill_initrd(params, boot, image);
}

const char *linux_load(const struct boot_info *boot, const struct ranges *ranges,
                       const struct acpi_info *acpi, struct linux_entry *entry)
{
    struct linux_image image;
    const char *error =
        linux_inspect((const uint8_t *)boot->module[0].base, boot->module[0].size, &image);
    if (error != NULL)
        return error;

    struct ranges free = *ranges;
    uint64_t load, chunk;
    const uint64_t need = image.init_size > image.kernel_size ? image.init_size : image.kernel_size;
    if (!ranges_reserve_modules(&free, boot) ||
        !ranges_find(&free, RANGES_LOW, CHUNK_SIZE, PAGE_SIZE, LOW_FLOOR, LOW_END, &chunk))
        return "too little memory: no 32 KiB below 576 KiB for the parent's boot parameters";
    if (!ranges_find(&free, RANGES_LOW, need, image.alignment, KERNEL_FLOOR, FOUR_GIB, &load))
        return "too little memory: the parent's kernel does not fit; give the machine more, or "
               "raise parent_memory=";

    memcpy((void *)load, image.kernel, image.kernel_size);
    error = fill_params(chunk, boot, ranges, acpi, &image);
    if (error != NULL)
        return error;
    fill_page_tables(chunk);
    put(chunk, CHUNK_GDT + LINUX_CS, 0x00af9b000000ffff, 8);
    put(chunk, CHUNK_GDT + LINUX_DS, 0x00cf93000000ffff, 8);
    log_line(LOG_INFO, "parent: kernel of %lu KiB at %lx, initrd of %lu KiB",
             image.kernel_size >> 10, load,
             boot->module_count > 1 ? boot->module[1].size >> 10 : 0);
    *entry = (struct linux_entry){load + ENTRY_64_OFFSET, chunk + CHUNK_PARAMS, chunk + CHUNK_PML4,
                                  chunk + CHUNK_GDT};
    return NULL;
}
