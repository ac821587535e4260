/* SPDX-License-Identifier: MIT */
/* parent/worker: bus, serial port, clock, timer, I/O APIC and power ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "parent/worker/bus.h"
#include "parent/worker/ioapic.h"
#include "parent/worker/pmtimer.h"
#include "parent/worker/power.h"
#include "parent/worker/rtc.h"
#include "parent/worker/serial.h"

static uint64_t echo_read(void *context, uint64_t offset, unsigned size)
{
    (void)size;
    return *(uint64_t *)context >> 8 * offset;
}

static void echo_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    uint64_t mask = (size >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1) << 8 * offset;
    uint64_t *cell = context;

    *cell = (*cell & ~mask) | (value << 8 * offset & mask);
}

static void the_bus_finds_devices_and_ignores_the_rest(void **state)
{
    uint64_t a = 0x8877665544332211;
    uint64_t b = 0;
    struct bh_bus_device device_a = {echo_read, echo_write, &a};
    struct bh_bus_device device_b = {echo_read, echo_write, &b};
    struct bh_bus bus = {0};

    (void)state;
    assert_true(bh_bus_add(&bus, 0x108, 8, &device_b));
    assert_true(bh_bus_add(&bus, 0x100, 8, &device_a));
    assert_false(bh_bus_add(&bus, 0x10f, 2, &device_a));
    assert_false(bh_bus_add(&bus, 0xff, 2, &device_a));
    assert_false(bh_bus_add(&bus, 0x200, 0, &device_a));
    assert_false(bh_bus_add(&bus, UINT64_MAX, 2, &device_a));
    assert_int_equal(bh_bus_read(&bus, 0x101, 1), 0x22);
    assert_int_equal(bh_bus_read(&bus, 0x100, 4), 0x44332211);
    assert_int_equal(bh_bus_read(&bus, 0x50, 4), 0xffffffff);
    bh_bus_write(&bus, 0x50, 4, 1);
    bh_bus_write(&bus, 0x106, 4, 0xddccbbaa); /* over both devices: byte by byte */
    assert_int_equal(a >> 48, 0xbbaa);
    assert_int_equal(b, 0xddcc);
    assert_int_equal(bh_bus_read(&bus, 0x10e, 4), 0xffff0000);
    assert_int_equal(bh_bus_read(&bus, UINT64_MAX, 8) & 0xff, 0xff);
}

/* --- serial ------------------------------------------------------------------------------- */

static struct {
    char output[64];
    size_t length;
    unsigned rises;
    bool line;
    unsigned wanted;
} host;

static void host_output(void *context, uint8_t byte)
{
    (void)context;
    if (host.length < sizeof(host.output))
        host.output[host.length++] = (char)byte;
}

static void host_interrupt(void *context, bool level)
{
    (void)context;
    assert_int_not_equal(level, host.line);
    host.line = level;
    host.rises += level ? 1 : 0;
}

static void host_wanted(void *context)
{
    (void)context;
    host.wanted++;
}

static struct bh_serial serial;
static struct bh_bus serial_bus;

static int serial_setup(void **state)
{
    struct bh_serial_host callbacks = {host_output, host_interrupt, host_wanted, NULL};
    struct bh_bus_device device = bh_serial_device(&serial);

    (void)state;
    memset(&host, 0, sizeof(host));
    memset(&serial_bus, 0, sizeof(serial_bus));
    bh_serial_init(&serial, &callbacks);
    return bh_bus_add(&serial_bus, 0x3f8, BH_SERIAL_PORTS, &device) ? 0 : 1;
}

static unsigned in(unsigned reg)
{
    return (unsigned)bh_bus_read(&serial_bus, 0x3f8 + reg, 1);
}

static void out(unsigned reg, unsigned value)
{
    bh_bus_write(&serial_bus, 0x3f8 + reg, 1, value);
}

