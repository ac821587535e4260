/* SPDX-License-Identifier: MIT */
/* Multiboot 1 and 2 information: what loaders pass on, and what no loader should. */
#include "hv/x86/boot/boot_info.h"

#include <string.h>

#include "tests/unit/hv/low_memory.h"
#include "tests/unit/hv/unit.h"

#define MB1  0x2badb002u
#define MB2  0x36d76289u
#define AREA 0x20000000ull /* mapped; what lies behind it is not */
#define SIZE 0x4000ull
#define MAP  (AREA + 0x400)
#define MODS (AREA + 0xc00)
#define TEXT (AREA + 0x1000)

static struct boot_info info;

static int setup(void **state)
{
    (void)state;
    low_memory_map(AREA, SIZE);
    memset(&info, 0, sizeof info);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    low_memory_unmap(AREA, SIZE);
    return 0;
}

static uint64_t put_text(uint64_t at, const char *text)
{
    memcpy((void *)at, text, strlen(text) + 1);
    return at;
}

static void read_info(uint32_t magic)
{
    assert_true(boot_info_read(&info, magic, AREA));
}

static void refused(const char *word)
{
    assert_non_null(info.error);
    if (strstr(info.error, word) == NULL) {
        fail_msg("\"%s\" does not say '%s'", info.error, word);
    }
}

static void test_unknown_magic(void **state)
{
    (void)state;
    assert_false(boot_info_read(&info, 0, AREA));
    assert_false(boot_info_read(&info, 0x1badb002, AREA));
    assert_false(boot_info_read(&info, ~0u, AREA));
}

/* ---- Multiboot 1 ---- */

static uint64_t mb1_entry(uint64_t at, uint32_t entry_size, uint64_t base, uint64_t size,
                          uint32_t type)
{
    low_put(at, entry_size, 4);
    low_put(at + 4, base, 8);
    low_put(at + 12, size, 8);
    low_put(at + 20, type, 4);
    return at + 4 + entry_size;
}

static void mb1(uint32_t flags, uint64_t map_end)
{
    low_put(AREA, flags, 4);
    low_put(AREA + 16, TEXT, 4);
    low_put(AREA + 24, MODS, 4);
    low_put(AREA + 44, map_end - MAP, 4);
    low_put(AREA + 48, MAP, 4);
}

static void mb1_module(unsigned index, uint64_t start, uint64_t end, uint64_t text)
{
    const uint64_t at = MODS + index * 16ull;

    low_put(at, start, 4);
    low_put(at + 4, end, 4);
    low_put(at + 8, text, 4);
    low_put(AREA + 20, index + 1, 4);
}

static void test_mb1(void **state)
{
    (void)state;
    uint64_t at = mb1_entry(MAP, 20, 0, 0x9fc00, 1);

    at = mb1_entry(at, 24, 0x100000, 0x7ff00000, 1); /* an entry of a newer form */
    at = mb1_entry(at, 20, 0xfee00000, 0, 2);        /* empty */
    put_text(TEXT, "bulkhead32.elf loglevel=debug lps=2");
    mb1(1 << 2 | 1 << 3 | 1 << 6, at);
    mb1_module(0, 0x1000000, 0x1800000, put_text(TEXT + 0x100, "vmlinuz console=ttyS0"));
    mb1_module(1, 0x2000000, 0x2000000, put_text(TEXT + 0x200, "initrd"));
    read_info(MB1);
    assert_null(info.error);
    assert_string_equal(info.command_line, "loglevel=debug lps=2");
    assert_int_equal(info.range_count, 2);
    assert_int_equal(info.range[1].base, 0x100000);
    assert_int_equal(info.range[1].size, 0x7ff00000);
    assert_int_equal(info.module_count, 2);
    assert_int_equal(info.module[0].base, 0x1000000);
    assert_int_equal(info.module[0].size, 0x800000);
    assert_string_equal(info.module[0].args, "console=ttyS0");
    assert_string_equal(info.module[1].args, "");
    assert_int_equal(info.module[1].size, 0);
    assert_false(info.efi);
    assert_int_equal(info.rsdp_size, 0);
}

