/* SPDX-License-Identifier: MIT */
/* Reading and trimming the firmware's ACPI tables (ACPI 6.4, chapter 5). */
#include "hv/x86/boot/acpi.h"

#include "hv/core/lib.h"
#include "hv/core/log.h"

struct sdt {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem[26];
} __attribute__((packed));
_Static_assert(sizeof(struct sdt) == 36, "ACPI 5.2.6");

#define TABLE_LENGTH_MAX 0x100000u
#define FADT_MINIMUM     116u /* of ACPI 1.0 */
#define FOUR_GIB         0x100000000ull
#define NAME_OP          0x08

static uint64_t read_field(const void *base, size_t offset, size_t size)
{
    return lib_load((const char *)base + offset, size);
}

static uint8_t sum_bytes(const void *base, size_t size)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)base)[i]);
    return sum;
}

static uint64_t scan_rsdp(uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end; at += 16)
        if (memcmp((const void *)at, "RSD PTR ", 8) == 0 && sum_bytes((const void *)at, 20) == 0)
            return at;
    return 0;
}

static uint64_t find_rsdp(void)
{
    const uint64_t ebda = read_field((const void *)0x40e, 0, 2) << 4;
    uint64_t found = 0;
    if (ebda >= 0x80000 && ebda < 0xa0000)
        found = scan_rsdp(ebda, ebda + 1024);
    return found != 0 ? found : scan_rsdp(0xe0000, 0x100000);
}

/* A table below 4 GiB whose checksum holds, else NULL. */
static struct sdt *table_at(uint64_t address)
{
    if (address == 0 || address >= FOUR_GIB - TABLE_LENGTH_MAX)
        return NULL;
    struct sdt *table = (struct sdt *)address;
    if (table->length < sizeof *table || table->length > TABLE_LENGTH_MAX)
        return NULL;
    return sum_bytes(table, table->length) == 0 ? table : NULL;
}

struct root {
    const struct sdt *table;
    size_t entry_size; /* 4 in an RSDT, 8 in an XSDT */
};

static struct root find_root(const struct boot_info *boot, uint64_t rsdp_address)
{
    const void *rsdp = boot->rsdp_size != 0 ? boot->rsdp : (const void *)rsdp_address;
    if (read_field(rsdp, 15, 1) >= 2) {
        const struct sdt *xsdt = table_at(read_field(rsdp, 24, 8));
        if (xsdt != NULL)
            return (struct root){xsdt, 8};
    }
    return (struct root){table_at(read_field(rsdp, 16, 4)), 4};
}

static unsigned root_count(const struct root *root)
{
    if (root->table == NULL)
        return 0;
    return (unsigned)((root->table->length - sizeof(struct sdt)) / root->entry_size);
}

static struct sdt *root_entry(const struct root *root, unsigned index)
{
    return table_at(
        read_field(root->table, sizeof(struct sdt) + index * root->entry_size, root->entry_size));
}

static struct sdt *find_table(const struct root *root, const char *signature)
{
    for (unsigned i = 0; i < root_count(root); i++) {
        struct sdt *table = root_entry(root, i);
        if (table != NULL && memcmp(table->signature, signature, 4) == 0)
            return table;
    }
    return NULL;
}

/* ---- processors ---- */

static void add_processor(struct acpi_info *acpi, uint32_t apic_id, uint64_t flags,
                          uint32_t boot_apic_id)
{
    const bool enabled = flags & 1;
    if (!enabled || apic_id == boot_apic_id || acpi->apic_count == ARRAY_COUNT(acpi->apic_id))
        return;
    acpi->apic_id[acpi->apic_count++] = apic_id;
}

