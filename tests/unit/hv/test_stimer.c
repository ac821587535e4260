/* SPDX-License-Identifier: MIT */
/* Synthetic timers: direct and by message, one-shot and periodic, and what they do when late. */
#include "hv/core/stimer.h"

#include <string.h>

#include "hv/abi/msr.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define MESSAGES    0x2000u
#define SINT        2u
#define SINT_VECTOR 0xf3u
#define VECTOR      0xedu
#define DIRECT      (HV_STIMER_DIRECT | (uint64_t)VECTOR << HV_STIMER_VECTOR_SHIFT)
#define BY_MESSAGE  ((uint64_t)SINT << HV_STIMER_SINT_SHIFT)
#define LINUX       0x1ed9u /* enable, auto-enable, vector 0xed, direct */

static struct vp *const vp = &host.vp[0];
static reftime_t start;

static void write_msr(uint32_t index, uint64_t value)
{
    assert_true(msr_write(vp, index, value));
}

static uint64_t read_msr(uint32_t index)
{
    uint64_t value = 0;

    assert_true(msr_read(vp, index, &value));
    return value;
}

static void set_config(unsigned timer, uint64_t value)
{
    write_msr(HV_MSR_STIMER0_CONFIG + 2 * timer, value);
}

static uint64_t config(unsigned timer)
{
    return read_msr(HV_MSR_STIMER0_CONFIG + 2 * timer);
}

static void set_count(unsigned timer, uint64_t value)
{
    write_msr(HV_MSR_STIMER0_CONFIG + 2 * timer + 1, value);
}

static int setup(void **state)
{
    (void)state;
    host_machine_init(1, PARTITION_PARENT);
    start = host.now;
    write_msr(HV_MSR_SIMP, MESSAGES | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SINT0 + SINT, SINT_VECTOR);
    write_msr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
    return 0;
}

static int delivered(void)
{
    const int vector = host_deliver(vp);

    if (vector != VAPIC_NONE) {
        assert_true(vapic_write(vp, VAPIC_EOI, 0));
    }
    return vector;
}

static void expect_at(reftime_t time, int vector)
{
    host_time_set(time - 1);
    assert_int_equal(delivered(), VAPIC_NONE);
    host_time_set(time);
    assert_int_equal(delivered(), vector);
}

static bool nothing_armed(void)
{
    return timer_next_deadline(vp->timers) == TIMER_NEVER;
}

static struct hv_message slot(void)
{
    struct hv_message message;

    host_guest_read(MESSAGES + SINT * HV_MESSAGE_SIZE, &message, sizeof message);
    return message;
}

static struct hv_timer_message_payload payload(void)
{
    const struct hv_message message = slot();
    struct hv_timer_message_payload value;

    assert_int_equal(message.type, HV_MESSAGE_TIMER_EXPIRED);
    assert_int_equal(message.payload_size, sizeof value);
    memcpy(&value, message.payload, sizeof value);
    return value;
}

static void empty_slot(void)
{
    host_guest_write32(MESSAGES + SINT * HV_MESSAGE_SIZE, HV_MESSAGE_NONE);
}

/* ---- direct ---- */

/* The way Linux uses it: configured once, a count for each event. */
static void test_direct_auto_enable(void **state)
{
    (void)state;
    set_config(0, LINUX);
    assert_true(nothing_armed()); /* enabled, but the count is 0 */
    host_time_set(start + 100);
    assert_int_equal(delivered(), VAPIC_NONE);
    for (unsigned i = 1; i <= 3; i++) {
        set_count(0, start + 1000ull * i);
        assert_true(config(0) & HV_STIMER_ENABLE);
        expect_at(start + 1000ull * i, VECTOR);
        assert_int_equal(config(0), LINUX & ~HV_STIMER_ENABLE);
        assert_true(nothing_armed());
    }
    set_count(0, start + 9000);
    set_count(0, 0);
    set_config(0, 0);
    host_time_set(start + 10000);
    assert_int_equal(delivered(), VAPIC_NONE);
    assert_int_equal(vp->stats.timer_expirations, 3);
    assert_int_equal(slot().type, HV_MESSAGE_NONE);
}