static void serial_writes_and_is_always_ready(void **state)
{
    (void)state;
    assert_int_equal(in(5) & 0x60, 0x60);
    out(0, 'h');
    out(0, 'i');
    assert_int_equal(host.length, 2);
    assert_memory_equal(host.output, "hi", 2);
}

static void serial_divisor_does_not_disturb_data(void **state)
{
    (void)state;
    out(3, 0x83);
    out(0, 1);
    out(1, 2);
    assert_int_equal(in(0), 1);
    assert_int_equal(in(1), 2);
    out(3, 0x03);
    assert_int_equal(in(1), 0);
    assert_int_equal(host.length, 0);
}

static void serial_receives_with_interrupts(void **state)
{
    uint8_t data[20] = "0123456789abcdefghi";

    (void)state;
    out(2, 0x01);
    out(1, 0x01);
    assert_int_equal(bh_serial_input(&serial, data, 20), BH_SERIAL_FIFO);
    assert_false(host.line); /* OUT2 is off: no line to the interrupt controller */
    out(4, 0x08);
    assert_true(host.line);
    assert_int_equal(in(2), 0xc4);
    for (unsigned i = 0; i < BH_SERIAL_FIFO; i++) {
        assert_int_equal(in(5) & 1, 1);
        assert_int_equal(in(0), data[i]);
    }
    assert_false(host.line);
    assert_int_equal(host.wanted, 2); /* the FIFO was switched on, then emptied */
    assert_int_equal(in(5) & 1, 0);
    assert_int_equal(in(2), 0xc1);
}

static void serial_without_fifo_takes_one_byte(void **state)
{
    (void)state;
    assert_int_equal(bh_serial_input(&serial, (const uint8_t *)"ab", 2), 1);
    assert_int_equal(in(0), 'a');
    assert_int_equal(bh_serial_input(&serial, (const uint8_t *)"b", 1), 1);
}

static void serial_tells_that_the_transmitter_is_empty_once(void **state)
{
    (void)state;
    out(4, 0x08);
    out(1, 0x02);
    assert_true(host.line);
    assert_int_equal(in(2), 0x02);
    assert_int_equal(in(2), 0x01);
    assert_false(host.line);
    out(0, 'x');
    assert_true(host.line);
    assert_int_equal(host.rises, 2);
}

static void serial_loopback_is_what_probing_expects(void **state)
{
    (void)state;
    out(4, 0x1a); /* loopback, OUT2, RTS */
    assert_int_equal(in(6) & 0xf0, 0x90);
    out(0, 'q');
    assert_int_equal(host.length, 0);
    assert_int_equal(in(0), 'q');
    assert_int_equal(bh_serial_input(&serial, (const uint8_t *)"b", 1), 0);
    out(0, '1');
    out(0, '2');
    assert_int_equal(in(5) & 0x02, 0x02); /* overrun, told once */
    assert_int_equal(in(5) & 0x02, 0);
    out(7, 0x5a);
    assert_int_equal(in(7), 0x5a);
    assert_int_equal(in(1) & 0xf0, 0);
}

/* --- clock and timer ---------------------------------------------------------------------- */

static int64_t fixed_now(void *context)
{
    return *(int64_t *)context;
}

static unsigned cmos(struct bh_bus *bus, unsigned index)
{
    bh_bus_write(bus, 0x70, 1, index);
    return (unsigned)bh_bus_read(bus, 0x71, 1);
}

static void set_cmos(struct bh_bus *bus, unsigned index, unsigned value)
{
    bh_bus_write(bus, 0x70, 1, index | 0x80);
    bh_bus_write(bus, 0x71, 1, value);
}