static void test_mb1_nothing(void **state)
{
    (void)state;
    mb1(0, MAP + 24);
    read_info(MB1);
    assert_null(info.error);
    assert_string_equal(info.command_line, "");
    assert_int_equal(info.range_count, 0);
    assert_int_equal(info.module_count, 0);
}

static void test_mb1_without_texts(void **state)
{
    (void)state;
    mb1(1 << 2 | 1 << 3, MAP);
    low_put(AREA + 16, 0, 4);
    mb1_module(0, 0x1000000, 0x1800000, 0);
    read_info(MB1);
    assert_null(info.error);
    assert_string_equal(info.command_line, "");
    assert_string_equal(info.module[0].args, "");
}

/* Sizes of entries that would lead out of the map, or nowhere. */
static void test_mb1_damaged_map(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0,   1,          4,          16,         19,         21,
                                     100, 0x7fffffff, 0x80000000, 0xfffffffb, 0xfffffffc, ~0u};

    for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
        memset(&info, 0, sizeof info);
        mb1_entry(MAP, 20, 0, 0x1000, 1);
        mb1_entry(MAP + 24, sizes[i], 0, 0x1000, 1);
        mb1(1 << 6, MAP + 48);
        read_info(MB1);
        refused("damaged");
        assert_int_equal(info.range_count, 1);
    }
}

/* The map ends in the middle of an entry that lies at the end of memory. */
static void test_mb1_cut_map(void **state)
{
    (void)state;
    for (uint32_t length = 1; length < 24; length++) {
        memset(&info, 0, sizeof info);
        mb1(1 << 6, MAP);
        low_put(AREA + 44, length, 4);
        low_put(AREA + 48, AREA + SIZE - length, 4);
        memset((void *)(AREA + SIZE - length), 0, length);
        low_put(AREA + SIZE - length, 20, length < 4 ? length : 4);
        read_info(MB1);
        refused("damaged");
    }
}

static void test_mb1_too_many_ranges(void **state)
{
    (void)state;
    uint64_t at = MAP;

    for (unsigned i = 0; i < BOOT_MAX_RANGES; i++) {
        at = mb1_entry(at, 20, i * 0x1000ull, 0x1000, 1 + i % 2);
    }
    low_put(AREA + 20, 0, 4);
    mb1(1 << 6, at);
    read_info(MB1);
    assert_null(info.error);
    assert_int_equal(info.range_count, BOOT_MAX_RANGES);
    memset(&info, 0, sizeof info);
    mb1(1 << 6, mb1_entry(at, 20, 0x10000000, 0x1000, 1));
    read_info(MB1);
    refused("memory map");
    assert_int_equal(info.range_count, BOOT_MAX_RANGES);
}

static void test_mb1_modules_without_end(void **state)
{
    (void)state;
    mb1(1 << 3, MAP);
    low_put(AREA + 20, 0xffffffff, 4);
    read_info(MB1);
    refused("modules");
    assert_int_equal(info.module_count, BOOT_MAX_MODULES);
}

static void test_mb1_module_backwards(void **state)
{
    (void)state;
    mb1(1 << 3, MAP);
    mb1_module(0, 0x2000000, 0x1fffffff, 0);
    mb1_module(1, 0x2000000, 0x1ffffff, 0);
    read_info(MB1);
    refused("damaged");
    assert_int_equal(info.module_count, 1);
}

static void test_mb1_long_texts(void **state)
{
    (void)state;
    char *text = (char *)TEXT;

    memset(text, 'x', BOOT_CMDLINE_SIZE + 2);
    memcpy(text, "f ", 2);
    text[2 + BOOT_CMDLINE_SIZE - 1] = '\0';
    mb1(1 << 2, MAP);
    read_info(MB1);
    assert_null(info.error);
    assert_int_equal(strlen(info.command_line), BOOT_CMDLINE_SIZE - 1);
    text[2 + BOOT_CMDLINE_SIZE - 1] = 'x';
    text[2 + BOOT_CMDLINE_SIZE] = '\0';
    read_info(MB1);
    refused("hypervisor's command line");
    memset(&info, 0, sizeof info);
    mb1(1 << 3, MAP);
    mb1_module(0, 0x1000000, 0x1800000, TEXT);
    read_info(MB1);
    refused("module's command line");
}

