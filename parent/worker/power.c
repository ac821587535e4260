/* SPDX-License-Identifier: MIT */
#include "parent/worker/power.h"

#include <stddef.h>

#define SLP_EN        0x20u
#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  0x7u

#define NMI_REASON_PORT     0x61u
#define KEYBOARD_PORT       0x64u
#define KEYBOARD_PULSE_BASE 0xf0u
#define KEYBOARD_RESET_BIT  0x01u  /* the pulsed line is low in the command's bit */
#define PCI_CONFIG_PORT     0xcf8u /* no PCI bus is there; only the reset byte in the middle */
#define PCI_RESET_OFFSET    1u
#define PCI_RESET_CPU       0x04u

static void tell(const struct bh_power *power, enum bh_power_event event, uint64_t value)
{
    power->event(power->context, event, (uint32_t)value);
}

static uint64_t read_zero(void *context, uint64_t offset, unsigned size)
{
    (void)context;
    (void)offset;
    (void)size;
    return 0;
}

static uint64_t read_ones(void *context, uint64_t offset, unsigned size)
{
    (void)context;
    (void)offset;
    (void)size;
    return UINT64_MAX;
}

static void write_nothing(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    (void)context;
    (void)offset;
    (void)size;
    (void)value;
}

/* Sleep control, sleep status (its only bit is never set) and reset, in this order. */
static void write_acpi(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    unsigned port = BH_SLEEP_CONTROL_PORT + (unsigned)offset;
    unsigned sleep_type = (unsigned)(value >> SLP_TYP_SHIFT) & SLP_TYP_MASK;

    (void)size;
    if (port == BH_SLEEP_CONTROL_PORT && (value & SLP_EN) != 0 && sleep_type == BH_SLEEP_TYPE_S5)
        tell(context, BH_POWER_OFF, 0);
    else if (port == BH_RESET_PORT && (value & 0xff) == BH_RESET_VALUE)
        tell(context, BH_POWER_RESET, 0);
}

/* Commands 0xf0 to 0xff pulse output lines of the controller; one of them is reset. */
static void write_keyboard(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset;
    (void)size;
    if ((value & KEYBOARD_PULSE_BASE) == KEYBOARD_PULSE_BASE && (value & KEYBOARD_RESET_BIT) == 0)
        tell(context, BH_POWER_RESET, 0);
}

static void write_pci_reset(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset == PCI_RESET_OFFSET && size == 1 && (value & PCI_RESET_CPU) != 0)
        tell(context, BH_POWER_RESET, 0);
}

static void write_debug_exit(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset;
    (void)size;
    tell(context, BH_POWER_DEBUG_EXIT, value);
}

static bool add(struct bh_power *power, struct bh_bus *ports, uint64_t base, uint64_t length,
                struct bh_bus_device device)
{
    device.context = power;
    return bh_bus_add(ports, base, length, &device);
}

bool bh_power_attach(struct bh_power *power, struct bh_bus *ports)
{
    static const struct bh_bus_device acpi = {read_zero, write_acpi, NULL};
    static const struct bh_bus_device nmi_reason = {read_zero, write_nothing, NULL};
    static const struct bh_bus_device keyboard = {read_ones, write_keyboard, NULL};
    static const struct bh_bus_device pci_reset = {read_ones, write_pci_reset, NULL};
    static const struct bh_bus_device debug_exit = {read_ones, write_debug_exit, NULL};

    return add(power, ports, BH_SLEEP_CONTROL_PORT, 3, acpi) &&
           add(power, ports, NMI_REASON_PORT, 1, nmi_reason) &&
           add(power, ports, KEYBOARD_PORT, 1, keyboard) &&
           add(power, ports, PCI_CONFIG_PORT, 4, pci_reset) &&
           add(power, ports, BH_DEBUG_EXIT_PORT, 4, debug_exit);
}
