/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor reads at boot: Multiboot information, memory maps, options, kernel images,
 * ACPI tables. The first byte of the input chooses. Whatever is read lies against the end of the
 * memory that there is; pointers in Multiboot 1 and in ACPI tables are led back into it, since no
 * reader could do anything about wrong ones.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/x86/boot/acpi.h"
#include "hv/x86/boot/linux.h"
#include "hv/x86/boot/options.h"
#include "hv/x86/boot/ranges.h"
#include "tests/unit/hv/low_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define AREA      0x20000000ull
#define AREA_SIZE 0x8000ull
#define INPUT_MAX 0x4000u
#define MB1_MAGIC 0x2badb002u
#define MB2_MAGIC 0x36d76289u

static struct boot_info info;

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* The input's bytes, in the last ones of the area but `tail` zeros. */
static uint64_t place(const uint8_t *data, size_t size, size_t tail)
{
    const uint64_t at = ALIGN_DOWN(AREA + AREA_SIZE - size - tail, 8);

    memset((void *)AREA, 0, AREA_SIZE);
    memcpy((void *)at, data, size);
    return at;
}

/* ---- memory maps ---- */

static bool overlap(const struct boot_range *a, const struct boot_range *b)
{
    return a->base < b->base + b->size && b->base < a->base + a->size;
}

static void check_ranges(const struct ranges *ranges)
{
    require(ranges->count <= RANGES_MAX);
    for (unsigned i = 0; i < ranges->count; i++) {
        const struct boot_range *range = &ranges->range[i];

        require(range->size != 0 && range->base + range->size > range->base);
        if (range->type != BOOT_RANGE_RAM) {
            continue;
        }
        require(range->base % PAGE_SIZE == 0 && range->size % PAGE_SIZE == 0);
        for (unsigned k = 0; k < ranges->count; k++) {
            require(k == i || !overlap(range, &ranges->range[k]));
        }
    }
}

static void use_ranges(const struct boot_info *boot)
{
    static struct ranges ranges;
    uint64_t base;

    if (!ranges_init(&ranges, boot)) {
        return;
    }
    check_ranges(&ranges);
    const uint64_t all = ranges_ram_bytes(&ranges);

    for (unsigned i = 0; i < boot->module_count; i++) {
        if (!ranges_retype(&ranges, boot->module[i].base, boot->module[i].size,
                           BOOT_RANGE_RESERVED)) {
            return;
        }
        check_ranges(&ranges);
    }
    require(ranges_ram_bytes(&ranges) <= all);
    if (ranges_find(&ranges, RANGES_HIGH, SIZE_2M, SIZE_2M, 0, 1ull << 32, &base)) {
        require(base % SIZE_2M == 0 && base + SIZE_2M <= 1ull << 32);
        require(ranges_find(&ranges, RANGES_LOW, SIZE_2M, SIZE_2M, 0, 1ull << 32, &base));
    }
    if (ranges_limit_ram(&ranges, all / 2, BOOT_RANGE_RESERVED)) {
        check_ranges(&ranges);
        require(ranges_ram_bytes(&ranges) <= all / 2);
    }
}

/* ---- boot information ---- */

static void use_options(const char *line)
{
    struct options options;
    char error[OPTIONS_ERROR_SIZE];

    memset(error, 'z', sizeof error);
    if (!options_parse(line, &options, error)) {
        require(memchr(error, '\0', sizeof error) != NULL && error[0] != '\0');
    }
}

static void check_info(void)
{
    require(info.range_count <= BOOT_MAX_RANGES && info.module_count <= BOOT_MAX_MODULES);
    require(memchr(info.command_line, '\0', sizeof info.command_line) != NULL);
    require(memchr(info.loader, '\0', sizeof info.loader) != NULL);
    for (unsigned i = 0; i < info.module_count; i++) {
        require(memchr(info.module[i].args, '\0', sizeof info.module[i].args) != NULL);
        require(info.module[i].base + info.module[i].size >= info.module[i].base);
    }
    use_options(info.command_line);
    use_ranges(&info);
}

static void read_mb2(const uint8_t *data, size_t size)
{
    const uint64_t at = place(data, size, 0);
    const uint64_t room = AREA + AREA_SIZE - at;

    if (size < 8) {
        return;
    }
    if (low_get(at, 4) > room) {
        low_put(at, room, 4);
    }
    memset(&info, 0, sizeof info);
    require(boot_info_read(&info, MB2_MAGIC, at));
    check_info();
}