static void the_clock_tells_and_takes_the_time(void **state)
{
    int64_t now = 1795212896; /* 2026-11-20 22:14:56 UTC, a Friday */
    struct bh_rtc rtc;
    struct bh_bus bus = {0};
    struct bh_bus_device device = bh_rtc_device(&rtc);

    (void)state;
    bh_rtc_init(&rtc, fixed_now, &now);
    assert_true(bh_bus_add(&bus, BH_RTC_PORT, BH_RTC_PORTS, &device));
    assert_int_equal(cmos(&bus, 0x00), 0x56);
    assert_int_equal(cmos(&bus, 0x02), 0x14);
    assert_int_equal(cmos(&bus, 0x04), 0x22);
    assert_int_equal(cmos(&bus, 0x06), 6);
    assert_int_equal(cmos(&bus, 0x07), 0x20);
    assert_int_equal(cmos(&bus, 0x08), 0x11);
    assert_int_equal(cmos(&bus, 0x09), 0x26);
    assert_int_equal(cmos(&bus, 0x32), 0x20);
    assert_int_equal(cmos(&bus, 0x0a) & 0x80, 0);
    assert_int_equal(cmos(&bus, 0x0d), 0x80);
    set_cmos(&bus, 0x0b, 0x00); /* 12 hours, BCD */
    assert_int_equal(cmos(&bus, 0x04), 0x80 | 0x10);
    set_cmos(&bus, 0x0b, 0x82); /* held while it is set */
    set_cmos(&bus, 0x04, 0x03);
    now += 100;
    set_cmos(&bus, 0x0b, 0x02);
    assert_int_equal(cmos(&bus, 0x04), 0x03);
    assert_int_equal(cmos(&bus, 0x00), 0x56);
    now += 1;
    assert_int_equal(cmos(&bus, 0x00), 0x57);
    set_cmos(&bus, 0x40, 0xa5);
    assert_int_equal(cmos(&bus, 0x40), 0xa5);
}

static uint64_t fixed_ns(void *context)
{
    return *(uint64_t *)context;
}

static void the_timer_counts_at_its_rate(void **state)
{
    uint64_t ns = 0;
    struct bh_pmtimer timer = {.now = fixed_ns, .context = &ns};
    struct bh_bus bus = {0};
    struct bh_bus_device device = bh_pmtimer_device(&timer);

    (void)state;
    assert_true(bh_bus_add(&bus, BH_PMTIMER_PORT, BH_PMTIMER_PORTS, &device));
    assert_int_equal(bh_bus_read(&bus, BH_PMTIMER_PORT, 4), 0);
    ns = 1000000000;
    assert_int_equal(bh_bus_read(&bus, BH_PMTIMER_PORT, 4), BH_PMTIMER_HZ);
    assert_int_equal(bh_bus_read(&bus, BH_PMTIMER_PORT + 1, 1), BH_PMTIMER_HZ >> 8 & 0xff);
    ns = 3600ull * 24 * 365 * 1000000000; /* wraps at 32 bits, without overflow before */
    assert_int_equal(bh_bus_read(&bus, BH_PMTIMER_PORT, 4),
                     (uint32_t)(3600ull * 24 * 365 * BH_PMTIMER_HZ));
}

static void the_timer_stands_still_while_it_is_held(void **state)
{
    uint64_t ns = 1000000000;
    struct bh_pmtimer timer = {.now = fixed_ns, .context = &ns};
    struct bh_bus bus = {0};
    struct bh_bus_device device = bh_pmtimer_device(&timer);

    (void)state;
    assert_true(bh_bus_add(&bus, BH_PMTIMER_PORT, BH_PMTIMER_PORTS, &device));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bh_bus_read(&bus, BH_PMTIMER_PORT, 4), BH_PMTIMER_HZ);
        bh_pmtimer_hold(&timer);
        ns += 30000000000;
        bh_pmtimer_release(&timer);
    }
    ns += 1000000000;
    assert_int_equal(bh_bus_read(&bus, BH_PMTIMER_PORT, 4), 2 * BH_PMTIMER_HZ);
}

/* --- I/O APIC ----------------------------------------------------------------------------- */

static struct {
    unsigned count;
    struct bh_interrupt last;
} delivered;

