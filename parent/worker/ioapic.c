/* SPDX-License-Identifier: MIT */
#include "parent/worker/ioapic.h"

#include <string.h>

#define MMIO_SELECT 0x00u
#define MMIO_WINDOW 0x10u
#define MMIO_EOI    0x40u

#define REG_ID      0x00u
#define REG_VERSION 0x01u
#define REG_ARB     0x02u
#define REG_TABLE   0x10u

#define VERSION (0x20u | (BH_IOAPIC_PINS - 1u) << 16)

#define RTE_VECTOR_MASK       0xffull
#define RTE_MODE_SHIFT        8
#define RTE_MODE_MASK         0x7ull
#define RTE_LOGICAL           (1ull << 11)
#define RTE_REMOTE_IRR        (1ull << 14)
#define RTE_LEVEL             (1ull << 15)
#define RTE_MASKED            (1ull << 16)
#define RTE_DESTINATION_SHIFT 56
#define RTE_WRITABLE          0xff0000000001afffull /* not delivery status and remote IRR */

void bh_ioapic_init(struct bh_ioapic *ioapic,
                    void (*deliver)(void *context, const struct bh_interrupt *interrupt),
                    void *context)
{
    memset(ioapic, 0, sizeof(*ioapic));
    ioapic->deliver = deliver;
    ioapic->context = context;
    for (unsigned pin = 0; pin < BH_IOAPIC_PINS; pin++)
        ioapic->entry[pin] = RTE_MASKED;
}

static void deliver(struct bh_ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->entry[pin];
    struct bh_interrupt interrupt = {
        .vector = (uint8_t)(entry & RTE_VECTOR_MASK),
        .delivery_mode = (uint8_t)(entry >> RTE_MODE_SHIFT & RTE_MODE_MASK),
        .destination = (uint8_t)(entry >> RTE_DESTINATION_SHIFT),
        .logical = (entry & RTE_LOGICAL) != 0,
        .level = (entry & RTE_LEVEL) != 0,
    };

    if (interrupt.level)
        ioapic->entry[pin] |= RTE_REMOTE_IRR;
    ioapic->deliver(ioapic->context, &interrupt);
}

/* A level-triggered pin interrupts while its line is high and nobody serves it yet. */
static void service_level(struct bh_ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->entry[pin];

    if ((entry & RTE_LEVEL) != 0 && (entry & (RTE_MASKED | RTE_REMOTE_IRR)) == 0 &&
        (ioapic->lines >> pin & 1u) != 0)
        deliver(ioapic, pin);
}

void bh_ioapic_set_pin(struct bh_ioapic *ioapic, unsigned pin, bool level)
{
    bool was = (ioapic->lines >> pin & 1u) != 0;

    ioapic->lines = (ioapic->lines & ~(1u << pin)) | (uint32_t)level << pin;
    if ((ioapic->entry[pin] & RTE_LEVEL) != 0)
        service_level(ioapic, pin);
    else if (level && !was && (ioapic->entry[pin] & RTE_MASKED) == 0)
        deliver(ioapic, pin);
}

void bh_ioapic_end_of_interrupt(struct bh_ioapic *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < BH_IOAPIC_PINS; pin++) {
        if ((ioapic->entry[pin] & RTE_VECTOR_MASK) != vector ||
            (ioapic->entry[pin] & RTE_REMOTE_IRR) == 0)
            continue;
        ioapic->entry[pin] &= ~RTE_REMOTE_IRR;
        service_level(ioapic, pin);
    }
}

static uint32_t read_register(const struct bh_ioapic *ioapic)
{
    unsigned index = ioapic->select - REG_TABLE;

    switch (ioapic->select) {
    case REG_ID:
    case REG_ARB:
        return (uint32_t)ioapic->id << 24;
    case REG_VERSION:
        return VERSION;
    default:
        if (ioapic->select < REG_TABLE || index >= 2 * BH_IOAPIC_PINS)
            return 0;
        return (uint32_t)(ioapic->entry[index / 2] >> (index % 2 != 0 ? 32 : 0));
    }
}

static void write_entry(struct bh_ioapic *ioapic, unsigned index, uint32_t value)
{
    unsigned shift = index % 2 != 0 ? 32 : 0;
    uint64_t *entry = &ioapic->entry[index / 2];
    uint64_t writable = RTE_WRITABLE & UINT64_C(0xffffffff) << shift;

    *entry = (*entry & ~writable) | ((uint64_t)value << shift & writable);
    if ((*entry & RTE_LEVEL) == 0)
        *entry &= ~RTE_REMOTE_IRR; /* an edge entry waits for nobody */
    service_level(ioapic, index / 2);
}

static void write_register(struct bh_ioapic *ioapic, uint32_t value)
{
    unsigned index = ioapic->select - REG_TABLE;

    if (ioapic->select == REG_ID)
        ioapic->id = value >> 24 & 0xf;
    else if (ioapic->select >= REG_TABLE && index < 2 * BH_IOAPIC_PINS)
        write_entry(ioapic, index, value);
}

static uint64_t ioapic_read(void *context, uint64_t offset, unsigned size)
{
    const struct bh_ioapic *ioapic = context;

    (void)size;
    switch (offset) {
    case MMIO_SELECT:
        return ioapic->select;
    case MMIO_WINDOW:
        return read_register(ioapic);
    default:
        return 0;
    }
}

static void ioapic_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    struct bh_ioapic *ioapic = context;

    (void)size;
    switch (offset) {
    case MMIO_SELECT:
        ioapic->select = (uint8_t)value;
        break;
    case MMIO_WINDOW:
        write_register(ioapic, (uint32_t)value);
        break;
    case MMIO_EOI:
        bh_ioapic_end_of_interrupt(ioapic, (uint8_t)value);
        break;
    default:
        break;
    }
}

struct bh_bus_device bh_ioapic_device(struct bh_ioapic *ioapic)
{
    return (struct bh_bus_device){.read = ioapic_read, .write = ioapic_write, .context = ioapic};
}
