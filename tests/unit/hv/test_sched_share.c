/* SPDX-License-Identifier: MIT */
/* Shares by weight: long runs, extreme weights, sleepers, changes of the weight. */
#include "tests/unit/hv/sched_sim.h"

static void test_nothing_to_run(void **state)
{
    (void)state;
    struct sim_vp *vp = sim_add(1, 0, 0, NEVER, 0);

    assert_null(sched_pick(&sim.queue, sim.now));
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), SCHED_NO_DEADLINE);
    assert_true(sched_wake(&vp->entity, false, sim.now));
    assert_false(sched_wake(&vp->entity, false, sim.now) && sim.queue.running);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &vp->entity);
    assert_false(sched_wake(&vp->entity, false, sim.now));
    sched_block(&vp->entity, sim.now + 10);
    assert_null(sched_pick(&sim.queue, sim.now + 10));
}

static void test_alone_needs_no_timer(void **state)
{
    (void)state;
    struct sim_vp *vp = sim_add(100, 30, 0, NEVER, 0);

    sched_wake(&vp->entity, false, sim.now);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &vp->entity);
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), SCHED_NO_DEADLINE);
    sim.now += 3600 * SECONDS;
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), SCHED_NO_DEADLINE);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &vp->entity);
    vp->ran = 0;
    sim_run(SECONDS);
    assert_int_equal(vp->ran, SECONDS);
}

static void test_shares_follow_weights(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        sim_add(1u << i, 0, 0, NEVER, 0);
    }
    sim_run(10 * SECONDS);
    sim_assert_share(&sim.vp[0], 10 * SECONDS, 100.0 / 7, 0.5);
    sim_assert_share(&sim.vp[1], 10 * SECONDS, 200.0 / 7, 0.5);
    sim_assert_share(&sim.vp[2], 10 * SECONDS, 400.0 / 7, 0.5);
}

static void test_shares_of_extreme_weights(void **state)
{
    (void)state;
    sim_add(1, 0, 0, NEVER, 0);
    sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sim_run(200 * SECONDS);
    sim_assert_share(&sim.vp[1], 200 * SECONDS, 99.99, 0.02);
    assert_true(sim.vp[0].ran > 0);
}

static void test_equal_among_many(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        sim_add(100, 0, 0, NEVER, 0);
    }
    sim_run(10 * SECONDS);
    for (unsigned i = 0; i < 16; i++) {
        sim_assert_share(&sim.vp[i], 10 * SECONDS, 6.25, 0.2);
    }
    assert_in_range(sim.vp[0].runs, 10 * SECONDS / SCHED_ROUND - 2, 10 * SECONDS / SCHED_ROUND + 2);
}

static void test_weight_changes_while_running(void **state)
{
    (void)state;
    struct sim_vp *one = sim_add(100, 0, 0, NEVER, 0);
    struct sim_vp *other = sim_add(100, 0, 0, NEVER, 0);

    sim_run(SECONDS);
    assert_int_equal(sim_change(one, 300, 0, 0), HV_STATUS_SUCCESS);
    sim_forget();
    sim_run(5 * SECONDS);
    sim_assert_share(one, 5 * SECONDS, 75, 1);
    sim_assert_share(other, 5 * SECONDS, 25, 1);
}

/* A sleeper comes first when it wakes, but sleep is not saved up. */
static void test_sleeper_gets_no_more_than_its_share(void **state)
{
    (void)state;
    struct sim_vp *sleeper = sim_add(100, 0, 0, NEVER, 0);
    struct sim_vp *hog = sim_add(100, 0, 0, NEVER, 0);

    sleeper->wakes = sim.now + 20 * SECONDS;
    sim_run(20 * SECONDS);
    assert_int_equal(sleeper->ran, 0);
    sim_forget();
    sim_run(SECONDS / 10);
    assert_in_range(sleeper->ran, SECONDS / 20, SECONDS / 20 + SCHED_CREDIT + SCHED_SLICE_MAX);
    sim_run(SECONDS * 2);
    sim_assert_share(hog, SECONDS * 2 + SECONDS / 10, 50, 1);
}