static void test_late_deadline_fires_at_once(void **state)
{
    (void)state;
    set_config(0, LINUX);
    set_count(0, 1);
    host_time_set(host.now + 1);
    assert_int_equal(delivered(), VECTOR);
    set_count(0, host.now);
    host_time_set(host.now + 1);
    assert_int_equal(delivered(), VECTOR);
}

static void test_count_rewritten_while_armed(void **state)
{
    (void)state;
    set_config(0, LINUX);
    set_count(0, start + 1000);
    host_time_set(start + 500);
    set_count(0, start + 3000);
    expect_at(start + 3000, VECTOR);
    set_count(0, start + 9000);
    set_count(0, start + 4000);
    expect_at(start + 4000, VECTOR);
    assert_true(nothing_armed());
}

static void test_without_auto_enable(void **state)
{
    (void)state;
    set_config(0, DIRECT);
    set_count(0, start + 1000);
    assert_false(config(0) & HV_STIMER_ENABLE);
    assert_true(nothing_armed());
    set_config(0, DIRECT | HV_STIMER_ENABLE);
    expect_at(start + 1000, VECTOR);
    assert_false(config(0) & HV_STIMER_ENABLE);
    set_count(0, start + 2000);
    host_time_set(start + 3000);
    assert_int_equal(delivered(), VAPIC_NONE);
}

static void test_disable_stops(void **state)
{
    (void)state;
    set_config(0, LINUX);
    set_count(0, start + 1000);
    set_config(0, LINUX & ~HV_STIMER_ENABLE);
    host_time_set(start + 2000);
    assert_int_equal(delivered(), VAPIC_NONE);
    assert_int_equal(read_msr(HV_MSR_STIMER0_CONFIG + 1), start + 1000);
}

static void test_zero_count_disables(void **state)
{
    (void)state;
    set_config(0, DIRECT | HV_STIMER_ENABLE);
    set_count(0, start + 1000);
    set_count(0, 0);
    assert_false(config(0) & HV_STIMER_ENABLE);
    assert_true(nothing_armed());
}

static void test_farthest_deadline(void **state)
{
    (void)state;
    set_config(0, LINUX);
    set_count(0, UINT64_MAX);
    host_time_set(start + 1000000000);
    assert_int_equal(delivered(), VAPIC_NONE);
}

/* ---- four timers, registers ---- */

static void test_four_timers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        set_config(i, HV_STIMER_ENABLE | HV_STIMER_DIRECT |
                          (uint64_t)(0x40 + 16 * i) << HV_STIMER_VECTOR_SHIFT);
        set_count(i, start + 1000ull * (i + 1));
    }
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        assert_int_equal(read_msr(HV_MSR_STIMER0_CONFIG + 2 * i + 1), start + 1000ull * (i + 1));
        expect_at(start + 1000ull * (i + 1), (int)(0x40 + 16 * i));
    }
}

static void test_reserved_bits_fault(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        const bool valid = bit <= 12 || (bit >= 16 && bit <= 19);
        const uint64_t value = 1ull << bit;

        host_machine_init(1, PARTITION_PARENT);
        assert_int_equal(msr_write(vp, HV_MSR_STIMER0_CONFIG + 2, value), valid);
        assert_int_equal(read_msr(HV_MSR_STIMER0_CONFIG + 2),
                         !valid || bit == 0 ? 0 : value); /* bit 0: see the next test */
    }
}

/* Vectors below 16 do not exist, and SINT 0 can not have timer messages. */
static void test_impossible_targets(void **state)
{
    (void)state;
    for (uint64_t vector = 0; vector < 16; vector++) {
        const uint64_t value = HV_STIMER_DIRECT | vector << HV_STIMER_VECTOR_SHIFT;

        assert_false(msr_write(vp, HV_MSR_STIMER0_CONFIG, value | HV_STIMER_ENABLE));
        set_config(0, value | HV_STIMER_AUTO_ENABLE);
        set_count(0, host.now + 1000);
        assert_true(nothing_armed());
        assert_false(config(0) & HV_STIMER_ENABLE);
        set_count(0, 0);
    }
    set_config(0, HV_STIMER_ENABLE);
    assert_int_equal(config(0), 0);
    set_config(0, HV_STIMER_AUTO_ENABLE);
    set_count(0, host.now + 1000);
    assert_true(nothing_armed());
    assert_false(config(0) & HV_STIMER_ENABLE);
}