static void deliver(void *context, const struct bh_interrupt *interrupt)
{
    (void)context;
    delivered.count++;
    delivered.last = *interrupt;
}

static struct bh_ioapic ioapic;
static struct bh_bus ioapic_bus;

static int ioapic_setup(void **state)
{
    struct bh_bus_device device = bh_ioapic_device(&ioapic);

    (void)state;
    memset(&delivered, 0, sizeof(delivered));
    memset(&ioapic_bus, 0, sizeof(ioapic_bus));
    bh_ioapic_init(&ioapic, deliver, NULL);
    return bh_bus_add(&ioapic_bus, BH_IOAPIC_BASE, BH_IOAPIC_SIZE, &device) ? 0 : 1;
}

static uint32_t ioapic_get(unsigned reg)
{
    bh_bus_write(&ioapic_bus, BH_IOAPIC_BASE, 4, reg);
    return (uint32_t)bh_bus_read(&ioapic_bus, BH_IOAPIC_BASE + 0x10, 4);
}

static void ioapic_set(unsigned reg, uint32_t value)
{
    bh_bus_write(&ioapic_bus, BH_IOAPIC_BASE, 4, reg);
    bh_bus_write(&ioapic_bus, BH_IOAPIC_BASE + 0x10, 4, value);
}

static void ioapic_registers_are_as_documented(void **state)
{
    (void)state;
    assert_int_equal(ioapic_get(1), 0x00170020);
    ioapic_set(0, 0x0f000000);
    assert_int_equal(ioapic_get(0), 0x0f000000);
    assert_int_equal(ioapic_get(0x10), 0x10000);
    ioapic_set(0x10, 0xffffffff);
    assert_int_equal(ioapic_get(0x10), 0x1afff);
    ioapic_set(0x11, 0xffffffff);
    assert_int_equal(ioapic_get(0x11), 0xff000000);
    ioapic_set(0x40, 0xffffffff); /* behind the last pin */
    assert_int_equal(ioapic_get(0x40), 0);
    assert_int_equal(ioapic_get(0xff), 0);
}

static void ioapic_edges_are_delivered_unless_masked(void **state)
{
    (void)state;
    bh_ioapic_set_pin(&ioapic, 4, true);
    assert_int_equal(delivered.count, 0);
    bh_ioapic_set_pin(&ioapic, 4, false);
    ioapic_set(0x10 + 8 + 1, 0x02000000);
    ioapic_set(0x10 + 8, 0x0931); /* lowest priority, logical, vector 0x31 */
    bh_ioapic_set_pin(&ioapic, 4, true);
    bh_ioapic_set_pin(&ioapic, 4, true);
    assert_int_equal(delivered.count, 1);
    assert_int_equal(delivered.last.vector, 0x31);
    assert_int_equal(delivered.last.delivery_mode, 1);
    assert_int_equal(delivered.last.destination, 2);
    assert_true(delivered.last.logical);
    assert_false(delivered.last.level);
}

static void ioapic_levels_wait_for_their_end(void **state)
{
    (void)state;
    bh_ioapic_set_pin(&ioapic, 9, true);
    ioapic_set(0x10 + 18, 0x8041); /* unmasked while high: delivered at once */
    assert_int_equal(delivered.count, 1);
    assert_true(delivered.last.level);
    assert_int_equal(ioapic_get(0x10 + 18) & 0x4000, 0x4000);
    bh_ioapic_set_pin(&ioapic, 9, false);
    bh_ioapic_set_pin(&ioapic, 9, true);
    assert_int_equal(delivered.count, 1);
    bh_ioapic_end_of_interrupt(&ioapic, 0x40);
    assert_int_equal(delivered.count, 1);
    bh_ioapic_end_of_interrupt(&ioapic, 0x41); /* still high: again */
    assert_int_equal(delivered.count, 2);
    bh_ioapic_set_pin(&ioapic, 9, false);
    bh_bus_write(&ioapic_bus, BH_IOAPIC_BASE + 0x40, 4, 0x41);
    assert_int_equal(delivered.count, 2);
    assert_int_equal(ioapic_get(0x10 + 18) & 0x4000, 0);
}

