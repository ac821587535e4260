/* SPDX-License-Identifier: MIT */
/* A child's time stands still while its property says so, and goes on where it stopped. */
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/arch.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_child.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define START  1000000ull
#define LONG   300000000ull /* 30 s */
#define VECTOR 0x40u
#define DIRECT (HV_STIMER_ENABLE | HV_STIMER_DIRECT | VECTOR << HV_STIMER_VECTOR_SHIFT)

static struct vp *child;

static enum hv_status set_property_of(uint64_t id, uint32_t code, uint64_t value)
{
    const struct hv_input_set_partition_property input = {
        .partition_id = id, .code = code, .value = value};

    return child_call(HVCALL_SET_PARTITION_PROPERTY, 0, &input, sizeof input);
}

static void freeze(bool on)
{
    assert_int_equal(set_property_of(child_id, HV_PROPERTY_TIME_FREEZE, on), HV_STATUS_SUCCESS);
}

static uint64_t get_property(uint32_t code)
{
    const struct hv_input_get_partition_property input = {.partition_id = child_id, .code = code};
    uint64_t value;

    assert_int_equal(child_call(HVCALL_GET_PARTITION_PROPERTY, 0, &input, sizeof input),
                     HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &value, sizeof value);
    return value;
}

/* As the guest reads it. */
static uint64_t guest_time(void)
{
    uint64_t value;

    assert_true(msr_read(child, HV_MSR_TIME_REF_COUNT, &value));
    return value;
}

/* A child with one VP, and the time START; the guest is told of no interrupt yet. */
static int setup(void **state)
{
    child_setup(state);
    child_activate();
    host_time_set(START);
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    child = host.child_vps;
    child->explicit_suspend = false;
    child->activity = VP_ACTIVE;
    assert_true(vapic_write(child, VAPIC_SPURIOUS, 0x1ff));
    return 0;
}

static void start_timer(uint64_t config, uint64_t count)
{
    assert_true(msr_write(child, HV_MSR_STIMER0_CONFIG, 0));
    assert_true(msr_write(child, HV_MSR_STIMER0_CONFIG + 1, count));
    assert_true(msr_write(child, HV_MSR_STIMER0_CONFIG, config));
}

/* An interrupt has come; it is taken. */
static bool came(void)
{
    if (vapic_next(&child->apic) != (int)VECTOR) {
        return false;
    }
    vapic_accept(child, VECTOR);
    assert_true(vapic_write(child, VAPIC_EOI, 0));
    return true;
}

static void test_time_stands_still(void **state)
{
    (void)state;
    assert_int_equal(get_property(HV_PROPERTY_TIME_FREEZE), 0);
    assert_true(vp_is_runnable(child));
    freeze(true);
    assert_false(vp_is_runnable(child));
    assert_int_equal(get_property(HV_PROPERTY_TIME_FREEZE), 1);
    host_time_set(START + LONG);
    assert_int_equal(guest_time(), START);
    assert_int_equal(get_property(HV_PROPERTY_REFERENCE_TIME), START);
    assert_int_equal(partition_time(&host.partition), START + LONG);
    freeze(false);
    assert_true(vp_is_runnable(child));
    assert_int_equal(guest_time(), START);
    assert_int_equal(host.time_lag[0], LONG);
    host_time_set(START + LONG + 5);
    assert_int_equal(guest_time(), START + 5);
}

static void test_pauses_add_up(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(guest_time(), START + 10 * i);
        freeze(true);
        freeze(true); /* it is */
        host_time_set(host.now + LONG);
        freeze(false);
        freeze(false);
        assert_int_equal(host.time_lag[0], (i + 1) * LONG);
        host_time_set(host.now + 10);
    }
}

/* A VP that stops last saw a time that is not after the one that all stop at. */
static void test_clock_stops_after_the_vps(void **state)
{
    (void)state;
    host.step = 1;
    const uint64_t before = guest_time();

    freeze(true);
    const uint64_t stopped = guest_time();

    assert_true(stopped > before);
    freeze(false);
    host.step = 0;
    assert_in_range(guest_time(), stopped, stopped + 3);
}

static void test_one_shot_timer(void **state)
{
    (void)state;
    start_timer(DIRECT, START + 1000);
    host_time_set(START + 400);
    freeze(true);
    host_time_set(START + LONG);
    assert_false(came());
    freeze(false);
    host_time_set(START + LONG + 599);
    assert_false(came());
    host_time_set(START + LONG + 600);
    assert_true(came());
    host_time_set(START + 2 * LONG);
    assert_false(came());
}

static void test_periodic_timer(void **state)
{
    (void)state;
    start_timer(DIRECT | HV_STIMER_PERIODIC, 5000);
    host_time_set(START + 5000);
    assert_true(came());
    host_time_set(START + 6000);
    freeze(true);
    host_time_set(START + LONG);
    assert_false(came());
    freeze(false);
    assert_false(came());
    for (uint64_t time = START + LONG + 4000; time < START + LONG + 30000; time += 5000) {
        host_time_set(time - 1);
        assert_false(came());
        host_time_set(time);
        assert_true(came());
    }
}

