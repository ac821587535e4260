/* SPDX-License-Identifier: MIT */
/* Reserves and caps: kept in every period, paid back, changed, admitted, against any load. */
#include "tests/unit/hv/sched_sim.h"

static void test_reserve_holds(void **state)
{
    (void)state;
    struct sim_vp *reserved = sim_add(1, 30, 0, NEVER, 0);

    sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sim_run_periods(100);
    assert_true(reserved->period_least >= SCHED_PERIOD * 30 / 100);
    sim_assert_share(reserved, 100 * SCHED_PERIOD, 30, 0.5);
}

static void test_reserve_is_part_of_the_share(void **state)
{
    (void)state;
    struct sim_vp *reserved = sim_add(300, 20, 0, NEVER, 0);

    sim_add(100, 0, 0, NEVER, 0);
    sim_run_periods(100);
    sim_assert_share(reserved, 100 * SCHED_PERIOD, 75, 1);
}

static void test_reserves_hold_together(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        sim_add(1, 20, 0, NEVER, 0);
    }
    sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sim_add(SCHED_WEIGHT_MAX, 0, 0, SCHED_MS(3), SCHED_MS(1));
    sim_run_periods(100);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(sim.vp[i].period_least >= SCHED_PERIOD * 20 / 100);
    }
    assert_true(sim.vp[4].ran > 0);
}

/* Reserves hold under a storm of the parent's interrupts as well. */
static void test_reserve_holds_in_a_storm(void **state)
{
    (void)state;
    sim_add_parent(SCHED_WEIGHT_MAX, 0, SCHED_MS(4), 1);
    struct sim_vp *reserved = sim_add(1, 40, 0, NEVER, 0);
    struct sim_vp *shared = sim_add(1, 0, 0, NEVER, 0);

    sim_run_periods(50);
    assert_true(reserved->period_least >= SCHED_PERIOD * 40 / 100);
    assert_true(shared->runs > 0 || reserved->ran > 50 * SCHED_PERIOD * 40 / 100);
}

static void test_cap_is_never_exceeded(void **state)
{
    (void)state;
    struct sim_vp *capped = sim_add(SCHED_WEIGHT_MAX, 0, 25, NEVER, 0);

    sim_run_periods(50);
    assert_int_equal(capped->period_most, SCHED_PERIOD / 4);
    assert_int_equal(capped->period_least, SCHED_PERIOD / 4);
    struct sim_vp *other = sim_add(1, 0, 0, NEVER, 0);

    sim_run_periods(50);
    assert_true(capped->period_most <= SCHED_PERIOD / 4);
    sim_assert_share(capped, 50 * SCHED_PERIOD, 25, 0.1);
    sim_assert_share(other, 50 * SCHED_PERIOD, 75, 0.1);
}

static void test_capped_sleeper(void **state)
{
    (void)state;
    struct sim_vp *capped = sim_add(100, 0, 10, SCHED_MS(2), SCHED_MS(3));

    sim_add(100, 0, 0, NEVER, 0);
    sim_run_periods(100);
    assert_true(capped->period_most <= SCHED_PERIOD / 10);
    sim_assert_share(capped, 100 * SCHED_PERIOD, 10, 0.5);
}

static void test_cap_with_reserve(void **state)
{
    (void)state;
    struct sim_vp *both = sim_add(1, 20, 20, NEVER, 0);
    struct sim_vp *wide = sim_add(SCHED_WEIGHT_MAX, 10, 40, NEVER, 0);

    sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sim_run_periods(50);
    assert_int_equal(both->period_least, SCHED_PERIOD / 5);
    assert_int_equal(both->period_most, SCHED_PERIOD / 5);
    assert_true(wide->period_most <= SCHED_PERIOD * 2 / 5);
    sim_assert_share(wide, 50 * SCHED_PERIOD, 40, 1);
}

/* A run that the timer ended too late is paid back in the next period. */
static void test_overrun_of_a_cap_is_paid_back(void **state)
{
    (void)state;
    struct sim_vp *vp = sim_add(100, 0, 10, NEVER, 0);
    reftime_t ran = 0, start;

    sim.now = SCHED_PERIOD * 5;
    start = sim.now;
    sched_wake(&vp->entity, false, sim.now);
    while (sim.now < start + 20 * SCHED_PERIOD) {
        if (sched_pick(&sim.queue, sim.now)) {
            sim.now += SCHED_MS(25); /* 10 ms would be right */
            ran += SCHED_MS(25);
        } else {
            sim.now = sched_next_deadline(&sim.queue, sim.now);
        }
    }
    assert_in_range(ran, 19 * SCHED_PERIOD / 10, 20 * SCHED_PERIOD / 10 + SCHED_MS(25));
}

