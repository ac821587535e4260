/* SPDX-License-Identifier: MIT */
/* The parent's kernel image: damaged headers, and what a good one finds when it starts. */
#include "hv/core/log.h"
#include "hv/x86/boot/linux.h"

#include <string.h>

#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/low_memory.h"
#include "tests/unit/hv/unit.h"

#define LOW       0x10000ull /* the parent's RAM below 576 KiB */
#define LOW_SIZE  0x80000ull
#define HIGH      0x1000000ull /* where kernels go */
#define HIGH_SIZE 0x800000ull
#define FILES     0x30000000ull /* where the loader put the modules */
#define FILE_SIZE 0x20000ull
#define INITRD    (FILES + FILE_SIZE)
#define SETUP     (5 * 512ull) /* 4 sectors and the boot sector */

static uint8_t image[FILE_SIZE];
static struct boot_info boot;
static struct ranges ranges;
static const struct acpi_info acpi = {.rsdp = 0xf5a30};

static void field(size_t offset, uint64_t value, size_t size)
{
    memcpy(image + offset, &value, size);
}

/* Like the header of Linux 6.1's bzImage. */
static int setup(void **state)
{
    (void)state;
    memset(image, 0x90, sizeof image);
    memset(image, 0, 0x1000);
    field(0x1f1, 4, 1);
    field(0x1f4, (sizeof image - SETUP) / 16, 4);
    field(0x1fe, 0xaa55, 2);
    field(0x200, 0x6aeb, 2);
    field(0x202, 0x53726448, 4);
    field(0x206, 0x20f, 2);
    field(0x22c, 0x7fffffff, 4);
    field(0x230, 0x200000, 4);
    field(0x236, 0x7f, 2);
    field(0x238, 2047, 4);
    field(0x260, 0x300000, 4);
    return 0;
}

static const char *inspect(uint64_t size)
{
    struct linux_image out;

    return linux_inspect(image, size, &out);
}

static void refused(const char *word)
{
    const char *sentence = inspect(sizeof image);

    assert_non_null(sentence);
    if (strstr(sentence, word) == NULL) {
        fail_msg("\"%s\" does not say '%s'", sentence, word);
    }
    assert_int_equal(setup(NULL), 0);
    assert_null(inspect(sizeof image));
}

/* ---- the header ---- */

static void test_good_header(void **state)
{
    (void)state;
    struct linux_image out;

    assert_null(linux_inspect(image, sizeof image, &out));
    assert_ptr_equal(out.kernel, image + SETUP);
    assert_int_equal(out.kernel_size, sizeof image - SETUP);
    assert_int_equal(out.init_size, 0x300000);
    assert_int_equal(out.alignment, 0x200000);
    assert_int_equal(out.cmdline_size, 2047);
    assert_int_equal(out.initrd_max, 0x7fffffff);
    assert_int_equal(out.setup_header_size, 0x202 + 0x6a);
    field(0x1f1, 0, 1); /* stands for 4 */
    assert_null(linux_inspect(image, sizeof image, &out));
    assert_ptr_equal(out.kernel, image + SETUP);
}

static void test_not_a_kernel(void **state)
{
    (void)state;
    field(0x1fe, 0xaa54, 2);
    refused("not a Linux kernel image");
    field(0x202, 0, 4);
    refused("not a Linux kernel image");
    memset(image, 0, sizeof image);
    refused("not a Linux kernel image");
    memset(image, 0xff, sizeof image);
    refused("not a Linux kernel image");
    field(0, 0x8b1f, 2); /* compressed */
    memset(image + 2, 0xaa, sizeof image - 2);
    refused("not a Linux kernel image");
}

/* However short the file is, nothing behind its end is read (ASan). */
static void test_cut_short(void **state)
{
    (void)state;
    struct linux_image out;

    for (size_t size = 0; size < sizeof image; size += size < 0x1100 ? 1 : 4096) {
        uint8_t *file = test_malloc(size + 1);

        memcpy(file, image, size);
        const char *sentence = linux_inspect(file, size, &out);

        test_free(file);
        assert_non_null(sentence);
    }
    assert_non_null(strstr(inspect(0x8000), "cut short"));
    assert_non_null(strstr(inspect(sizeof image - 16), "cut short"));
    field(0x1f1, 255, 1);
    refused("cut short");
    field(0x1f4, 0xffffffff, 4);
    refused("cut short");
    field(0x1f4, 0, 4);
    refused("cut short");
}

static void test_old_or_32_bit(void **state)
{
    (void)state;
    field(0x206, 0x20b, 2);
    refused("64-bit");
    field(0x206, 0, 2);
    refused("64-bit");
    field(0x236, 0x7e, 2);
    refused("64-bit");
}

