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

void bh_chipset_init(struct bh_chipset *chipset, const struct bh_chipset_host *host,
                     struct bh_chipset_journal *journal)
{
    memset(chipset, 0, sizeof(*chipset));
    chipset->host = *host;
    (void)pthread_mutex_init(&chipset->lock, NULL);
    bh_chipset_reset(chipset);
    chipset->journal = journal;
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

/* The one that counts. */
static const struct bh_chipset_image *image_of(const struct bh_chipset_journal *journal)
{
    return &journal->image[journal->number % 2];
}

static void commit(struct bh_chipset *chipset)
{
    struct bh_chipset_journal *journal = chipset->journal;
    uint64_t number;

    if (journal == NULL)
        return;
    number = journal->number + 1;
    journal->image[number % 2] =
        (struct bh_chipset_image){.serial = chipset->serial,
                                  .rtc = chipset->rtc,
                                  .pmtimer = chipset->pmtimer,
                                  .ioapic = chipset->ioapic,
                                  .output_end = chipset->host.output_end(chipset->host.context)};
    __atomic_store_n(&journal->number, number, __ATOMIC_RELEASE);
}

void bh_chipset_reset(struct bh_chipset *chipset)
{
    (void)pthread_mutex_lock(&chipset->lock);
    init_devices(chipset);
    fill_buses(chipset);
    if (chipset->journal != NULL) /* NULL at the beginning, too: another may have left one */
        memset(chipset->journal->vp, 0, sizeof(chipset->journal->vp));
    commit(chipset);
    (void)pthread_mutex_unlock(&chipset->lock);
}

/* --- the journal -------------------------------------------------------------------------- */

void bh_chipset_begin(struct bh_chipset *chipset)
{
    (void)pthread_mutex_lock(&chipset->lock);
}

void bh_chipset_end(struct bh_chipset *chipset, uint32_t vp, const struct bh_mmio_cpu *cpu,
                    bool rax_only)
{
    struct bh_chipset_result *result;

    if (chipset->journal != NULL) {
        result = &chipset->journal->vp[vp];
        result->cpu = *cpu;
        result->rax_only = rax_only;
        __atomic_store_n(&result->number, chipset->journal->number + 1, __ATOMIC_RELEASE);
        commit(chipset);
    }
    (void)pthread_mutex_unlock(&chipset->lock);
}

void bh_chipset_stored(struct bh_chipset *chipset, uint32_t vp)
{
    __atomic_store_n(&chipset->journal->vp[vp].number, 0, __ATOMIC_RELEASE);
}

const struct bh_chipset_result *bh_chipset_result_of(const struct bh_chipset *chipset, uint32_t vp)
{
    const struct bh_chipset_result *result = &chipset->journal->vp[vp];

    return result->number != 0 && result->number <= chipset->journal->number ? result : NULL;
}

uint64_t bh_chipset_output_end(const struct bh_chipset_journal *journal)
{
    return image_of(journal)->output_end;
}

/* The callbacks are this process's. The end of an interrupt may not have been heard. */
void bh_chipset_resume(struct bh_chipset *chipset)
{
    const struct bh_chipset_image *image = image_of(chipset->journal);
    const struct bh_serial_host serial = chipset->serial.host;
    const struct bh_ioapic ioapic = chipset->ioapic;

    (void)pthread_mutex_lock(&chipset->lock);
    chipset->serial = image->serial;
    chipset->serial.host = serial;
    chipset->rtc = image->rtc;
    chipset->rtc.now = wall_clock;
    chipset->rtc.context = NULL;
    chipset->pmtimer = image->pmtimer;
    chipset->pmtimer.now = now;
    chipset->pmtimer.context = NULL;
    chipset->ioapic = image->ioapic;
    chipset->ioapic.deliver = ioapic.deliver;
    chipset->ioapic.context = ioapic.context;
    for (unsigned vector = 0; vector <= UINT8_MAX; vector++)
        bh_ioapic_end_of_interrupt(&chipset->ioapic, (uint8_t)vector);
    (void)pthread_mutex_unlock(&chipset->lock);
}

void bh_chipset_hold_time(struct bh_chipset *chipset, bool hold)
{
    (void)pthread_mutex_lock(&chipset->lock);
    if (hold)
        bh_pmtimer_hold(&chipset->pmtimer);
    else
        bh_pmtimer_release(&chipset->pmtimer);
    commit(chipset);
    (void)pthread_mutex_unlock(&chipset->lock);
}

void bh_chipset_end_of_interrupt(struct bh_chipset *chipset, uint8_t vector)
{
    (void)pthread_mutex_lock(&chipset->lock);
    bh_ioapic_end_of_interrupt(&chipset->ioapic, vector);
    commit(chipset);
    (void)pthread_mutex_unlock(&chipset->lock);
}

size_t bh_chipset_serial_input(struct bh_chipset *chipset, const uint8_t *data, size_t length)
{
    size_t taken;

    (void)pthread_mutex_lock(&chipset->lock);
    taken = bh_serial_input(&chipset->serial, data, length);
    commit(chipset);
    (void)pthread_mutex_unlock(&chipset->lock);
    return taken;
}