/* What the parent puts in a frozen child waits, too. */
static void test_timer_set_while_frozen(void **state)
{
    (void)state;
    freeze(true);
    host_time_set(START + LONG);
    assert_int_equal(child_set_register(HV_REGISTER_STIMER0_COUNT, START + 100), HV_STATUS_SUCCESS);
    assert_int_equal(child_set_register(HV_REGISTER_STIMER0_CONFIG, DIRECT), HV_STATUS_SUCCESS);
    host_time_set(START + 2 * LONG);
    assert_false(came());
    freeze(false);
    host_time_set(host.now + 99);
    assert_false(came());
    host_time_set(host.now + 1);
    assert_true(came());
}

/* A time so late that it can not be written as the machine's never comes. */
static void test_timer_at_the_end_of_time(void **state)
{
    (void)state;
    start_timer(DIRECT, UINT64_MAX - LONG / 2);
    freeze(true);
    host_time_set(START + LONG);
    freeze(false);
    assert_int_equal(timer_next_deadline(&host.timers[0]), TIMER_NEVER);
    host_time_set(START + 2 * LONG);
    assert_false(came());
}

static void test_apic_timer(void **state)
{
    (void)state;
    uint64_t before, after;

    assert_true(vapic_write(child, VAPIC_TIMER_DIVIDE, 0xb)); /* by 1 */
    assert_true(vapic_write(child, VAPIC_LVT_TIMER, VECTOR));
    assert_true(vapic_write(child, VAPIC_TIMER_INITIAL, VAPIC_TIMER_HZ / 1000)); /* 1 ms */
    host_time_set(START + 4000);
    freeze(true);
    assert_true(vapic_read(child, VAPIC_TIMER_CURRENT, &before));
    host_time_set(START + LONG);
    assert_true(vapic_read(child, VAPIC_TIMER_CURRENT, &after));
    assert_int_equal(before, after);
    assert_int_equal(after, VAPIC_TIMER_HZ / 1000 * 6 / 10);
    freeze(false);
    host_time_set(START + LONG + 5999);
    assert_false(came());
    host_time_set(START + LONG + 6000);
    assert_true(came());
}

/* The guest's TSC is behind by as much. */
static void test_deadline_timer(void **state)
{
    (void)state;
    host.tsc_synchronized = true;
    assert_true(vapic_write(child, VAPIC_LVT_TIMER, 2u << 17 | VECTOR));
    assert_true(msr_write(child, MSR_TSC_DEADLINE, (START + 1000) * HOST_TSC_PER_UNIT));
    freeze(true);
    host_time_set(START + LONG);
    assert_false(came());
    freeze(false);
    host_time_set(START + LONG + 1000);
    assert_false(came());
    host_time_set(START + LONG + 1001);
    assert_true(came());
}

/* One that comes later has the same time as the others. */
static void test_vp_made_later(void **state)
{
    (void)state;
    freeze(true);
    host_time_set(START + LONG);
    assert_int_equal(child_create_vp(1), HV_STATUS_SUCCESS);
    assert_int_equal(host.time_lag[1], 0);
    freeze(false);
    assert_int_equal(host.time_lag[1], LONG);
    assert_int_equal(child_create_vp(2), HV_STATUS_SUCCESS);
    assert_int_equal(host.time_lag[2], LONG);
    child = host.child_vps;
    assert_int_equal(child->index, 2);
    assert_int_equal(guest_time(), START);
}

static void test_refused(void **state)
{
    (void)state;
    const uint64_t bad[] = {2, 1ull << 32, UINT64_MAX};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(set_property_of(child_id, HV_PROPERTY_TIME_FREEZE, bad[i]),
                         HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(set_property_of(child_id, HV_PROPERTY_REFERENCE_TIME, START),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(set_property_of(PARTITION_PARENT, HV_PROPERTY_TIME_FREEZE, 1),
                     HV_STATUS_INVALID_PARTITION_ID);
    assert_true(vp_is_runnable(child));
    host_time_set(START + 7);
    assert_int_equal(guest_time(), START + 7);
}

/* The end of a frozen child is an end like others: the teardown counts what is left. */
static void test_end_of_a_frozen_child(void **state)
{
    (void)state;
    start_timer(DIRECT, START + 1000);
    freeze(true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, child_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_time_stands_still),
        TEST(test_pauses_add_up),
        TEST(test_clock_stops_after_the_vps),
        TEST(test_one_shot_timer),
        TEST(test_periodic_timer),
        TEST(test_timer_set_while_frozen),
        TEST(test_timer_at_the_end_of_time),
        TEST(test_apic_timer),
        TEST(test_deadline_timer),
        TEST(test_vp_made_later),
        TEST(test_refused),
        TEST(test_end_of_a_frozen_child),
    };

    return cmocka_run_group_tests_name("child_time", tests, NULL, NULL);
}