static void read_madt(struct acpi_info *acpi, const struct sdt *madt, uint32_t boot_apic_id)
{
    enum { LOCAL_APIC = 0, LOCAL_X2APIC = 9 };
    acpi->apic_id[acpi->apic_count++] = boot_apic_id;
    for (size_t at = 44; at + 2 <= madt->length;) {
        const uint64_t type = read_field(madt, at, 1);
        const uint64_t size = read_field(madt, at + 1, 1);
        if (size < 2 || at + size > madt->length)
            return;
        if (type == LOCAL_APIC && size >= 8)
            add_processor(acpi, (uint32_t)read_field(madt, at + 3, 1), read_field(madt, at + 4, 4),
                          boot_apic_id);
        if (type == LOCAL_X2APIC && size >= 16)
            add_processor(acpi, (uint32_t)read_field(madt, at + 4, 4), read_field(madt, at + 8, 4),
                          boot_apic_id);
        at += size;
    }
}

static void read_fadt(struct acpi_info *acpi, const struct sdt *fadt)
{
    enum { PM_TMR_BLK = 76, FLAGS = 112 };
    acpi->pm_timer_port = (uint16_t)read_field(fadt, PM_TMR_BLK, 4);
    acpi->pm_timer_32bit = read_field(fadt, FLAGS, 4) >> 8 & 1;
}

const char *acpi_read(const struct boot_info *boot, uint32_t boot_apic_id, struct acpi_info *acpi)
{
    *acpi = (struct acpi_info){0};
    if (boot->rsdp_size == 0) {
        acpi->rsdp = find_rsdp();
        if (acpi->rsdp == 0)
            return "no ACPI tables were found: is this a PC with ACPI firmware?";
    }
    const struct root root = find_root(boot, acpi->rsdp);
    if (root.table == NULL)
        return "the ACPI root table is missing or damaged";
    const struct sdt *madt = find_table(&root, "APIC");
    if (madt == NULL)
        return "the ACPI table of processors (MADT) is missing or damaged";
    read_madt(acpi, madt, boot_apic_id);
    const struct sdt *fadt = find_table(&root, "FACP");
    if (fadt != NULL && fadt->length >= FADT_MINIMUM)
        read_fadt(acpi, fadt);
    if (acpi->pm_timer_port == 0)
        return "the ACPI power-management timer is missing, and clocks are set by it";
    return NULL;
}

/* ---- hiding ---- */

static void fix_checksum(struct sdt *table)
{
    table->checksum = (uint8_t)(table->checksum - sum_bytes(table, table->length));
}

static void hide_table(const struct root *root, const char *signature)
{
    struct sdt *table = find_table(root, signature);
    if (table == NULL)
        return;
    log_line(LOG_INFO, "ACPI table %s is hidden from the parent", signature);
    memcpy(table->signature, "BHxx", 4);
    fix_checksum(table);
}

/* AML declares a sleep state by NameOp (0x08) and the name, at times with a root prefix between. */
static bool declares_sleep_state(const uint8_t *aml, size_t name)
{
    const size_t before = aml[name - 1] == '\\' ? name - 2 : name - 1;
    return aml[before] == NAME_OP &&
           (memcmp(aml + name, "_S3_", 4) == 0 || memcmp(aml + name, "_S4_", 4) == 0);
}

/* Under another name a sleep state is unknown. */
static void hide_sleep_states(struct sdt *table)
{
    if (table == NULL)
        return;
    uint8_t *aml = (uint8_t *)table;
    for (size_t name = sizeof *table + 1; name + 4 <= table->length; name++)
        if (declares_sleep_state(aml, name))
            aml[name] = 'X';
    fix_checksum(table);
}

void acpi_hide_from_parent(const struct boot_info *boot)
{
    enum { DSDT = 40, X_DSDT = 140 };
    const struct root root = find_root(boot, boot->rsdp_size != 0 ? 0 : find_rsdp());
    hide_table(&root, "DMAR");
    hide_table(&root, "IVRS");

    const struct sdt *fadt = find_table(&root, "FACP");
    if (fadt != NULL) {
        hide_sleep_states(table_at(read_field(fadt, DSDT, 4)));
        if (fadt->length >= X_DSDT + 8)
            hide_sleep_states(table_at(read_field(fadt, X_DSDT, 8)));
    }
    for (unsigned i = 0; i < root_count(&root); i++) {
        struct sdt *table = root_entry(&root, i);
        if (table != NULL && memcmp(table->signature, "SSDT", 4) == 0)
            hide_sleep_states(table);
    }
}