/* ---- Multiboot 2 ---- */

static uint64_t mb2_at;

static uint64_t mb2_tag(uint32_t type, uint32_t size)
{
    const uint64_t tag = mb2_at;

    low_put(tag, type, 4);
    low_put(tag + 4, size, 4);
    mb2_at = ALIGN_UP(tag + size, 8);
    return tag;
}

static void mb2_text_tag(uint32_t type, uint32_t offset, const char *text)
{
    const uint64_t tag = mb2_tag(type, offset + (uint32_t)strlen(text) + 1);

    put_text(tag + offset, text);
}

static void mb2_begin(void)
{
    mb2_at = AREA + 8;
    memset(&info, 0, sizeof info);
    memset((void *)AREA, 0, SIZE);
}

static void mb2_end(void)
{
    mb2_tag(0, 8);
    low_put(AREA, mb2_at - AREA, 4);
    read_info(MB2);
}

static uint64_t mb2_map(uint32_t entry_size, unsigned entries)
{
    const uint64_t tag = mb2_tag(6, 16 + entry_size * entries);

    low_put(tag + 8, entry_size, 4);
    return tag + 16;
}

static void test_mb2(void **state)
{
    (void)state;
    mb2_begin();
    mb2_text_tag(1, 8, "loglevel=debug");
    mb2_text_tag(2, 8, "GRUB 2.06");
    const uint64_t module = mb2_at;

    mb2_text_tag(3, 16, "root=/dev/vda");
    low_put(module + 8, 0x1000000, 4);
    low_put(module + 12, 0x1000010, 4);
    const uint64_t entry = mb2_map(24, 2);

    low_put(entry, 0x100000, 8);
    low_put(entry + 8, 0x200000, 8);
    low_put(entry + 16, 1, 4);
    low_put(entry + 24, 0x100000000, 8);
    low_put(entry + 32, 0x40000000, 8);
    low_put(entry + 40, 1, 4);
    mb2_tag(99, 21); /* of a kind that is not known */
    put_text(mb2_tag(14, 28) + 8, "RSD PTR one");
    put_text(mb2_tag(15, 44) + 8, "RSD PTR two");
    mb2_tag(12, 16);
    mb2_end();
    assert_null(info.error);
    assert_string_equal(info.command_line, "loglevel=debug");
    assert_string_equal(info.loader, "GRUB 2.06");
    assert_int_equal(info.module_count, 1);
    assert_string_equal(info.module[0].args, "root=/dev/vda");
    assert_int_equal(info.module[0].size, 16);
    assert_int_equal(info.range_count, 2);
    assert_int_equal(info.range[1].base, 0x100000000);
    assert_int_equal(info.rsdp_size, 36);
    assert_string_equal((const char *)info.rsdp, "RSD PTR two");
    assert_true(info.efi);
}

/* The newer root pointer wins in either order; a short tag counts for nothing. */
static void test_mb2_rsdp(void **state)
{
    (void)state;
    mb2_begin();
    put_text(mb2_tag(15, 44) + 8, "two");
    put_text(mb2_tag(14, 28) + 8, "one");
    mb2_end();
    assert_int_equal(info.rsdp_size, 36);
    assert_string_equal((const char *)info.rsdp, "two");
    mb2_begin();
    mb2_tag(14, 27);
    mb2_tag(15, 43);
    mb2_end();
    assert_int_equal(info.rsdp_size, 0);
    mb2_begin();
    mb2_tag(14, 28);
    mb2_end();
    assert_int_equal(info.rsdp_size, 20);
}

