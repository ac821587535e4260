/* SPDX-License-Identifier: MIT */
/* The clock's arithmetic and the timer's, with a local APIC of one register. */
#include "hv/arch.h"
#include "hv/core/timer.h"
#include "hv/x86/lapic.h"
#include "hv/x86/lp.h"
#include "hv/x86/time.h"
#include "tests/unit/hv/unit.h"

#define PM_HZ      3579545ull
#define TSC_HZ     3000000000ull
#define LAPIC_HZ   1000000000ull
#define START_TSC  7777777777ull
#define PM_TICKS   (PM_HZ / 20)
#define SECOND     10000000ull
#define COUNT_MOST 0xffffffffu

static uint32_t initial_count;

uint32_t lapic_read(enum lapic_register reg)
{
    (void)reg;
    return initial_count;
}

void lapic_write(enum lapic_register reg, uint32_t value)
{
    assert_int_equal(reg, LAPIC_TIMER_INITIAL);
    initial_count = value;
}

/* 50 ms of all three clocks. */
static int setup(void **state)
{
    (void)state;
    const struct clock_sample start = {.tsc = START_TSC, .pm = 5, .lapic = 0xffffff00};
    const struct clock_sample end = {.tsc = START_TSC + TSC_HZ / 20,
                                     .pm = 5 + (uint32_t)PM_TICKS,
                                     .lapic = 0xffffff00 - (uint32_t)(LAPIC_HZ / 20)};

    time_base_set(&start, &end, PM_TICKS);
    initial_count = 1;
    return 0;
}

static void assert_near(uint64_t value, uint64_t wanted, uint64_t slack)
{
    assert_in_range(value, wanted - slack, wanted + slack);
}

static void test_rates(void **state)
{
    (void)state;
    assert_near(time_base.tsc_hz, TSC_HZ, TSC_HZ / 100000);
    assert_near(time_base.lapic_hz, LAPIC_HZ, LAPIC_HZ / 100000);
}

/* The clock begins near 0 and stays right for years. */
static void test_time_from_counter(void **state)
{
    (void)state;
    const uint64_t year = 365 * 86400ull;

    assert_near(time_from_tsc(START_TSC + TSC_HZ), SECOND, SECOND / 100000);
    assert_true(arch_time_from_tsc(START_TSC) <= 1);
    assert_near(arch_time_from_tsc(START_TSC + 100 * year * TSC_HZ), 100 * year * SECOND,
                year * SECOND / 500);
    assert_near(arch_ticks_to_reftime(TSC_HZ), SECOND, SECOND / 100000);
}

/* A guest may ask for a moment before the hypervisor's start: that is due, not never. */
static void test_time_before_the_start(void **state)
{
    (void)state;
    assert_int_equal(arch_time_from_tsc(1), 0);
    assert_int_equal(arch_time_from_tsc(START_TSC / 2), 0);
    assert_true(arch_time_from_tsc(UINT64_MAX) < TIMER_NEVER / 2);
}

/* Rounded up, so that the timer is never early; and no wait is too long to be written. */
static void test_arm(void **state)
{
    (void)state;
    time_arm(TIMER_NEVER, 5);
    assert_int_equal(initial_count, 0);
    time_arm(1000, 1000);
    assert_int_equal(initial_count, 1);
    time_arm(10, 1000);
    assert_int_equal(initial_count, 1);
    time_arm(1000 + SECOND / 1000, 1000);
    assert_near(initial_count, LAPIC_HZ / 1000 + 1, LAPIC_HZ / 1000 / 1000);
    time_arm(1000 + 3600 * SECOND, 1000);
    assert_int_equal(initial_count, COUNT_MOST);
    time_arm(TIMER_NEVER - 1, 0);
    assert_int_equal(initial_count, COUNT_MOST);
    time_base.lapic_hz = 5 * LAPIC_HZ;
    time_arm(SECOND - 1, 0);
    assert_int_equal(initial_count, COUNT_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rates, setup),
        cmocka_unit_test_setup(test_time_from_counter, setup),
        cmocka_unit_test_setup(test_time_before_the_start, setup),
        cmocka_unit_test_setup(test_arm, setup),
    };

    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
