/* SPDX-License-Identifier: MIT */
/* The APIC timer: one-shot, periodic, TSC deadline, divider, current count. */
#include "hv/core/msr.h"
#include "hv/core/vapic.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define VECTOR       0xecu
#define PERIODIC     (1u << 17)
#define DEADLINE     (2u << 17)
#define DIVIDE_BY_1  0xbu
#define DIVIDE_BY_2  0x0u
#define DIVIDE_BY_16 0x3u
#define PER_UNIT     20ull /* counts of the undivided clock in 100 ns: 200 MHz */
#define MSR_DEADLINE 0x6e0u

static struct vp *const vp = &host.vp[0];
static reftime_t start;

static int setup(void **state)
{
    (void)state;
    host_machine_init(1, PARTITION_PARENT);
    start = host.now;
    return 0;
}

static uint64_t reg(uint32_t number)
{
    uint64_t value = 0;

    assert_true(vapic_read(vp, number, &value));
    return value;
}

static void put(uint32_t number, uint64_t value)
{
    assert_true(vapic_write(vp, number, value));
}

static void set_mode(uint32_t mode)
{
    put(VAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
    put(VAPIC_LVT_TIMER, mode | VECTOR);
}

static bool fired(void)
{
    const int vector = host_deliver(vp);

    if (vector == VAPIC_NONE) {
        return false;
    }
    assert_int_equal(vector, VECTOR);
    put(VAPIC_EOI, 0);
    return true;
}

/* The timer is due at this time and not one unit earlier. */
static void expect_at(reftime_t time)
{
    host_time_set(time - 1);
    assert_false(fired());
    host_time_set(time);
    assert_true(fired());
}

static void test_frequency_is_what_the_guest_is_told(void **state)
{
    (void)state;
    uint64_t hz;

    assert_true(msr_read(vp, 0x40000023, &hz));
    assert_int_equal(hz, PER_UNIT * 10000000ull);
}

static void test_one_shot(void **state)
{
    (void)state;
    set_mode(0);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 1000 * PER_UNIT);
    host_time_set(start + 400);
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 600 * PER_UNIT);
    expect_at(start + 1000);
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 0);
    assert_int_equal(reg(VAPIC_TIMER_INITIAL), 1000 * PER_UNIT);
    host_time_set(start + 100000);
    assert_false(fired());
    assert_int_equal(vp->stats.timer_expirations, 1);
}

/* Never early: a part of a unit is rounded up. */
static void test_rounding(void **state)
{
    (void)state;
    set_mode(0);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT + 1);
    expect_at(start + 1001);
    start = host.now;
    put(VAPIC_TIMER_INITIAL, 1);
    expect_at(start + 1);
}

static void test_dividers(void **state)
{
    (void)state;
    static const struct {
        uint32_t divide, by;
    } table[] = {{0x0, 2},  {0x1, 4},  {0x2, 8},   {0x3, 16},
                 {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};

    for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
        set_mode(0);
        put(VAPIC_TIMER_DIVIDE, table[i].divide);
        start = host.now;
        put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
        host_time_set(start + 500ull * table[i].by);
        assert_int_equal(reg(VAPIC_TIMER_CURRENT), 500 * PER_UNIT);
        expect_at(start + 1000ull * table[i].by);
    }
}

static void test_longest(void **state)
{
    (void)state;
    set_mode(0);
    put(VAPIC_TIMER_DIVIDE, 0xa);
    put(VAPIC_TIMER_INITIAL, 0xffffffff);
    expect_at(start + (0xffffffffull * 128 + PER_UNIT - 1) / PER_UNIT);
}

static void test_stop_and_restart(void **state)
{
    (void)state;
    set_mode(0);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
    put(VAPIC_TIMER_INITIAL, 0);
    host_time_set(start + 5000);
    assert_false(fired());
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 0);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
    host_time_set(start + 5500);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
    expect_at(start + 6500);
}

static void test_masked_counts_silently(void **state)
{
    (void)state;
    set_mode(VAPIC_LVT_MASKED);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
    host_time_set(start + 400);
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 600 * PER_UNIT);
    host_time_set(start + 1000);
    assert_false(fired());
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 0);
    put(VAPIC_LVT_TIMER, VECTOR);
    assert_false(fired());
}

static void test_illegal_vector(void **state)
{
    (void)state;
    set_mode(0);
    put(VAPIC_LVT_TIMER, 0x0f);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
    host_time_set(start + 1000);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    assert_int_equal(reg(VAPIC_IRR), 0);
}

static void test_periodic(void **state)
{
    (void)state;
    set_mode(PERIODIC);
    put(VAPIC_TIMER_INITIAL, 10000 * PER_UNIT);
    for (unsigned i = 1; i <= 5; i++) {
        expect_at(start + 10000ull * i);
    }
    host_time_set(start + 54000);
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 6000 * PER_UNIT);
    /* Late by less than a period: the beat is kept. */
    host_time_set(start + 63000);
    assert_true(fired());
    expect_at(start + 70000);
    put(VAPIC_TIMER_INITIAL, 0);
    host_time_set(start + 90000);
    assert_false(fired());
}

/* A VP that was not looked at for long gets one interrupt, not one for each period. */
static void test_periodic_after_a_long_stop(void **state)
{
    (void)state;
    unsigned count = 0;

    set_mode(PERIODIC);
    put(VAPIC_TIMER_INITIAL, 10000 * PER_UNIT);
    host_time_set(start + 10000000);
    for (unsigned i = 0; i < 100; i++) {
        host_time_set(host.now + 1);
        count += fired();
    }
    assert_in_range(count, 1, 2);
    host_time_set(host.now + 10000);
    assert_true(fired());
}