static void test_late_running_is_not_free_of_charge(void **state)
{
    (void)state;
    struct sim_vp *lone = sim_add(100, 0, 0, NEVER, 0);
    struct sim_vp *late = sim_add(100, 0, 0, NEVER, 0);

    late->wakes = sim.now + 30 * SECONDS;
    sim_run(30 * SECONDS + SECONDS / 2);
    sim_forget();
    sim_run(SECONDS);
    sim_assert_share(lone, SECONDS, 50, 1);
    sim_assert_share(late, SECONDS, 50, 1);
}

/* Who wakes beside a VP that ran long without a charge gets no credit for that time. */
static void test_wake_beside_an_uncharged_run(void **state)
{
    (void)state;
    struct sim_vp *lone = sim_add(100, 0, 0, NEVER, 0);
    struct sim_vp *late = sim_add(100, 0, 0, NEVER, 0);

    sim.now = SCHED_PERIOD * 3;
    sched_wake(&lone->entity, false, sim.now);
    sched_pick(&sim.queue, sim.now);
    late->wakes = sim.now + SCHED_MS(90);
    sim.now += SCHED_MS(90);
    assert_true(sched_wake(&late->entity, false, sim.now));
    sched_pick(&sim.queue, sim.now);
    sim_run(SCHED_MS(60));
    assert_in_range(late->ran, SCHED_MS(25), SCHED_MS(40));
}

/* Who is far ahead of a small share is as little time ahead of a large one. */
static void test_weight_change_rescales_the_distance(void **state)
{
    (void)state;
    struct sim_vp *light = sim_add(1, 0, 0, NEVER, 0);
    struct sim_vp *heavy = sim_add(1000, 0, 0, NEVER, 0);

    sim_run(SECONDS); /* light ran a slice, and would wait five seconds for the next */
    assert_int_equal(sim_change(light, 1000, 0, 0), HV_STATUS_SUCCESS);
    sim_forget();
    sim_run(SECONDS / 5);
    sim_assert_share(light, SECONDS / 5, 50, 3);
    assert_int_equal(sim_change(heavy, 250, 0, 0), HV_STATUS_SUCCESS);
    sim_forget();
    sim_run(SECONDS / 2);
    sim_assert_share(light, SECONDS / 2, 80, 2);
}

/* Everybody runs again within the time that its share of a slice takes. */
static void test_nobody_starves(void **state)
{
    (void)state;
    uint64_t weights = 0;

    for (unsigned i = 0; i < 100; i++) {
        weights += 1 + i * i;
        sim_add(1 + i * i, 0, 0, NEVER, 0);
    }
    sim_run(SECONDS * 400);
    for (unsigned i = 0; i < sim.count; i++) {
        reftime_t round = weights * SCHED_SLICE_MIN / sim.vp[i].entity.params.weight;

        assert_true(sim.vp[i].gap_most <= round + 2ull * sim.count * SCHED_SLICE_MIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_to_run, sim_setup),
        cmocka_unit_test_setup(test_alone_needs_no_timer, sim_setup),
        cmocka_unit_test_setup(test_shares_follow_weights, sim_setup),
        cmocka_unit_test_setup(test_shares_of_extreme_weights, sim_setup),
        cmocka_unit_test_setup(test_equal_among_many, sim_setup),
        cmocka_unit_test_setup(test_weight_changes_while_running, sim_setup),
        cmocka_unit_test_setup(test_sleeper_gets_no_more_than_its_share, sim_setup),
        cmocka_unit_test_setup(test_late_running_is_not_free_of_charge, sim_setup),
        cmocka_unit_test_setup(test_wake_beside_an_uncharged_run, sim_setup),
        cmocka_unit_test_setup(test_weight_change_rescales_the_distance, sim_setup),
        cmocka_unit_test_setup(test_nobody_starves, sim_setup),
    };

    return cmocka_run_group_tests_name("sched_share", tests, NULL, NULL);
}