/* ---- messages ---- */

static void test_message(void **state)
{
    (void)state;
    set_config(3, BY_MESSAGE | HV_STIMER_ENABLE);
    set_count(3, start + 1000);
    host_time_set(start + 999);
    assert_int_equal(slot().type, HV_MESSAGE_NONE);
    host_time_set(start + 1300); /* the LP is late */
    assert_int_equal(delivered(), SINT_VECTOR);
    assert_int_equal(payload().timer_index, 3);
    assert_int_equal(payload().reserved, 0);
    assert_int_equal(payload().expiration_time, start + 1000);
    assert_int_equal(payload().delivery_time, start + 1300);
    assert_false(config(3) & HV_STIMER_ENABLE);
}

static void test_message_waits_for_slot(void **state)
{
    (void)state;
    set_config(0, BY_MESSAGE | HV_STIMER_ENABLE);
    set_config(1, BY_MESSAGE | HV_STIMER_ENABLE);
    set_count(0, start + 1000);
    set_count(1, start + 2000);
    host_time_set(start + 2000);
    assert_int_equal(delivered(), SINT_VECTOR);
    assert_int_equal(payload().timer_index, 0);
    assert_true(slot().flags & HV_MESSAGE_FLAG_PENDING);
    assert_int_equal(delivered(), VAPIC_NONE);
    host_time_set(start + 5000);
    empty_slot();
    write_msr(HV_MSR_EOM, 0);
    assert_int_equal(delivered(), SINT_VECTOR);
    assert_int_equal(payload().timer_index, 1);
    assert_int_equal(payload().expiration_time, start + 2000);
    assert_int_equal(payload().delivery_time, start + 5000);
    assert_false(slot().flags & HV_MESSAGE_FLAG_PENDING);
    empty_slot();
    write_msr(HV_MSR_EOM, 0);
    assert_int_equal(slot().type, HV_MESSAGE_NONE);
}

/* EOM while the slot is still busy, and three waiting: each EOM brings one, and asks for the next.
 */
static void test_messages_wait_in_a_row(void **state)
{
    (void)state;
    unsigned seen = 0;

    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        set_config(i, BY_MESSAGE | HV_STIMER_ENABLE);
        set_count(i, start + 10 + i);
    }
    host_time_set(start + 100);
    write_msr(HV_MSR_EOM, 0);
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        seen |= 1u << payload().timer_index;
        const bool pending = slot().flags & HV_MESSAGE_FLAG_PENDING;

        assert_int_equal(pending, i + 1 < HV_STIMER_COUNT);
        empty_slot();
        write_msr(HV_MSR_EOM, 0);
    }
    assert_int_equal(seen, 0xf);
    assert_int_equal(slot().type, HV_MESSAGE_NONE);
}

static void test_message_waits_for_synic(void **state)
{
    (void)state;
    write_msr(HV_MSR_SCONTROL, 0);
    set_config(0, BY_MESSAGE | HV_STIMER_ENABLE);
    set_count(0, start + 1000);
    host_time_set(start + 1000);
    assert_int_equal(delivered(), VAPIC_NONE);
    write_msr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
    assert_int_equal(delivered(), SINT_VECTOR);
    assert_int_equal(payload().expiration_time, start + 1000);
}

static void test_reconfigured_timer_forgets_message(void **state)
{
    (void)state;
    host_guest_write32(MESSAGES + SINT * HV_MESSAGE_SIZE, 1);
    set_config(0, BY_MESSAGE | HV_STIMER_ENABLE);
    set_count(0, start + 1000);
    host_time_set(start + 1000);
    set_config(0, 0);
    empty_slot();
    write_msr(HV_MSR_EOM, 0);
    assert_int_equal(slot().type, HV_MESSAGE_NONE);
}

/* ---- periodic ---- */

static void test_periodic(void **state)
{
    (void)state;
    set_config(0, DIRECT | HV_STIMER_PERIODIC | HV_STIMER_ENABLE);
    set_count(0, 10000);
    for (unsigned i = 1; i <= 5; i++) {
        expect_at(start + 10000ull * i, VECTOR);
        assert_true(config(0) & HV_STIMER_ENABLE);
    }
    set_count(0, 0);
    host_time_set(start + 100000);
    assert_int_equal(delivered(), VAPIC_NONE);
}