static void test_damaged_fields(void **state)
{
    (void)state;
    static const uint64_t alignments[] = {0, 1, 0x800, 0x1001, 0x201000, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_COUNT(alignments); i++) {
        field(0x230, alignments[i], 4);
        refused("damaged");
    }
    field(0x260, 0, 4); /* needs less memory than its own size */
    refused("damaged");
    field(0x260, 0x1000, 4);
    refused("damaged");
    field(0x201, 0x61, 1); /* header too short for what it must have */
    refused("damaged");
    field(0x201, 0xff, 1); /* runs into the memory map's place */
    refused("damaged");
    field(0x201, 0xce, 1);
    assert_null(inspect(sizeof image));
    field(0x201, 0xcf, 1);
    refused("damaged");
}

/* ---- loading ---- */

static int setup_machine(void **state)
{
    setup(state);
    low_memory_map(LOW, LOW_SIZE);
    low_memory_map(HIGH, HIGH_SIZE);
    low_memory_map(FILES, 2 * FILE_SIZE);
    memcpy((void *)FILES, image, sizeof image);
    memset(&boot, 0, sizeof boot);
    boot.range[0] = (struct boot_range){0, 0x9fc00, BOOT_RANGE_RAM};
    boot.range[1] = (struct boot_range){0x9fc00, 0x400, BOOT_RANGE_RESERVED};
    boot.range[2] = (struct boot_range){0x100000, HIGH + HIGH_SIZE - 0x100000, BOOT_RANGE_RAM};
    boot.range[3] = (struct boot_range){FILES, 2 * FILE_SIZE, BOOT_RANGE_RAM};
    boot.range_count = 4;
    boot.module_count = 2;
    boot.module[0].base = FILES;
    boot.module[0].size = FILE_SIZE;
    strcpy(boot.module[0].args, "console=ttyS0 root=/dev/vda");
    boot.module[1].base = INITRD;
    boot.module[1].size = 0x1234;
    assert_true(ranges_init(&ranges, &boot));
    return 0;
}

static int teardown_machine(void **state)
{
    (void)state;
    low_memory_unmap(LOW, LOW_SIZE);
    low_memory_unmap(HIGH, HIGH_SIZE);
    low_memory_unmap(FILES, 2 * FILE_SIZE);
    return 0;
}

static struct linux_entry load(void)
{
    struct linux_entry entry = {0};
    const char *error = linux_load(&boot, &ranges, &acpi, &entry);

    if (error != NULL) {
        fail_msg("%s", error);
    }
    return entry;
}

static void test_load(void **state)
{
    (void)state;
    const struct linux_entry entry = load();
    const uint64_t params = entry.boot_params;
    const uint64_t kernel = entry.rip - 0x200;

    assert_int_equal(kernel % 0x200000, 0);
    assert_true(kernel >= HIGH);
    assert_memory_equal((const void *)kernel, image + SETUP, sizeof image - SETUP);
    assert_int_equal(low_get(params + 0x202, 4), 0x53726448);
    assert_int_equal(low_get(params + 0x210, 1), 0xff);
    assert_string_equal((const char *)low_get(params + 0x228, 4), "console=ttyS0 root=/dev/vda");
    assert_int_equal(low_get(params + 0x218, 4), INITRD);
    assert_int_equal(low_get(params + 0x21c, 4), 0x1234);
    assert_int_equal(low_get(params + 0x070, 8), acpi.rsdp);
    assert_int_equal(low_get(params + 0x1c0, 4), 0); /* no EFI loader signature */
    assert_int_equal(low_get(params + 0x1e8, 1), ranges.count);
    for (unsigned i = 0; i < ranges.count; i++) {
        assert_int_equal(low_get(params + 0x2d0 + i * 20ull, 8), ranges.range[i].base);
        assert_int_equal(low_get(params + 0x2d8 + i * 20ull, 8), ranges.range[i].size);
        assert_int_equal(low_get(params + 0x2e0 + i * 20ull, 4), ranges.range[i].type);
    }
    assert_int_equal(low_get(params + 0x07, 1), 80); /* a text screen */
}

/* More than boot_params can hold: the lowest are told, and a word of it is on the console. */
static void test_load_long_memory_map(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 70; i++) {
        const uint64_t base = HIGH + HIGH_SIZE / 2 + i * 0x2000;

        assert_true(ranges_retype(&ranges, base, 0x1000, BOOT_RANGE_RESERVED));
    }
    assert_true(ranges.count > 128);
    log_set_console_level(LOG_WARNING);
    const struct linux_entry entry = load();

    assert_int_equal(low_get(entry.boot_params + 0x1e8, 1), 128);
    assert_non_null(strstr(host.console, "128 of the"));
}

