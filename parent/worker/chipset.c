/* SPDX-License-Identifier: MIT */
#include "parent/worker/chipset.h"

#include <string.h>
#include <time.h>

#include "parent/worker/acpi.h"
#include "vsp/bus/loop.h"

static int64_t wall_clock(void *context)
{
    (void)context;
    return (int64_t)time(NULL);
}

static uint64_t now(void *context)
{
    (void)context;
    return bh_loop_now();
}

static void serial_interrupt(void *context, bool level)
{
    struct bh_chipset *chipset = context;

    bh_ioapic_set_pin(&chipset->ioapic, BH_SERIAL_IRQ, level);
}

static void serial_output(void *context, uint8_t byte)
{
    const struct bh_chipset *chipset = context;

    chipset->host.output(chipset->host.context, byte);
}

static void serial_input_wanted(void *context)
{
    const struct bh_chipset *chipset = context;

    chipset->host.input_wanted(chipset->host.context);
}

void bh_chipset_init(struct bh_chipset *chipset, const struct bh_chipset_host *host)
{
    memset(chipset, 0, sizeof(*chipset));
    chipset->host = *host;
    (void)pthread_mutex_init(&chipset->lock, NULL);
    bh_chipset_reset(chipset);
}

static void init_devices(struct bh_chipset *chipset)
{
    const struct bh_serial_host serial = {serial_output, serial_interrupt, serial_input_wanted,
                                          chipset};

    bh_serial_init(&chipset->serial, &serial);
    bh_rtc_init(&chipset->rtc, wall_clock, NULL);
    chipset->pmtimer = (struct bh_pmtimer){.now = now};
    bh_ioapic_init(&chipset->ioapic, chipset->host.interrupt, chipset->host.context);
    chipset->power =
        (struct bh_power){.event = chipset->host.power, .context = chipset->host.context};
}

/* The ranges are constants that do not overlap, so adding them does not fail. */
static void fill_buses(struct bh_chipset *chipset)
{
    struct bh_bus_device serial = bh_serial_device(&chipset->serial);
    struct bh_bus_device rtc = bh_rtc_device(&chipset->rtc);
    struct bh_bus_device pmtimer = bh_pmtimer_device(&chipset->pmtimer);
    struct bh_bus_device ioapic = bh_ioapic_device(&chipset->ioapic);

    memset(&chipset->ports, 0, sizeof(chipset->ports));
    memset(&chipset->mmio, 0, sizeof(chipset->mmio));
    (void)bh_bus_add(&chipset->ports, BH_SERIAL_BASE, BH_SERIAL_PORTS, &serial);
    (void)bh_bus_add(&chipset->ports, BH_RTC_PORT, BH_RTC_PORTS, &rtc);
    (void)bh_bus_add(&chipset->ports, BH_PMTIMER_PORT, BH_PMTIMER_PORTS, &pmtimer);
    (void)bh_power_attach(&chipset->power, &chipset->ports);
    (void)bh_bus_add(&chipset->mmio, BH_IOAPIC_BASE, BH_IOAPIC_SIZE, &ioapic);
}

void bh_chipset_reset(struct bh_chipset *chipset)
{
    (void)pthread_mutex_lock(&chipset->lock);
    init_devices(chipset);
    fill_buses(chipset);
    (void)pthread_mutex_unlock(&chipset->lock);
}

uint64_t bh_chipset_read_port(struct bh_chipset *chipset, uint16_t port, unsigned size)
{
    uint64_t value;

    (void)pthread_mutex_lock(&chipset->lock);
    value = bh_bus_read(&chipset->ports, port, size);
    (void)pthread_mutex_unlock(&chipset->lock);
    return value;
}

void bh_chipset_write_port(struct bh_chipset *chipset, uint16_t port, unsigned size, uint64_t value)
{
    (void)pthread_mutex_lock(&chipset->lock);
    bh_bus_write(&chipset->ports, port, size, value);
    (void)pthread_mutex_unlock(&chipset->lock);
}

void bh_chipset_end_of_interrupt(struct bh_chipset *chipset, uint8_t vector)
{
    (void)pthread_mutex_lock(&chipset->lock);
    bh_ioapic_end_of_interrupt(&chipset->ioapic, vector);
    (void)pthread_mutex_unlock(&chipset->lock);
}

size_t bh_chipset_serial_input(struct bh_chipset *chipset, const uint8_t *data, size_t length)
{
    size_t taken;

    (void)pthread_mutex_lock(&chipset->lock);
    taken = bh_serial_input(&chipset->serial, data, length);
    (void)pthread_mutex_unlock(&chipset->lock);
    return taken;
}
