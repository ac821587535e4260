/* SPDX-License-Identifier: MIT */
/* Timer queues: order, cancelling, owners that arm in their own expiry, random use. */
#include "hv/core/timer.h"
#include "tests/unit/hv/unit.h"

#define TIMERS 200u

struct alarm {
    struct timer timer;
    struct timer_queue *queue;
    unsigned expired;
    reftime_t again;      /* armed anew by its own expiry, unless 0 */
    struct alarm *victim; /* cancelled by its expiry */
};

static struct timer_queue queue;
static struct alarm alarm_of[TIMERS];
static struct alarm *order[TIMERS * 4];
static unsigned orders;

static void alarm_expire(struct timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    assert_false(timer->armed);
    alarm->expired++;
    order[orders++ % (TIMERS * 4)] = alarm;
    if (alarm->again) {
        timer_arm(alarm->queue, timer, alarm->again);
    }
    if (alarm->victim) {
        timer_cancel(alarm->queue, &alarm->victim->timer);
    }
}

static int setup(void **state)
{
    (void)state;
    timer_queue_init(&queue);
    orders = 0;
    for (unsigned i = 0; i < TIMERS; i++) {
        alarm_of[i] = (struct alarm){.queue = &queue};
        timer_init(&alarm_of[i].timer, alarm_expire);
    }
    return 0;
}

static void arm(unsigned i, reftime_t deadline)
{
    timer_arm(&queue, &alarm_of[i].timer, deadline);
}

static void test_nothing_armed(void **state)
{
    (void)state;
    assert_int_equal(timer_next_deadline(&queue), TIMER_NEVER);
    timer_run_expired(&queue, 1000);
    timer_cancel(&queue, &alarm_of[0].timer);
    assert_int_equal(orders, 0);
}

static void test_expires_in_order(void **state)
{
    (void)state;
    arm(0, 30);
    arm(1, 10);
    arm(2, 20);
    assert_int_equal(timer_next_deadline(&queue), 10);
    timer_run_expired(&queue, 9);
    assert_int_equal(orders, 0);
    timer_run_expired(&queue, 20);
    assert_int_equal(orders, 2);
    assert_ptr_equal(order[0], &alarm_of[1]);
    assert_ptr_equal(order[1], &alarm_of[2]);
    assert_int_equal(timer_next_deadline(&queue), 30);
    timer_run_expired(&queue, 31);
    assert_int_equal(alarm_of[0].expired, 1);
    assert_int_equal(timer_next_deadline(&queue), TIMER_NEVER);
}

static void test_cancel_and_move(void **state)
{
    (void)state;
    arm(0, 10);
    arm(1, 20);
    arm(2, 30);
    timer_cancel(&queue, &alarm_of[0].timer);
    timer_cancel(&queue, &alarm_of[0].timer);
    assert_int_equal(timer_next_deadline(&queue), 20);
    arm(1, 40);
    assert_int_equal(timer_next_deadline(&queue), 30);
    arm(2, 5);
    assert_int_equal(timer_next_deadline(&queue), 5);
    timer_run_expired(&queue, 100);
    assert_int_equal(alarm_of[0].expired, 0);
    assert_int_equal(alarm_of[1].expired, 1);
    assert_int_equal(alarm_of[2].expired, 1);
    assert_int_equal(orders, 2);
}

static void test_arming_in_the_past(void **state)
{
    (void)state;
    timer_run_expired(&queue, 100);
    arm(0, 50);
    assert_int_equal(timer_next_deadline(&queue), 101);
    timer_run_expired(&queue, 101);
    assert_int_equal(alarm_of[0].expired, 1);
}

/* A periodic timer with a period far below the time between two runs. */
static void test_owner_can_not_hold_the_processor(void **state)
{
    (void)state;
    alarm_of[0].again = 1;
    alarm_of[1].again = 150;
    arm(0, 1);
    arm(1, 60);
    for (unsigned run = 1; run <= 5; run++) {
        timer_run_expired(&queue, 200ull * run);
        assert_int_equal(alarm_of[0].expired, run);
        assert_int_equal(alarm_of[1].expired, run);
        assert_int_equal(timer_next_deadline(&queue), 200ull * run + 1);
    }
}

static void test_expiry_cancels_another(void **state)
{
    (void)state;
    alarm_of[0].victim = &alarm_of[1];
    arm(0, 10);
    arm(1, 20);
    timer_run_expired(&queue, 30);
    assert_int_equal(alarm_of[0].expired, 1);
    assert_int_equal(alarm_of[1].expired, 0);
    assert_false(alarm_of[1].timer.armed);
}

static void test_last_moment_never_expires(void **state)
{
    (void)state;
    arm(0, UINT64_MAX);
    timer_run_expired(&queue, UINT64_MAX - 1);
    assert_int_equal(alarm_of[0].expired, 0);
    assert_int_equal(timer_next_deadline(&queue), TIMER_NEVER);
}

/* Against a plain table of deadlines. */
static void test_random_use(void **state)
{
    (void)state;
    reftime_t deadline[TIMERS], now = 0;
    uint64_t random = 11;
    unsigned expired[TIMERS] = {0};

    for (unsigned i = 0; i < TIMERS; i++) {
        deadline[i] = TIMER_NEVER;
    }
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = (unsigned)(random_next(&random) % TIMERS);
        uint64_t what = random_next(&random) % 8;
        reftime_t next = TIMER_NEVER;

        if (what < 4) {
            deadline[i] = now + 1 + random_next(&random) % 1000;
            arm(i, deadline[i]);
        } else if (what < 6) {
            deadline[i] = TIMER_NEVER;
            timer_cancel(&queue, &alarm_of[i].timer);
        } else {
            now += random_next(&random) % 50;
            timer_run_expired(&queue, now);
        }
        for (i = 0; i < TIMERS; i++) {
            if (deadline[i] <= now) {
                deadline[i] = TIMER_NEVER;
                expired[i]++;
            }
            next = deadline[i] < next ? deadline[i] : next;
            assert_int_equal(alarm_of[i].expired, expired[i]);
        }
        assert_int_equal(timer_next_deadline(&queue), next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_armed, setup),
        cmocka_unit_test_setup(test_expires_in_order, setup),
        cmocka_unit_test_setup(test_cancel_and_move, setup),
        cmocka_unit_test_setup(test_arming_in_the_past, setup),
        cmocka_unit_test_setup(test_owner_can_not_hold_the_processor, setup),
        cmocka_unit_test_setup(test_expiry_cancels_another, setup),
        cmocka_unit_test_setup(test_last_moment_never_expires, setup),
        cmocka_unit_test_setup(test_random_use, setup),
    };

    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