/* --- power -------------------------------------------------------------------------------- */

static struct {
    unsigned count;
    enum bh_power_event event;
    uint32_t value;
} power_seen;

static void power_event(void *context, enum bh_power_event event, uint32_t value)
{
    (void)context;
    power_seen.count++;
    power_seen.event = event;
    power_seen.value = value;
}

static void expect_power(const struct bh_bus *bus, unsigned port, unsigned size, uint32_t value,
                         int event)
{
    unsigned before = power_seen.count;

    bh_bus_write(bus, port, size, value);
    assert_int_equal(power_seen.count, before + (event >= 0 ? 1 : 0));
    if (event >= 0)
        assert_int_equal((int)power_seen.event, event);
}

static void power_ports_do_what_they_say_and_nothing_else(void **state)
{
    struct bh_power power = {power_event, NULL};
    struct bh_bus bus = {0};

    (void)state;
    memset(&power_seen, 0, sizeof(power_seen));
    assert_true(bh_power_attach(&power, &bus));
    expect_power(&bus, 0x601, 1, 0x80, -1);
    expect_power(&bus, 0x600, 1, 0x20, -1); /* another sleep type */
    expect_power(&bus, 0x600, 1, 5 << 2, -1);
    expect_power(&bus, 0x600, 1, 5 << 2 | 0x20, BH_POWER_OFF);
    expect_power(&bus, 0x602, 1, 0, -1);
    expect_power(&bus, 0x602, 1, 1, BH_POWER_RESET);
    expect_power(&bus, 0x64, 1, 0xaa, -1);
    expect_power(&bus, 0x64, 1, 0xfe, BH_POWER_RESET);
    expect_power(&bus, 0xcf9, 1, 0x02, -1);
    expect_power(&bus, 0xcf9, 1, 0x06, BH_POWER_RESET);
    expect_power(&bus, 0xcf8, 4, 0x80000600, -1); /* a PCI address, not a reset */
    expect_power(&bus, 0xf4, 4, 0x12345678, BH_POWER_DEBUG_EXIT);
    assert_int_equal(power_seen.value, 0x12345678);
    expect_power(&bus, 0xf4, 1, 0x21, BH_POWER_DEBUG_EXIT);
    assert_int_equal(power_seen.value, 0x21);
    assert_int_equal(bh_bus_read(&bus, 0x61, 1), 0);
    assert_int_equal(bh_bus_read(&bus, 0x601, 1), 0);
    assert_int_equal(bh_bus_read(&bus, 0xcfc, 4), 0xffffffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bus_finds_devices_and_ignores_the_rest),
        cmocka_unit_test_setup(serial_writes_and_is_always_ready, serial_setup),
        cmocka_unit_test_setup(serial_divisor_does_not_disturb_data, serial_setup),
        cmocka_unit_test_setup(serial_receives_with_interrupts, serial_setup),
        cmocka_unit_test_setup(serial_without_fifo_takes_one_byte, serial_setup),
        cmocka_unit_test_setup(serial_tells_that_the_transmitter_is_empty_once, serial_setup),
        cmocka_unit_test_setup(serial_loopback_is_what_probing_expects, serial_setup),
        cmocka_unit_test(the_clock_tells_and_takes_the_time),
        cmocka_unit_test(the_timer_counts_at_its_rate),
        cmocka_unit_test(the_timer_stands_still_while_it_is_held),
        cmocka_unit_test_setup(ioapic_registers_are_as_documented, ioapic_setup),
        cmocka_unit_test_setup(ioapic_edges_are_delivered_unless_masked, ioapic_setup),
        cmocka_unit_test_setup(ioapic_levels_wait_for_their_end, ioapic_setup),
        cmocka_unit_test(power_ports_do_what_they_say_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
