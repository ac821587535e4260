/* SPDX-License-Identifier: MIT */
/*
 * parent/worker/acpi.c: checksums and fields here, the AML by the reference
 * implementation: iasl must disassemble each table, and compile the result of
 * the DSDT again without an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/worker/acpi.h"
#include "parent/worker/firmware.h"

#define AREA_GPA 0xe0000u

static uint8_t area[65536];

static const struct bh_acpi_config config = {
    .vps = 3,
    .low_mmio_base = 0xf8000000,
    .low_mmio_size = 0x6c00000,
    .high_mmio_base = 0x1000000000,
    .high_mmio_size = 0x1000000000,
};

static uint64_t number(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, at, bytes);
    return value;
}

static uint8_t sum(const uint8_t *data, size_t length)
{
    uint8_t total = 0;

    while (length-- > 0)
        total = (uint8_t)(total + *data++);
    return total;
}

/* The table at a GPA, after a check of its place, signature and checksum. */
static const uint8_t *table_at(uint64_t gpa, const char *signature)
{
    const uint8_t *table = area + (gpa - AREA_GPA);
    uint64_t length;

    assert_in_range(gpa, AREA_GPA, AREA_GPA + sizeof(area) - 36);
    length = number(table + 4, 4);
    assert_memory_equal(table, signature, 4);
    assert_in_range(length, 36, sizeof(area) - (gpa - AREA_GPA));
    assert_int_equal(sum(table, length), 0);
    return table;
}

static const uint8_t *xsdt_entry(unsigned index, const char *signature)
{
    const uint8_t *xsdt = table_at(number(area + 24, 8), "XSDT");

    return table_at(number(xsdt + 36 + 8ul * index, 8), signature);
}

static int setup(void **state)
{
    (void)state;
    memset(area, 0, sizeof(area));
    return bh_acpi_build(&config, area, sizeof(area), AREA_GPA) == 0;
}

static void the_root_pointer_is_valid(void **state)
{
    (void)state;
    assert_memory_equal(area, "RSD PTR ", 8);
    assert_int_equal(sum(area, 20), 0);
    assert_int_equal(sum(area, 36), 0);
    assert_int_equal(area[15], 2);
}

static void the_fadt_is_hardware_reduced(void **state)
{
    const uint8_t *fadt = xsdt_entry(0, "FACP");

    (void)state;
    assert_int_equal(number(fadt + 4, 4), 276);
    assert_int_equal(fadt[8], 6);
    assert_int_equal(number(fadt + 109, 2), 0x24);
    assert_int_equal(number(fadt + 112, 4), 1u << 20 | 1u << 10 | 1u << 5 | 1u << 4 | 1u);
    assert_int_equal(number(fadt + 116 + 4, 8), 0x602);
    assert_int_equal(fadt[128], 1);
    assert_int_equal(number(fadt + 244 + 4, 8), 0x600);
    assert_int_equal(number(fadt + 256 + 4, 8), 0x601);
    (void)table_at(number(fadt + 140, 8), "DSDT");
}

static void the_madt_lists_each_processor(void **state)
{
    const uint8_t *madt = xsdt_entry(1, "APIC");

    (void)state;
    assert_int_equal(number(madt + 36, 4), 0xfee00000);
    assert_int_equal(number(madt + 40, 4), 0);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *entry = madt + 44 + 8ul * i;

        assert_int_equal(entry[0], 0);
        assert_int_equal(entry[3], i);
        assert_int_equal(number(entry + 4, 4), 1);
    }
    assert_int_equal(madt[44 + 24], 1);
    assert_int_equal(number(madt + 44 + 24 + 4, 4), 0xfec00000);
}

static void too_small_an_area_is_noticed(void **state)
{
    size_t used = bh_acpi_build(&config, area, sizeof(area), AREA_GPA);

    (void)state;
    for (size_t size = 0; size < used; size++)
        assert_int_equal(bh_acpi_build(&config, area, size, AREA_GPA), 0);
    assert_int_equal(bh_acpi_build(&config, area, used, AREA_GPA), used);
}

static void the_firmware_area_has_tables_and_a_reset_stub(void **state)
{
    static uint8_t ram[2 << 20];
    struct bh_guest_memory memory;
    uint64_t rsdp;

    (void)state;
    bh_guest_memory_init(&memory, ram, sizeof(ram));
    assert_true(bh_firmware_write(&memory, 64, &rsdp));
    assert_memory_equal(ram + rsdp, "RSD PTR ", 8);
    assert_memory_equal(ram + 0xffff0, "\xb0\x01\xba\x02\x06\xee\xf4\xeb\xfd", 9);
    bh_guest_memory_init(&memory, ram, 0x80000);
    assert_false(bh_firmware_write(&memory, 1, &rsdp));
}

/* --- with iasl ---------------------------------------------------------------------------- */

static char folder[] = "/tmp/bh-acpi-XXXXXX";

static void save(const char *name, const uint8_t *table)
{
    char path[64];
    uint64_t length = number(table + 4, 4);
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s.aml", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(table, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void shell(const char *format)
{
    char command[512];

    (void)snprintf(command, sizeof(command), format, folder, folder, folder);
    if (system(command) != 0) /* NOLINT(cert-env33-c,bugprone-command-processor): fixed texts */
        fail_msg("failed: %s", command);
}

static void iasl_understands_every_table(void **state)
{
    const uint8_t *fadt = xsdt_entry(0, "FACP");

    (void)state;
    assert_non_null(mkdtemp(folder));
    save("dsdt", table_at(number(fadt + 140, 8), "DSDT"));
    save("facp", fadt);
    save("apic", xsdt_entry(1, "APIC"));
    shell("cd %s && iasl -d dsdt.aml facp.aml apic.aml >disassemble.log 2>&1");
    shell("cd %s && ! grep -iE 'error|warning|invalid|checksum' disassemble.log");
    shell("cd %s && grep -q 'Hardware Reduced (V5) : 1' facp.dsl");
    shell("cd %s && grep -c 'Processor Local APIC' apic.dsl | grep -qx 3");
    shell("cd %s && grep -q '\"VMBus\"' dsdt.dsl && grep -q 'PNP0501' dsdt.dsl");
    shell(
        "cd %s && grep -q '0x0000001FFFFFFFFF' dsdt.dsl && grep -q '0x00000000FEBFFFFF' dsdt.dsl");
    /* -f: iasl refuses a hardware id such as "VMBus" that is not like PNP0000 */
    shell("cd %s && iasl -f -p again dsdt.dsl >compile.log 2>&1; "
          "cmp -s again.aml dsdt.aml || { tail -n 20 compile.log; test -s again.aml; }");
    shell("rm -r %s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_root_pointer_is_valid, setup),
        cmocka_unit_test_setup(the_fadt_is_hardware_reduced, setup),
        cmocka_unit_test_setup(the_madt_lists_each_processor, setup),
        cmocka_unit_test_setup(too_small_an_area_is_noticed, setup),
        cmocka_unit_test(the_firmware_area_has_tables_and_a_reset_stub),
        cmocka_unit_test_setup(iasl_understands_every_table, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