/* Leads a 32-bit pointer to one of the bytes from `at` on, or leaves it 0. */
static void lead_back(uint64_t pointer, uint64_t at, size_t size)
{
    const uint64_t value = low_get(pointer, 4);

    low_put(pointer, value == 0 ? 0 : at + value % size, 4);
}

/* 52 bytes of information, five modules of 16, then maps and texts. */
static void read_mb1(const uint8_t *data, size_t size)
{
    enum { CMDLINE = 16, MODS = 24, MAP_LENGTH = 44, MAP = 48, MODULES = 52, REST = 132 };

    if (size <= REST) {
        return;
    }
    const uint64_t at = place(data, size, 16);

    lead_back(at + CMDLINE, at + REST, size - REST);
    low_put(at + MODS, at + MODULES, 4);
    for (unsigned i = 0; i < 5; i++) {
        lead_back(at + MODULES + 16 * i + 8, at + REST, size - REST);
    }
    low_put(at + MAP, at + REST, 4);
    low_put(at + MAP_LENGTH, low_get(at + MAP_LENGTH, 4) % (size - REST + 1), 4);
    memset(&info, 0, sizeof info);
    require(boot_info_read(&info, MB1_MAGIC, at));
    check_info();
}

/* ---- a map, a line, an image ---- */

static void read_map(const uint8_t *data, size_t size)
{
    memset(&info, 0, sizeof info);
    for (; size >= 17 && info.range_count < BOOT_MAX_RANGES; data += 17, size -= 17) {
        struct boot_range *range = &info.range[info.range_count++];

        memcpy(&range->base, data, 8);
        memcpy(&range->size, data + 8, 8);
        range->type = 1 + data[16] % 5;
    }
    use_ranges(&info);
}

static void read_line(const uint8_t *data, size_t size)
{
    char *line = calloc(1, size + 1);

    require(line != NULL);
    memcpy(line, data, size);
    use_options(line);
    free(line);
}

static void read_image(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    struct linux_image image;

    require(copy != NULL);
    memcpy(copy, data, size);
    if (linux_inspect(copy, size, &image) == NULL) {
        require(image.kernel >= copy && image.kernel + image.kernel_size == copy + size);
        require(image.setup_header_size <= 0x2d0 && image.alignment >= PAGE_SIZE);
    }
    free(copy);
}

/* ---- ACPI ---- */

enum { TABLES = 5, HEADER = 36, FADT_DSDT = 40, FADT_X_DSDT = 140 };

static void seal(uint64_t table, uint32_t length)
{
    uint8_t sum = 0;

    low_put(table + 4, length, 4);
    low_put(table + 9, 0, 1);
    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + *(const uint8_t *)(table + i));
    }
    low_put(table + 9, (uint8_t)-sum, 1);
}

/* The input is cut into tables of equal size, which an XSDT lists. */
static void read_tables(const uint8_t *data, size_t size)
{
    static const char signatures[TABLES][5] = {"APIC", "FACP", "DSDT", "SSDT", "DMAR"};
    static struct acpi_info acpi;
    const uint64_t at = place(data, size, 0);
    const uint32_t length = (uint32_t)(size / TABLES);
    const uint64_t xsdt = AREA;

    if (length < 48) {
        return;
    }
    memcpy((void *)xsdt, "XSDT", 4);
    for (unsigned i = 0; i < TABLES; i++) {
        const uint64_t table = at + i * length;

        memcpy((void *)table, signatures[i], 4);
        low_put(xsdt + HEADER + 8 * i, table, 8);
        if (i == 1 && length >= FADT_X_DSDT + 8) {
            low_put(table + FADT_X_DSDT, at + 2 * length, 8);
        }
        if (i == 1) {
            low_put(table + FADT_DSDT, at + 2 * length, 4);
        }
        seal(table, length);
    }
    seal(xsdt, HEADER + 8 * TABLES);
    memset(&info, 0, sizeof info);
    info.rsdp_size = 36;
    info.rsdp[15] = 2;
    memcpy(info.rsdp + 24, &xsdt, 8);
    if (acpi_read(&info, 0, &acpi) == NULL) {
        require(acpi.apic_count >= 1 && acpi.apic_count <= ARRAY_COUNT(acpi.apic_id));
        acpi_hide_from_parent(&info);
        require(acpi_read(&info, 0, &acpi) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const uint8_t *data, size_t size) = {
        read_mb1, read_mb2, read_map, read_line, read_image, read_tables};
    static bool mapped;

    if (size == 0 || size > INPUT_MAX) {
        return 0;
    }
    if (!mapped) {
        low_memory_map(AREA, AREA_SIZE);
        mapped = true;
    }
    readers[data[0] % ARRAY_COUNT(readers)](data + 1, size - 1);
    return 0;
}