static void test_run_across_the_period_is_split(void **state)
{
    (void)state;
    struct sim_vp *vp = sim_add(100, 0, 50, NEVER, 0);

    sim.now = SCHED_PERIOD * 7 - SCHED_MS(30);
    sched_wake(&vp->entity, false, sim.now);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &vp->entity);
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), SCHED_PERIOD * 7);
    assert_ptr_equal(sim_run_until(SCHED_PERIOD * 7 + SCHED_MS(20)), &vp->entity);
    assert_int_equal(vp->entity.used, SCHED_MS(20));
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), SCHED_PERIOD * 7 + SCHED_MS(50));
}

static void test_new_cap_makes_no_debt(void **state)
{
    (void)state;
    struct sim_vp *vp = sim_add(100, 0, 0, NEVER, 0);

    sim.now = SCHED_PERIOD * 9;
    sim_run(SCHED_MS(95));
    assert_int_equal(sim_change(vp, 100, 0, 10), HV_STATUS_SUCCESS);
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), sim.now);
    sim_run(SCHED_MS(5));
    sim_forget();
    sim_run(5 * SCHED_PERIOD);
    assert_int_equal(vp->ran, 5 * SCHED_PERIOD / 10);
}

static void test_share_of_the_parent_is_guaranteed(void **state)
{
    (void)state;
    struct sim_vp *parent = sim_add_parent(1, 20, NEVER, 0);

    parent->interrupts = false;
    for (unsigned i = 0; i < 6; i++) {
        sim_add(SCHED_WEIGHT_MAX, i < 2 ? 30 : 0, 0, NEVER, 0);
    }
    sim_run_periods(30);
    assert_true(parent->period_least >= SCHED_PERIOD / 5);
    assert_true(sim.vp[1].period_least >= SCHED_PERIOD * 3 / 10);
    assert_true(sim.vp[2].period_least >= SCHED_PERIOD * 3 / 10);
}

static void test_interrupt_waits_for_the_cap_only(void **state)
{
    (void)state;
    struct sim_vp *child = sim_add(100, 20, 0, NEVER, 0);
    struct sim_vp *parent = &sim.vp[sim.count++];
    struct sched_params capped = {1, 0, SCHED_PERCENT(10), true};

    sim.now = 4 * SCHED_PERIOD;
    assert_int_equal(sched_entity_init(&parent->entity, &sim.queue, &capped), HV_STATUS_SUCCESS);
    sched_wake(&parent->entity, true, sim.now);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &parent->entity);
    sched_wake(&child->entity, false, sim.now);
    assert_ptr_equal(sim_run_until(sim.now + SCHED_MS(10)), &child->entity);
    assert_false(sched_wake(&parent->entity, true, sim.now));
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), 5 * SCHED_PERIOD);
    assert_ptr_equal(sim_run_until(5 * SCHED_PERIOD), &parent->entity);
}

static void test_reserve_ends_to_the_tick(void **state)
{
    (void)state;
    struct sim_vp *reserved = sim_add(1, 2, 0, NEVER, 0);

    sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sim_run_periods(30);
    assert_int_equal(reserved->period_least, SCHED_PERIOD / 50);
    sim_assert_share(reserved, 30 * SCHED_PERIOD, 2, 0.1);
}

static void test_spent_reserve_waits_for_the_period(void **state)
{
    (void)state;
    struct sim_vp *reserved = sim_add(1, 1, 0, NEVER, 0);
    struct sim_vp *hog = sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);

    sim.now = 6 * SCHED_PERIOD - SCHED_MS(3);
    sched_wake(&reserved->entity, false, sim.now);
    sched_pick(&sim.queue, sim.now);
    sched_wake(&hog->entity, false, sim.now);
    assert_ptr_equal(sim_run_until(sim.now + SCHED_MS(1)), &hog->entity);
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), 6 * SCHED_PERIOD);
    assert_ptr_equal(sim_run_until(6 * SCHED_PERIOD), &reserved->entity);
}

/* The overrun before the change of the period counts too, when the run is charged after it. */
static void test_overrun_across_the_period(void **state)
{
    (void)state;
    struct sim_vp *vp = sim_add(100, 0, 20, NEVER, 0);

    sim.now = SCHED_PERIOD * 7 - SCHED_MS(30);
    sched_wake(&vp->entity, false, sim.now);
    sched_pick(&sim.queue, sim.now);
    sim_run_until(SCHED_PERIOD * 7 + SCHED_MS(5));
    assert_int_equal(vp->entity.used, SCHED_MS(10 + 5));
}

