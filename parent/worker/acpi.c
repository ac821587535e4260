/* SPDX-License-Identifier: MIT */
#include "parent/worker/acpi.h"

#include <string.h>

#include "parent/worker/aml.h"
#include "parent/worker/ioapic.h"
#include "parent/worker/power.h"

#define HEADER_SIZE     36u
#define CHECKSUM_OFFSET 9u
#define RSDP_SIZE       36u
#define RSDP_V1_SIZE    20u
#define FADT_SIZE       276u
#define ALIGNMENT       16u

#define XAPIC_ID_MAX 254u

#define FADT_BOOT_ARCH        109u
#define FADT_FLAGS            112u
#define FADT_RESET_REGISTER   116u
#define FADT_RESET_VALUE      128u
#define FADT_MINOR            131u
#define FADT_X_DSDT           140u
#define FADT_SLEEP_CONTROL    244u
#define FADT_SLEEP_STATUS     256u
#define FADT_HYPERVISOR       268u
#define BOOT_NO_VGA           (1u << 2)
#define BOOT_NO_CMOS_RTC      (1u << 5)
#define FLAG_WBINVD           (1u << 0)
#define FLAG_POWER_BUTTON     (1u << 4)
#define FLAG_SLEEP_BUTTON     (1u << 5)
#define FLAG_RESET_REGISTER   (1u << 10)
#define FLAG_HARDWARE_REDUCED (1u << 20)

/* The area, filled from its start. `aml` serves as the byte writer for all tables. */
struct builder {
    struct bh_aml out;
    uint64_t gpa;
};

static uint8_t sum(const uint8_t *data, size_t length)
{
    uint8_t total = 0;

    while (length-- > 0)
        total = (uint8_t)(total + *data++);
    return total;
}

static void put_at(struct builder *builder, size_t at, uint64_t value, unsigned bytes)
{
    if (!builder->out.overflow)
        memcpy(builder->out.data + at, &value, bytes);
}

static void put_text(struct bh_aml *out, const char *text)
{
    for (; *text != '\0'; text++)
        bh_aml_raw(out, (unsigned char)*text, 1);
}

static void align(struct bh_aml *out)
{
    while (out->used % ALIGNMENT != 0 && !out->overflow)
        bh_aml_raw(out, 0, 1);
}

/* Begins a table with its header; returns where. */
static size_t begin_table(struct builder *builder, const char *signature, uint8_t revision)
{
    size_t start;

    align(&builder->out);
    start = builder->out.used;
    put_text(&builder->out, signature);
    bh_aml_raw(&builder->out, 0, 4); /* length, later */
    bh_aml_raw(&builder->out, revision, 1);
    bh_aml_raw(&builder->out, 0, 1); /* checksum, later */
    put_text(&builder->out, "BHEAD BULKHEAD");
    bh_aml_raw(&builder->out, 1, 4);
    put_text(&builder->out, "BHHV");
    bh_aml_raw(&builder->out, 1, 4);
    return start;
}

/* Returns the table's GPA. */
static uint64_t end_table(struct builder *builder, size_t start)
{
    size_t length = builder->out.used - start;

    put_at(builder, start + 4, length, 4);
    if (!builder->out.overflow)
        builder->out.data[start + CHECKSUM_OFFSET] =
            (uint8_t)(0u - sum(builder->out.data + start, length));
    return builder->gpa + start;
}

/* The module device carries the windows; hv_vmbus walks up from its own device to find them. */
static void build_vmbus(struct bh_aml *out, const struct bh_acpi_config *config)
{
    size_t module = bh_aml_device(out, "VMOD");
    struct bh_aml_resources resources;
    size_t device;

    bh_aml_name_string(out, "_HID", "ACPI0004");
    bh_aml_name_integer(out, "_UID", 0);
    resources = bh_aml_resources_begin(out);
    bh_aml_memory_window(out, config->low_mmio_base, config->low_mmio_size);
    bh_aml_memory_window(out, config->high_mmio_base, config->high_mmio_size);
    bh_aml_resources_end(out, resources);
    device = bh_aml_device(out, "VMBS");
    bh_aml_name_string(out, "_HID", "VMBus");
    bh_aml_name_integer(out, "_UID", 0);
    bh_aml_name_integer(out, "_STA", 0xf);
    resources = bh_aml_resources_begin(out);
    bh_aml_resources_end(out, resources);
    bh_aml_end(out, device);
    bh_aml_end(out, module);
}

static void build_serial(struct bh_aml *out)
{
    size_t device = bh_aml_device(out, "COM1");
    struct bh_aml_resources resources;

    bh_aml_name_eisa(out, "_HID", "PNP0501");
    bh_aml_name_integer(out, "_UID", 1);
    resources = bh_aml_resources_begin(out);
    bh_aml_io_ports(out, BH_SERIAL_BASE, 8);
    bh_aml_interrupt(out, BH_SERIAL_IRQ);
    bh_aml_resources_end(out, resources);
    bh_aml_end(out, device);
}

static uint64_t build_dsdt(struct builder *builder, const struct bh_acpi_config *config)
{
    static const uint8_t s5[] = {BH_SLEEP_TYPE_S5, 0, 0, 0};
    size_t start = begin_table(builder, "DSDT", 2);
    size_t scope;

    bh_aml_name_package(&builder->out, "_S5_", s5, sizeof(s5));
    scope = bh_aml_scope(&builder->out, "\\_SB_");
    build_vmbus(&builder->out, config);
    build_serial(&builder->out);
    bh_aml_end(&builder->out, scope);
    return end_table(builder, start);
}

