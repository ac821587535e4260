/* SPDX-License-Identifier: MIT */
/* ACPI tables: processors and the timer found, IOMMUs and sleep hidden, damaged tables survived. */
#include "hv/x86/boot/acpi.h"

#include <string.h>

#include "tests/unit/hv/low_memory.h"
#include "tests/unit/hv/unit.h"

#define AREA   0x20000000ull
#define SIZE   0x10000ull
#define XSDT   AREA
#define RSDT   (AREA + 0x200)
#define MADT   (AREA + 0x1000)
#define FADT   (AREA + 0x3000)
#define DSDT   (AREA + 0x4000)
#define SSDT   (AREA + 0x5000)
#define DMAR   (AREA + 0x6000)
#define IVRS   (AREA + 0x7000)
#define HEADER 36u

static struct boot_info boot;
static struct acpi_info acpi;

static void seal(uint64_t table)
{
    const uint32_t length = (uint32_t)low_get(table + 4, 4);
    uint8_t sum = 0;

    low_put(table + 9, 0, 1);
    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + *(uint8_t *)(table + i));
    }
    low_put(table + 9, (uint8_t)-sum, 1);
}

static bool is_sealed(uint64_t table)
{
    uint8_t sum = 0;

    for (uint64_t i = 0; i < low_get(table + 4, 4); i++) {
        sum = (uint8_t)(sum + *(uint8_t *)(table + i));
    }
    return sum == 0;
}

static void make_table(uint64_t table, const char *signature, uint32_t length)
{
    memset((void *)table, 0, length);
    memcpy((void *)table, signature, 4);
    low_put(table + 4, length, 4);
    seal(table);
}

static void make_roots(void)
{
    static const uint64_t tables[] = {FADT, MADT, SSDT, DMAR, IVRS};

    make_table(XSDT, "XSDT", HEADER + 8 * ARRAY_COUNT(tables));
    make_table(RSDT, "RSDT", HEADER + 4 * ARRAY_COUNT(tables));
    for (unsigned i = 0; i < ARRAY_COUNT(tables); i++) {
        low_put(XSDT + HEADER + 8ull * i, tables[i], 8);
        low_put(RSDT + HEADER + 4ull * i, tables[i], 4);
    }
    seal(XSDT);
    seal(RSDT);
}

static void local_apic(uint64_t *at, uint32_t id, uint32_t flags)
{
    low_put(*at, 0, 1);
    low_put(*at + 1, 8, 1);
    low_put(*at + 3, id, 1);
    low_put(*at + 4, flags, 4);
    *at += 8;
}

static void local_x2apic(uint64_t *at, uint32_t id, uint32_t flags)
{
    low_put(*at, 9, 1);
    low_put(*at + 1, 16, 1);
    low_put(*at + 4, id, 4);
    low_put(*at + 8, flags, 4);
    *at += 16;
}

static void end_madt(uint64_t end)
{
    low_put(MADT + 4, end - MADT, 4);
    seal(MADT);
}

static int setup(void **state)
{
    (void)state;
    low_memory_map(AREA, SIZE);
    memset(&boot, 0, sizeof boot);
    make_table(MADT, "APIC", 44);
    make_table(FADT, "FACP", 276);
    make_table(DSDT, "DSDT", 200);
    make_table(SSDT, "SSDT", 100);
    make_table(DMAR, "DMAR", 60);
    make_table(IVRS, "IVRS", 60);
    make_roots();
    low_put(FADT + 40, DSDT, 4);
    low_put(FADT + 76, 0x608, 4);
    low_put(FADT + 112, 1 << 8, 4);
    low_put(FADT + 140, DSDT, 8);
    seal(FADT);
    uint64_t at = MADT + 44;

    local_apic(&at, 0, 1);
    local_apic(&at, 1, 1);
    end_madt(at);
    /* The loader's copy of the root pointer. */
    boot.rsdp_size = 36;
    memcpy(boot.rsdp, "RSD PTR ", 8);
    boot.rsdp[15] = 2;
    const uint32_t rsdt = (uint32_t)RSDT;
    const uint64_t xsdt = XSDT;

    memcpy(boot.rsdp + 16, &rsdt, 4);
    memcpy(boot.rsdp + 24, &xsdt, 8);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    low_memory_unmap(AREA, SIZE);
    return 0;
}