static void test_lazy_periodic(void **state)
{
    (void)state;
    set_config(0, DIRECT | HV_STIMER_PERIODIC | HV_STIMER_LAZY | HV_STIMER_AUTO_ENABLE);
    set_count(0, 10000);
    assert_true(config(0) & HV_STIMER_ENABLE);
    assert_true(config(0) & HV_STIMER_LAZY);
    expect_at(start + 10000, VECTOR);
    /* Far behind: a few periods at most are made up for. */
    unsigned count = 0;

    host_time_set(start + 10000000);
    for (unsigned i = 0; i < 1000; i++) {
        count += delivered() == (int)VECTOR;
        host_time_set(host.now + 1);
    }
    assert_in_range(count, 1, 3);
}

static void test_periodic_by_message(void **state)
{
    (void)state;
    set_config(0, BY_MESSAGE | HV_STIMER_PERIODIC | HV_STIMER_ENABLE);
    set_count(0, 10000);
    host_time_set(start + 10000);
    assert_int_equal(payload().expiration_time, start + 10000);
    host_time_set(start + 20000); /* the slot is busy */
    empty_slot();
    write_msr(HV_MSR_EOM, 0);
    assert_int_equal(payload().timer_index, 0);
    host_time_set(start + 30000);
    empty_slot();
    host_time_set(start + 40000);
    assert_int_equal(payload().expiration_time, start + 40000);
}

/* A period of 1, and ones so long that the sum with the time does not fit. */
static void test_periodic_can_not_storm(void **state)
{
    (void)state;
    static const uint64_t periods[] = {1, 2, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 1000000};

    for (unsigned p = 0; p < ARRAY_COUNT(periods); p++) {
        unsigned count = 0;

        host_machine_init(1, PARTITION_PARENT);
        set_config(0, DIRECT | HV_STIMER_PERIODIC | HV_STIMER_ENABLE);
        set_count(0, periods[p]);
        for (unsigned i = 0; i < 10000; i++) {
            host_time_set(host.now + 1);
            count += delivered() != VAPIC_NONE;
        }
        assert_in_range(count, 0, 10);
    }
}

static void test_reset(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        set_config(i, DIRECT | HV_STIMER_ENABLE);
        set_count(i, start + 1000);
    }
    stimer_reset(vp);
    assert_true(nothing_armed());
    for (unsigned i = 0; i < 2 * HV_STIMER_COUNT; i++) {
        assert_int_equal(read_msr(HV_MSR_STIMER0_CONFIG + i), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_direct_auto_enable, setup),
        cmocka_unit_test_setup(test_late_deadline_fires_at_once, setup),
        cmocka_unit_test_setup(test_count_rewritten_while_armed, setup),
        cmocka_unit_test_setup(test_without_auto_enable, setup),
        cmocka_unit_test_setup(test_disable_stops, setup),
        cmocka_unit_test_setup(test_zero_count_disables, setup),
        cmocka_unit_test_setup(test_farthest_deadline, setup),
        cmocka_unit_test_setup(test_four_timers, setup),
        cmocka_unit_test_setup(test_reserved_bits_fault, setup),
        cmocka_unit_test_setup(test_impossible_targets, setup),
        cmocka_unit_test_setup(test_message, setup),
        cmocka_unit_test_setup(test_message_waits_for_slot, setup),
        cmocka_unit_test_setup(test_messages_wait_in_a_row, setup),
        cmocka_unit_test_setup(test_message_waits_for_synic, setup),
        cmocka_unit_test_setup(test_reconfigured_timer_forgets_message, setup),
        cmocka_unit_test_setup(test_periodic, setup),
        cmocka_unit_test_setup(test_lazy_periodic, setup),
        cmocka_unit_test_setup(test_periodic_by_message, setup),
        cmocka_unit_test_setup(test_periodic_can_not_storm, setup),
        cmocka_unit_test_setup(test_reset, setup),
    };

    return cmocka_run_group_tests_name("stimer", tests, NULL, NULL);
}