/* A generic address: one byte at an I/O port. */
static void put_port(struct builder *builder, size_t at, unsigned port)
{
    put_at(builder, at, 0x01000801u, 4); /* I/O space, 8 bits, offset 0, byte access */
    put_at(builder, at + 4, port, 8);
}

static uint64_t build_fadt(struct builder *builder, uint64_t dsdt)
{
    size_t start = begin_table(builder, "FACP", 6);

    for (unsigned i = HEADER_SIZE; i < FADT_SIZE; i++)
        bh_aml_raw(&builder->out, 0, 1);
    put_at(builder, start + FADT_BOOT_ARCH, BOOT_NO_VGA | BOOT_NO_CMOS_RTC, 2);
    put_at(builder, start + FADT_FLAGS,
           FLAG_WBINVD | FLAG_POWER_BUTTON | FLAG_SLEEP_BUTTON | FLAG_RESET_REGISTER |
               FLAG_HARDWARE_REDUCED,
           4);
    put_port(builder, start + FADT_RESET_REGISTER, BH_RESET_PORT);
    put_at(builder, start + FADT_RESET_VALUE, BH_RESET_VALUE, 1);
    put_at(builder, start + FADT_MINOR, 0, 1);
    put_at(builder, start + FADT_X_DSDT, dsdt, 8);
    put_port(builder, start + FADT_SLEEP_CONTROL, BH_SLEEP_CONTROL_PORT);
    put_port(builder, start + FADT_SLEEP_STATUS, BH_SLEEP_STATUS_PORT);
    if (!builder->out.overflow)
        memcpy(builder->out.data + start + FADT_HYPERVISOR, "Bulkhead", 8);
    return end_table(builder, start);
}

static void put_processor(struct bh_aml *out, uint32_t id)
{
    bool small = id <= XAPIC_ID_MAX;

    bh_aml_raw(out, small ? 0 : 9, 1);
    bh_aml_raw(out, small ? 8 : 16, 1);
    if (small) {
        bh_aml_raw(out, id, 1); /* UID */
        bh_aml_raw(out, id, 1);
        bh_aml_raw(out, 1, 4); /* enabled */
        return;
    }
    bh_aml_raw(out, 0, 2);
    bh_aml_raw(out, id, 4);
    bh_aml_raw(out, 1, 4);
    bh_aml_raw(out, id, 4); /* UID */
}

static uint64_t build_madt(struct builder *builder, uint32_t vps)
{
    struct bh_aml *out = &builder->out;
    size_t start = begin_table(builder, "APIC", 5);

    bh_aml_raw(out, BH_LOCAL_APIC_BASE, 4);
    bh_aml_raw(out, 0, 4); /* no 8259 */
    for (uint32_t i = 0; i < vps; i++)
        put_processor(out, i);
    bh_aml_raw(out, 1, 1); /* I/O APIC: id 0, interrupts from 0 on */
    bh_aml_raw(out, 12, 1);
    bh_aml_raw(out, 0, 2);
    bh_aml_raw(out, BH_IOAPIC_BASE, 4);
    bh_aml_raw(out, 0, 4);
    bh_aml_raw(out, 4, 1); /* NMI: LINT1 of every processor */
    bh_aml_raw(out, 6, 1);
    bh_aml_raw(out, 0xff, 1);
    bh_aml_raw(out, 0, 2);
    bh_aml_raw(out, 1, 1);
    return end_table(builder, start);
}

static uint64_t build_xsdt(struct builder *builder, uint64_t fadt, uint64_t madt)
{
    size_t start = begin_table(builder, "XSDT", 1);

    bh_aml_raw(&builder->out, fadt, 8);
    bh_aml_raw(&builder->out, madt, 8);
    return end_table(builder, start);
}

static void fill_rsdp(struct builder *builder, uint64_t xsdt)
{
    static const uint8_t signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
    static const uint8_t oem[6] = {'B', 'H', 'E', 'A', 'D', ' '};
    uint8_t *rsdp = builder->out.data;

    if (builder->out.overflow)
        return;
    memcpy(rsdp, signature, sizeof(signature));
    memcpy(rsdp + 9, oem, sizeof(oem));
    rsdp[15] = 2;
    put_at(builder, 20, RSDP_SIZE, 4);
    put_at(builder, 24, xsdt, 8);
    rsdp[8] = (uint8_t)(0u - sum(rsdp, RSDP_V1_SIZE));
    rsdp[32] = (uint8_t)(0u - sum(rsdp, RSDP_SIZE));
}

size_t bh_acpi_build(const struct bh_acpi_config *config, uint8_t *area, size_t size, uint64_t gpa)
{
    struct builder builder = {.out = {.data = area, .size = size}, .gpa = gpa};
    uint64_t dsdt;
    uint64_t fadt;
    uint64_t madt;

    for (unsigned i = 0; i < RSDP_SIZE; i++)
        bh_aml_raw(&builder.out, 0, 1);
    dsdt = build_dsdt(&builder, config);
    fadt = build_fadt(&builder, dsdt);
    madt = build_madt(&builder, config->vps);
    fill_rsdp(&builder, build_xsdt(&builder, fadt, madt));
    return builder.out.overflow ? 0 : builder.out.used;
}