static void accepted(void)
{
    const char *error = acpi_read(&boot, 0, &acpi);

    if (error != NULL) {
        fail_msg("%s", error);
    }
}

static void refused(const char *word)
{
    const char *sentence = acpi_read(&boot, 0, &acpi);

    assert_non_null(sentence);
    if (strstr(sentence, word) == NULL) {
        fail_msg("\"%s\" does not say '%s'", sentence, word);
    }
}

/* ---- reading ---- */

static void test_read(void **state)
{
    (void)state;
    accepted();
    assert_int_equal(acpi.apic_count, 2);
    assert_int_equal(acpi.apic_id[0], 0);
    assert_int_equal(acpi.apic_id[1], 1);
    assert_int_equal(acpi.pm_timer_port, 0x608);
    assert_true(acpi.pm_timer_32bit);
    assert_int_equal(acpi.rsdp, 0);
}

static void test_old_root(void **state)
{
    (void)state;
    boot.rsdp[15] = 0;
    low_put(XSDT, 0, 8);
    accepted();
    assert_int_equal(acpi.apic_count, 2);
    boot.rsdp[15] = 2; /* the new root is damaged: the old one serves */
    accepted();
}

static void test_processors(void **state)
{
    (void)state;
    uint64_t at = MADT + 44;

    local_apic(&at, 4, 1);
    local_apic(&at, 2, 0); /* not enabled */
    local_apic(&at, 0, 1); /* the boot processor, which comes first */
    low_put(at, 1, 1);     /* an IOAPIC */
    low_put(at + 1, 12, 1);
    at += 12;
    local_x2apic(&at, 0x1234, 1);
    local_x2apic(&at, 0x1235, 2);
    end_madt(at);
    accepted();
    assert_int_equal(acpi.apic_count, 3);
    assert_int_equal(acpi.apic_id[0], 0);
    assert_int_equal(acpi.apic_id[1], 4);
    assert_int_equal(acpi.apic_id[2], 0x1234);
    assert_null(acpi_read(&boot, 4, &acpi));
    assert_int_equal(acpi.apic_id[0], 4);
    assert_int_equal(acpi.apic_count, 3);
}

static void test_more_processors_than_counted(void **state)
{
    (void)state;
    uint64_t at = AREA + 0x8000;

    make_table(at, "APIC", 44);
    for (uint32_t id = 0; id < 1100; id++) {
        uint64_t entry = at + 44 + 16ull * id;

        local_x2apic(&entry, id, 1);
    }
    low_put(at + 4, 44 + 16 * 1100, 4);
    seal(at);
    low_put(XSDT + HEADER + 8, at, 8);
    seal(XSDT);
    accepted();
    assert_int_equal(acpi.apic_count, 1024);
}

/* Entries of the processor table with impossible lengths: what came before them counts. */
static void test_damaged_entries(void **state)
{
    (void)state;
    static const uint8_t lengths[] = {0, 1, 7, 200, 255};

    for (unsigned i = 0; i < ARRAY_COUNT(lengths); i++) {
        uint64_t at = MADT + 44;

        local_apic(&at, 0, 1);
        local_apic(&at, 3, 1);
        low_put(at + 1, lengths[i], 1);
        low_put(at + 3, 9, 1);
        low_put(at + 4, 1, 4);
        end_madt(at + 8);
        accepted();
        assert_int_equal(acpi.apic_count, 2);
    }
}

static void test_missing_tables(void **state)
{
    (void)state;
    memcpy((void *)MADT, "XXXX", 4);
    seal(MADT);
    refused("MADT");
    memcpy((void *)MADT, "APIC", 4);
    refused("MADT"); /* the sum is wrong */
    seal(MADT);
    accepted();
    low_put(FADT + 76, 0, 4);
    seal(FADT);
    refused("power-management timer");
    memcpy((void *)FADT, "XXXX", 4);
    seal(FADT);
    refused("power-management timer");
    /* Too short to hold what would be read. */
    make_table(FADT, "FACP", 100);
    low_put(FADT + 76, 0x608, 4);
    seal(FADT);
    refused("power-management timer");
}