static void test_mb2_larger_map_entries(void **state)
{
    (void)state;
    mb2_begin();
    const uint64_t entry = mb2_map(40, 2);

    low_put(entry + 8, 0x1000, 8);
    low_put(entry + 40, 0x5000, 8);
    low_put(entry + 48, 0x1000, 8);
    mb2_end();
    assert_int_equal(info.range_count, 2);
    assert_int_equal(info.range[1].base, 0x5000);
}

static void test_mb2_damaged_map(void **state)
{
    (void)state;
    for (uint32_t entry_size = 0; entry_size < 24; entry_size++) {
        mb2_begin();
        mb2_map(entry_size, 3);
        mb2_end();
        refused("damaged");
    }
    for (uint32_t size = 8; size < 16; size++) {
        mb2_begin();
        mb2_tag(6, size);
        mb2_end();
        refused("damaged");
    }
    mb2_begin(); /* the last entry is not whole */
    low_put(mb2_map(24, 1) - 8, 24, 4);
    low_put(mb2_at - 40 + 4, 16 + 23, 4);
    mb2_end();
    assert_int_equal(info.range_count, 0);
}

/* A tag that says it is longer than all the information, or shorter than its own head. */
static void test_mb2_damaged_sizes(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 7, 0x4000, 0x7fffffff, 0x80000000, 0xfffffff8, ~0u};

    for (uint32_t type = 1; type < 20; type++) {
        for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
            mb2_begin();
            low_put(AREA + 8, type, 4);
            low_put(AREA + 12, sizes[i], 4);
            low_put(AREA, 64, 4);
            read_info(MB2);
            refused("damaged");
        }
    }
}

/* Texts whose end mark is missing, at the end of memory. */
static void test_mb2_text_without_end(void **state)
{
    (void)state;
    static const uint32_t types[] = {1, 2, 3};

    for (unsigned i = 0; i < ARRAY_COUNT(types); i++) {
        const uint64_t start = AREA + SIZE - 48;

        memset(&info, 0, sizeof info);
        memset((void *)start, 'x', 48);
        low_put(start, 48, 4);
        low_put(start + 8, types[i], 4);
        low_put(start + 12, 40, 4);
        assert_true(boot_info_read(&info, MB2, start));
        refused("damaged");
        assert_int_equal(info.module_count, 0);
    }
    mb2_begin();
    mb2_tag(3, 16); /* a module tag without text */
    mb2_end();
    refused("damaged");
    mb2_begin();
    mb2_tag(1, 8);
    mb2_end();
    refused("damaged");
}

static void test_mb2_no_end_tag(void **state)
{
    (void)state;
    mb2_begin();
    mb2_text_tag(1, 8, "lps=2");
    low_put(AREA, mb2_at - AREA, 4);
    read_info(MB2);
    assert_null(info.error);
    assert_string_equal(info.command_line, "lps=2");
    low_put(AREA, 0, 4);
    memset(&info, 0, sizeof info);
    read_info(MB2);
    assert_string_equal(info.command_line, "");
}

static void test_mb2_too_many_modules(void **state)
{
    (void)state;
    mb2_begin();
    for (unsigned i = 0; i <= BOOT_MAX_MODULES; i++) {
        mb2_text_tag(3, 16, "");
    }
    mb2_end();
    refused("modules");
    assert_int_equal(info.module_count, BOOT_MAX_MODULES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_magic),
        TEST(test_mb1),
        TEST(test_mb1_nothing),
        TEST(test_mb1_without_texts),
        TEST(test_mb1_damaged_map),
        TEST(test_mb1_cut_map),
        TEST(test_mb1_too_many_ranges),
        TEST(test_mb1_modules_without_end),
        TEST(test_mb1_module_backwards),
        TEST(test_mb1_long_texts),
        TEST(test_mb2),
        TEST(test_mb2_rsdp),
        TEST(test_mb2_larger_map_entries),
        TEST(test_mb2_damaged_map),
        TEST(test_mb2_damaged_sizes),
        TEST(test_mb2_text_without_end),
        TEST(test_mb2_no_end_tag),
        TEST(test_mb2_too_many_modules),
    };

    return cmocka_run_group_tests_name("boot_info", tests, NULL, NULL);
}