/* However short the period asked for, the processor gets to something else. */
static void test_periodic_can_not_storm(void **state)
{
    (void)state;
    unsigned count = 0;

    set_mode(PERIODIC);
    put(VAPIC_TIMER_INITIAL, 1);
    for (unsigned i = 0; i < 10000; i++) {
        host_time_set(host.now + 1);
        count += fired();
    }
    assert_in_range(count, 1, 10);
}

static void test_deadline(void **state)
{
    (void)state;
    uint64_t value;

    set_mode(DEADLINE);
    put(VAPIC_TIMER_INITIAL, 1000); /* ignored in this mode */
    assert_int_equal(reg(VAPIC_TIMER_INITIAL), 0);
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 0);
    const uint64_t tsc = (start + 500) * HOST_TSC_PER_UNIT;

    assert_true(msr_write(vp, MSR_DEADLINE, tsc));
    assert_true(msr_read(vp, MSR_DEADLINE, &value));
    assert_int_equal(value, tsc);
    assert_int_equal(reg(VAPIC_TIMER_CURRENT), 0);
    host_time_set(start + 499);
    assert_false(fired());
    host_time_set(start + 501);
    assert_true(fired());
    assert_true(msr_read(vp, MSR_DEADLINE, &value));
    assert_int_equal(value, 0);
}

static void test_deadline_past_and_cancelled(void **state)
{
    (void)state;
    set_mode(DEADLINE);
    assert_true(msr_write(vp, MSR_DEADLINE, 1));
    host_time_set(start + 1);
    assert_true(fired());
    assert_true(msr_write(vp, MSR_DEADLINE, (start + 100) * HOST_TSC_PER_UNIT));
    assert_true(msr_write(vp, MSR_DEADLINE, 0));
    host_time_set(start + 1000);
    assert_false(fired());
    assert_true(msr_write(vp, MSR_DEADLINE, UINT64_MAX));
    host_time_set(start + 100000000);
    assert_false(fired());
}

/* CPUID shows the register only where all LPs' counters agree. */
static void test_deadline_hidden(void **state)
{
    (void)state;
    uint64_t value;

    host.tsc_synchronized = false;
    assert_false(msr_read(vp, MSR_DEADLINE, &value));
    assert_false(msr_write(vp, MSR_DEADLINE, 5));
}

/* Changing to or from deadline mode disarms the timer; the MSR means nothing in the other modes. */
static void test_mode_changes(void **state)
{
    (void)state;
    uint64_t value;

    set_mode(0);
    assert_true(msr_write(vp, MSR_DEADLINE, 5));
    assert_true(msr_read(vp, MSR_DEADLINE, &value));
    assert_int_equal(value, 0);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
    put(VAPIC_LVT_TIMER, DEADLINE | VECTOR);
    host_time_set(start + 2000);
    assert_false(fired());
    assert_true(msr_write(vp, MSR_DEADLINE, (start + 3000) * HOST_TSC_PER_UNIT));
    put(VAPIC_LVT_TIMER, VECTOR);
    host_time_set(start + 4000);
    assert_false(fired());
    assert_true(msr_read(vp, MSR_DEADLINE, &value));
    assert_int_equal(value, 0);
}

/* One-shot to periodic while it counts: the count goes on. */
static void test_one_shot_to_periodic(void **state)
{
    (void)state;
    set_mode(0);
    put(VAPIC_TIMER_INITIAL, 10000 * PER_UNIT);
    host_time_set(start + 5000);
    put(VAPIC_LVT_TIMER, PERIODIC | VECTOR);
    expect_at(start + 10000);
    expect_at(start + 20000);
}

static void test_divide_change_while_counting(void **state)
{
    (void)state;
    set_mode(0);
    put(VAPIC_TIMER_INITIAL, 1000 * PER_UNIT);
    put(VAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
    host_time_set(start + 1000);
    assert_false(fired());
    host_time_set(start + 16000);
    assert_true(fired());
    put(VAPIC_TIMER_DIVIDE, DIVIDE_BY_2); /* the timer is done: nothing starts */
    host_time_set(start + 100000);
    assert_false(fired());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_frequency_is_what_the_guest_is_told, setup),
        cmocka_unit_test_setup(test_one_shot, setup),
        cmocka_unit_test_setup(test_rounding, setup),
        cmocka_unit_test_setup(test_dividers, setup),
        cmocka_unit_test_setup(test_longest, setup),
        cmocka_unit_test_setup(test_stop_and_restart, setup),
        cmocka_unit_test_setup(test_masked_counts_silently, setup),
        cmocka_unit_test_setup(test_illegal_vector, setup),
        cmocka_unit_test_setup(test_periodic, setup),
        cmocka_unit_test_setup(test_periodic_after_a_long_stop, setup),
        cmocka_unit_test_setup(test_periodic_can_not_storm, setup),
        cmocka_unit_test_setup(test_deadline, setup),
        cmocka_unit_test_setup(test_deadline_past_and_cancelled, setup),
        cmocka_unit_test_setup(test_deadline_hidden, setup),
        cmocka_unit_test_setup(test_mode_changes, setup),
        cmocka_unit_test_setup(test_one_shot_to_periodic, setup),
        cmocka_unit_test_setup(test_divide_change_while_counting, setup),
    };

    return cmocka_run_group_tests_name("vapic_timer", tests, NULL, NULL);
}