/* Where an address leads in the tables that the kernel starts on. */
static uint64_t translate(uint64_t root, uint64_t address)
{
    uint64_t entry = low_get(root + (address >> 39 & 511) * 8, 8);

    assert_int_equal(entry & 3, 3);
    entry = low_get((entry & ~0xfffull) + (address >> 30 & 511) * 8, 8);
    assert_int_equal(entry & 3, 3);
    entry = low_get((entry & ~0xfffull) + (address >> 21 & 511) * 8, 8);
    assert_int_equal(entry & 0x83, 0x83);
    return (entry & ~0x1fffffull) | (address & 0x1fffff);
}

static void test_load_tables(void **state)
{
    (void)state;
    const struct linux_entry entry = load();

    for (uint64_t address = 0; address < 0x100000000; address += 0x12345678) {
        assert_int_equal(translate(entry.page_tables, address), address);
    }
    assert_int_equal(translate(entry.page_tables, 0xffffffff), 0xffffffff);
    assert_int_equal(low_get(entry.gdt + LINUX_CS, 8), 0x00af9b000000ffff);
    assert_int_equal(low_get(entry.gdt + LINUX_DS, 8), 0x00cf93000000ffff);
    assert_true(LINUX_GDT_LIMIT >= LINUX_DS + 7);
}

static void test_load_rsdp_copy(void **state)
{
    (void)state;
    boot.rsdp_size = 36;
    memcpy(boot.rsdp, "RSD PTR copied by the boot loader...", 36);
    boot.efi = true;
    const struct linux_entry entry = load();
    const uint64_t rsdp = low_get(entry.boot_params + 0x070, 8);

    assert_in_range(rsdp, LOW, LOW + LOW_SIZE - 36);
    assert_memory_equal((const void *)rsdp, boot.rsdp, 36);
    assert_int_equal(low_get(entry.boot_params + 0x07, 1), 0); /* no text screen */
}

static void test_load_without_initrd(void **state)
{
    (void)state;
    boot.module_count = 1;
    const struct linux_entry entry = load();

    assert_int_equal(low_get(entry.boot_params + 0x218, 8), 0);
}

/* Modules where the kernel or its parameters would go are stepped around. */
static void test_load_around_modules(void **state)
{
    (void)state;
    const struct linux_entry before = load();

    boot.module[2].base = before.rip - 0x200;
    boot.module[2].size = 0x1000;
    boot.module[3].base = before.boot_params;
    boot.module[3].size = 1;
    boot.module_count = 4;
    const struct linux_entry after = load();

    assert_true(after.rip - 0x200 >= boot.module[2].base + 0x1000);
    assert_true(after.boot_params > before.boot_params);
}

static void load_refused(const char *word)
{
    struct linux_entry entry;
    const char *sentence = linux_load(&boot, &ranges, &acpi, &entry);

    assert_non_null(sentence);
    if (strstr(sentence, word) == NULL) {
        fail_msg("\"%s\" does not say '%s'", sentence, word);
    }
}

static void test_load_refusals(void **state)
{
    (void)state;
    memset(boot.module[0].args, 'x', BOOT_CMDLINE_SIZE - 1);
    const struct linux_entry longest = load();

    assert_string_equal((const char *)low_get(longest.boot_params + 0x228, 4), boot.module[0].args);
    low_put(FILES + 0x238, BOOT_CMDLINE_SIZE - 2, 4);
    load_refused("command line is too long");
    low_put(FILES + 0x238, 10, 4);
    strcpy(boot.module[0].args, "12345678901");
    load_refused("command line is too long");
    strcpy(boot.module[0].args, "1234567890");
    (void)load();
    boot.module[1].base = 0x80000000 - 0x1000;
    load_refused("initrd too high");
    boot.module[1].base = INITRD;
    low_put(FILES + 0x260, 0x40000000, 4);
    load_refused("does not fit");
    low_put(FILES + 0x260, 0x300000, 4);
    assert_true(ranges_retype(&ranges, 0, 0x90000, BOOT_RANGE_RESERVED));
    load_refused("below 576 KiB");
    low_put(FILES + 0x202, 0, 4);
    load_refused("not a Linux kernel image");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_machine, teardown_machine)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good_header, setup),
        cmocka_unit_test_setup(test_not_a_kernel, setup),
        cmocka_unit_test_setup(test_cut_short, setup),
        cmocka_unit_test_setup(test_old_or_32_bit, setup),
        cmocka_unit_test_setup(test_damaged_fields, setup),
        TEST(test_load),
        TEST(test_load_long_memory_map),
        TEST(test_load_tables),
        TEST(test_load_rsdp_copy),
        TEST(test_load_without_initrd),
        TEST(test_load_around_modules),
        TEST(test_load_refusals),
    };

    return cmocka_run_group_tests_name("linux", tests, NULL, NULL);
}