static void test_damaged_root(void **state)
{
    (void)state;
    low_put(XSDT + 10, 0x55, 1);
    low_put(RSDT + 10, 0x55, 1);
    refused("root table");
    memset(boot.rsdp + 16, 0xff, 20); /* pointers to nowhere */
    refused("root table");
    memset(boot.rsdp + 16, 0, 20);
    refused("root table");
}

/* Pointers to nowhere and lengths without sense in the root table. */
static void test_damaged_pointers(void **state)
{
    (void)state;
    static const uint64_t bad[] = {0, 0xffffffff, 0xfff00000, 0x100000000, ~0ull};

    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        low_put(XSDT + HEADER + 16, bad[i], 8);
        seal(XSDT);
        accepted();
        acpi_hide_from_parent(&boot);
        assert_true(is_sealed(XSDT));
    }
    memcpy((void *)DMAR, "DMAR", 4);
    low_put(SSDT + 4, 35, 4);
    low_put(DMAR + 4, 0, 4);
    low_put(IVRS + 4, 0xffffffff, 4);
    low_put(XSDT + HEADER + 16, SSDT, 8);
    seal(XSDT);
    accepted();
    acpi_hide_from_parent(&boot);
    assert_memory_equal((void *)DMAR, "DMAR", 4); /* no table at all: left alone */
    low_put(XSDT + 4, HEADER + 3, 4);
    seal(XSDT);
    refused("MADT");
}

/* ---- hiding ---- */

static void test_hide_iommus(void **state)
{
    (void)state;
    acpi_hide_from_parent(&boot);
    assert_memory_not_equal((void *)DMAR, "DMAR", 4);
    assert_memory_not_equal((void *)IVRS, "IVRS", 4);
    assert_true(is_sealed(DMAR));
    assert_true(is_sealed(IVRS));
    assert_memory_equal((void *)MADT, "APIC", 4);
    accepted();
    acpi_hide_from_parent(&boot); /* again: nothing to do */
    accepted();
}

static void put_aml(uint64_t table, uint32_t offset, const char *aml, size_t size)
{
    memcpy((void *)(table + offset), aml, size);
    seal(table);
}

static void test_hide_sleep_states(void **state)
{
    (void)state;
    put_aml(DSDT, HEADER, "\x08_S3_", 5);
    put_aml(DSDT, 60, "\x08_S4_", 5);
    put_aml(DSDT, 80, "\x08\\_S3_", 6); /* with the prefix of the root */
    put_aml(DSDT, 100, "\x08_S5_", 5);
    put_aml(DSDT, 120, "\x5c_S3_", 5); /* a use, not a declaration */
    put_aml(DSDT, 195, "\x08_S4_", 5); /* the table's last bytes */
    put_aml(SSDT, 50, "\x08_S3_", 5);
    acpi_hide_from_parent(&boot);
    assert_memory_equal((void *)(DSDT + HEADER), "\x08XS3_", 5);
    assert_memory_equal((void *)(DSDT + 60), "\x08XS4_", 5);
    assert_memory_equal((void *)(DSDT + 80), "\x08\\XS3_", 6);
    assert_memory_equal((void *)(DSDT + 100), "\x08_S5_", 5);
    assert_memory_equal((void *)(DSDT + 120), "\x5c_S3_", 5);
    assert_memory_equal((void *)(DSDT + 195), "\x08XS4_", 5);
    assert_memory_equal((void *)(SSDT + 50), "\x08XS3_", 5);
    assert_true(is_sealed(DSDT));
    assert_true(is_sealed(SSDT));
}

/* Without the 64-bit pointer, and with a description table that is nowhere. */
static void test_hide_old_description(void **state)
{
    (void)state;
    put_aml(DSDT, 60, "\x08_S3_", 5);
    low_put(FADT + 4, 116, 4);
    seal(FADT);
    acpi_hide_from_parent(&boot);
    assert_memory_equal((void *)(DSDT + 60), "\x08XS3_", 5);
    low_put(FADT + 40, 0, 4);
    seal(FADT);
    acpi_hide_from_parent(&boot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read),
        TEST(test_old_root),
        TEST(test_processors),
        TEST(test_more_processors_than_counted),
        TEST(test_damaged_entries),
        TEST(test_missing_tables),
        TEST(test_damaged_root),
        TEST(test_damaged_pointers),
        TEST(test_hide_iommus),
        TEST(test_hide_sleep_states),
        TEST(test_hide_old_description),
    };

    return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