/* The limits hold however many others spin. */
static void test_reserve_against_a_hundred_spinners(void **state)
{
    (void)state;
    struct sim_vp *reserved = sim_add(1, 30, 0, NEVER, 0);
    struct sim_vp *sleeper = sim_add(1, 5, 0, SCHED_MS(1), SCHED_MS(24));

    for (unsigned i = 0; i < 100; i++) {
        sim_add(SCHED_WEIGHT_MAX, 0, i % 2 ? 0 : 20, NEVER, 0);
    }
    sim_run_periods(50);
    assert_true(reserved->period_least >= SCHED_PERCENT(30));
    assert_true(sleeper->latency_most <= SCHED_SLICE_MAX);
    assert_true(sleeper->ran >= 50 * SCHED_PERCENT(3));
    for (unsigned i = 2; i < sim.count; i++) {
        assert_true(sim.vp[i].ran > 0);
        assert_true(i % 2 || sim.vp[i].period_most <= SCHED_PERCENT(20));
    }
}

static void test_reserve_changes_while_running(void **state)
{
    (void)state;
    struct sim_vp *one = sim_add(1, 0, 0, NEVER, 0);

    sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sim_run(SECONDS);
    assert_int_equal(sim_change(one, 1, 40, 0), HV_STATUS_SUCCESS);
    sim_run_periods(20);
    assert_true(one->period_least >= SCHED_PERCENT(40));
    assert_int_equal(sim_change(one, 1, 10, 0), HV_STATUS_SUCCESS);
    sim_run_periods(20);
    assert_int_equal(one->period_least, SCHED_PERCENT(10));
    sim_assert_share(one, 20 * SCHED_PERIOD, 10, 0.5);
    assert_int_equal(sim.queue.reserve_sum, SCHED_PERCENT(10));
}

static void test_cap_changes_while_running(void **state)
{
    (void)state;
    struct sim_vp *capped = sim_add(100, 0, 50, NEVER, 0);

    sim_add(100, 0, 0, NEVER, 0);
    for (unsigned cap = 10; cap <= 40; cap += 10) {
        sim_run(SCHED_MS(37));
        assert_int_equal(sim_change(capped, 100, 0, cap), HV_STATUS_SUCCESS);
        sim_run_periods(10);
        assert_int_equal(capped->period_most, SCHED_PERCENT(cap));
        assert_int_equal(capped->period_least, SCHED_PERCENT(cap));
    }
    /* One that waits for the next period goes on at once when its cap is taken away. */
    sim_run(SCHED_PERIOD - sim.now % SCHED_PERIOD + SCHED_MS(95));
    assert_int_equal(capped->entity.lane, SCHED_CAPPED);
    assert_int_equal(sim_change(capped, 100, 0, 0), HV_STATUS_SUCCESS);
    sim_forget();
    sim_run(SECONDS);
    sim_assert_share(capped, SECONDS, 50, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reserve_holds, sim_setup),
        cmocka_unit_test_setup(test_reserve_is_part_of_the_share, sim_setup),
        cmocka_unit_test_setup(test_reserves_hold_together, sim_setup),
        cmocka_unit_test_setup(test_reserve_holds_in_a_storm, sim_setup),
        cmocka_unit_test_setup(test_cap_is_never_exceeded, sim_setup),
        cmocka_unit_test_setup(test_capped_sleeper, sim_setup),
        cmocka_unit_test_setup(test_cap_with_reserve, sim_setup),
        cmocka_unit_test_setup(test_overrun_of_a_cap_is_paid_back, sim_setup),
        cmocka_unit_test_setup(test_run_across_the_period_is_split, sim_setup),
        cmocka_unit_test_setup(test_new_cap_makes_no_debt, sim_setup),
        cmocka_unit_test_setup(test_share_of_the_parent_is_guaranteed, sim_setup),
        cmocka_unit_test_setup(test_interrupt_waits_for_the_cap_only, sim_setup),
        cmocka_unit_test_setup(test_reserve_ends_to_the_tick, sim_setup),
        cmocka_unit_test_setup(test_spent_reserve_waits_for_the_period, sim_setup),
        cmocka_unit_test_setup(test_overrun_across_the_period, sim_setup),
        cmocka_unit_test_setup(test_reserve_against_a_hundred_spinners, sim_setup),
        cmocka_unit_test_setup(test_reserve_changes_while_running, sim_setup),
        cmocka_unit_test_setup(test_cap_changes_while_running, sim_setup),
    };

    return cmocka_run_group_tests_name("sched_limit", tests, NULL, NULL);
}
