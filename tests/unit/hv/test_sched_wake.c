/* SPDX-License-Identifier: MIT */
/* Wake-ups: the bound on their latency, the parent's interrupts, yielding. */
#include "tests/unit/hv/sched_sim.h"

static void test_latency_of_a_light_sleeper(void **state)
{
    (void)state;
    struct sim_vp *light = sim_add(100, 0, 0, SCHED_MS(1) / 5, SCHED_MS(7));

    for (unsigned i = 0; i < 8; i++) {
        sim_add(100, 0, 0, NEVER, 0);
    }
    sim_run(SECONDS); /* new ones have no credit yet */
    sim_forget();
    sim_run(10 * SECONDS);
    assert_true(light->runs > 1000);
    assert_true(light->latency_most <= SCHED_SLICE_MIN);
}

/* Wake-ups do not cut runs shorter than the least slice. */
static void test_wake_ups_leave_a_least_slice(void **state)
{
    (void)state;
    struct sim_vp *hog = sim_add(100, 0, 0, NEVER, 0);
    struct sim_vp *light = sim_add(100, 0, 0, 50, 100);

    sim_run(SECONDS);
    assert_true(light->runs >= 900);
    assert_true(hog->runs <= SECONDS / SCHED_SLICE_MIN + 10);
    sim_assert_share(hog, SECONDS, 99, 1);
}

static void test_interrupts_of_the_parent_come_first(void **state)
{
    (void)state;
    struct sim_vp *parent = sim_add_parent(1, 0, SCHED_MS(1) / 10, SCHED_MS(1));

    sim_add(SCHED_WEIGHT_MAX, 50, 0, NEVER, 0);
    sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sim_run(5 * SECONDS);
    assert_int_equal(parent->latency_most, 0);
    assert_true(parent->runs > 4500);
    sim_assert_share(parent, 5 * SECONDS, 9.1, 0.5);
}

/* An interrupt for a parent that can run already, but waits its turn. */
static void test_interrupt_for_a_waiting_parent(void **state)
{
    (void)state;
    struct sim_vp *parent = sim_add_parent(1, 0, NEVER, 0);
    struct sim_vp *hog = sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);

    parent->interrupts = false;
    sim_run(SECONDS);
    struct sched_entity *running = sched_pick(&sim.queue, sim.now);

    assert_ptr_equal(running, &hog->entity);
    assert_false(sched_wake(&parent->entity, false, sim.now + 1));
    assert_true(sched_wake(&parent->entity, true, sim.now + 1));
    assert_ptr_equal(sched_pick(&sim.queue, sim.now + 1), &parent->entity);
    /* Once it has run its slice it is one of many again. */
    sim.now = sched_next_deadline(&sim.queue, sim.now + 1);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &hog->entity);
    /* Interrupts of others get no such treatment. */
    sched_block(&hog->entity, sim.now);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &parent->entity);
}

/* A parent that waits, beside a child that has just begun to run, and signals. */
static struct sim_vp *add_signalled_parent(struct sim_vp **child)
{
    struct sim_vp *parent = sim_add_parent(1, 0, NEVER, 0);

    *child = sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    sched_wake(&(*child)->entity, false, sim.now);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &(*child)->entity);
    parent->entity.patient = true;
    return parent;
}

/* A child that signals goes on for a while, so that one turn of the parent serves many signals. */
static void test_signal_waits_for_others(void **state)
{
    (void)state;
    struct sim_vp *child;
    struct sim_vp *parent = add_signalled_parent(&child);

    assert_false(sched_wake(&parent->entity, true, sim.now + 1));
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now + 1), sim.now + SCHED_PATIENCE);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now + SCHED_PATIENCE), &parent->entity);
}

static void test_signal_does_not_wait_long(void **state)
{
    (void)state;
    struct sim_vp *child;
    struct sim_vp *parent = add_signalled_parent(&child);

    assert_true(sched_wake(&parent->entity, true, sim.now + SCHED_PATIENCE)); /* it had its time */
    parent->entity.patient = true;
    sched_wake(&parent->entity, true, sim.now + SCHED_PATIENCE);
    assert_true(sched_wake(&parent->entity, true, sim.now + SCHED_PATIENCE)); /* not a signal */
}

static void test_signal_of_a_child_that_waits(void **state)
{
    (void)state;
    struct sim_vp *child;
    struct sim_vp *parent = add_signalled_parent(&child);

    assert_false(sched_wake(&parent->entity, true, sim.now + 1));
    assert_true(sched_wake(&parent->entity, true, sim.now + 1)); /* another, of a device */
    sched_block(&child->entity, sim.now + 2);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now + 2), &parent->entity);
}

/* With a reserve it goes on past its slice, at once, until that is used up. */
static void test_parent_goes_on_within_its_reserve(void **state)
{
    (void)state;
    struct sim_vp *parent = sim_add_parent(1, 20, NEVER, 0);
    struct sim_vp *child = sim_add(SCHED_WEIGHT_MAX, 50, 0, NEVER, 0);

    sim.now = 4 * SCHED_PERIOD;
    sched_wake(&child->entity, false, sim.now);
    sched_wake(&parent->entity, true, sim.now);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &parent->entity);
    for (unsigned ran = 5; ran < 20; ran += 5) {
        assert_int_equal(sched_next_deadline(&sim.queue, sim.now), sim.now + SCHED_MS(5));
        assert_ptr_equal(sim_run_until(sim.now + SCHED_MS(5)), &parent->entity);
    }
    assert_ptr_equal(sim_run_until(sim.now + SCHED_MS(5)), &child->entity);
}

static void test_storm_leaves_the_others_something(void **state)
{
    (void)state;
    struct sim_vp *parent = sim_add_parent(SCHED_WEIGHT_MAX, 0, SCHED_MS(2), 1);
    struct sim_vp *child = sim_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);

    sim_run_periods(50);
    sim_assert_share(parent, 50 * SCHED_PERIOD, 90, 3);
    assert_true(child->period_least >= SCHED_PERIOD * 5 / 100);
    /* After the storm everything is as before: half for each. */
    parent->work = NEVER;
    parent->interrupts = false;
    sim_run(SECONDS / 5);
    sim_forget();
    sim_run(SECONDS);
    sim_assert_share(parent, SECONDS, 50, 1);
}

static void test_blocked_parent_is_not_urgent(void **state)
{
    (void)state;
    struct sim_vp *parent = sim_add_parent(1, 0, NEVER, 0);

    assert_true(sched_wake(&parent->entity, true, sim.now));
    sched_block(&parent->entity, sim.now);
    assert_null(sched_pick(&sim.queue, sim.now));
    assert_int_equal(sched_next_deadline(&sim.queue, sim.now), SCHED_NO_DEADLINE);
}

/* A parent whose interrupts never end goes before the others up to its bound to the tick. */
static void test_bound_of_the_first_class_is_exact(void **state)
{
    (void)state;
    struct sim_vp *parent = sim_add_parent(1, 0, NEVER, 0);
    struct sim_vp *child = sim_add(SCHED_WEIGHT_MAX, 78, 0, NEVER, 0);

    sim.now = 4 * SCHED_PERIOD;
    sched_wake(&child->entity, false, sim.now);
    sched_wake(&parent->entity, true, sim.now);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &parent->entity);
    for (unsigned left = 12; left > 0; left -= left < 5 ? left : 5) {
        reftime_t slice = SCHED_MS(left < 5 ? left : 5);

        assert_ptr_equal(sim.queue.running, &parent->entity);
        assert_int_equal(sched_next_deadline(&sim.queue, sim.now), sim.now + slice);
        sim.now += slice;
        assert_ptr_equal(sched_pick(&sim.queue, sim.now), &child->entity);
        assert_int_equal(sched_wake(&parent->entity, true, sim.now), left > 5);
        sched_pick(&sim.queue, sim.now);
    }
    assert_ptr_equal(sim.queue.running, &child->entity);
}

static void test_yield_lets_another_go(void **state)
{
    (void)state;
    struct sim_vp *spinner = sim_add(100, 50, 0, NEVER, 0);

    sched_wake(&spinner->entity, false, sim.now);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &spinner->entity);
    sched_yield_running(&sim.queue);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now), &spinner->entity);
    struct sim_vp *holder = sim_add(1, 0, 0, NEVER, 0);

    sched_wake(&holder->entity, false, sim.now);
    sched_yield_running(&sim.queue);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now + 100), &holder->entity);
    assert_in_range(sched_next_deadline(&sim.queue, sim.now + 100), sim.now + 100,
                    sim.now + 100 + SCHED_SLICE_MAX);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now + 200), &spinner->entity);
    assert_ptr_equal(sched_pick(&sim.queue, sim.now + 200), &spinner->entity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_latency_of_a_light_sleeper, sim_setup),
        cmocka_unit_test_setup(test_wake_ups_leave_a_least_slice, sim_setup),
        cmocka_unit_test_setup(test_interrupts_of_the_parent_come_first, sim_setup),
        cmocka_unit_test_setup(test_interrupt_for_a_waiting_parent, sim_setup),
        cmocka_unit_test_setup(test_signal_waits_for_others, sim_setup),
        cmocka_unit_test_setup(test_signal_does_not_wait_long, sim_setup),
        cmocka_unit_test_setup(test_signal_of_a_child_that_waits, sim_setup),
        cmocka_unit_test_setup(test_parent_goes_on_within_its_reserve, sim_setup),
        cmocka_unit_test_setup(test_storm_leaves_the_others_something, sim_setup),
        cmocka_unit_test_setup(test_blocked_parent_is_not_urgent, sim_setup),
        cmocka_unit_test_setup(test_bound_of_the_first_class_is_exact, sim_setup),
        cmocka_unit_test_setup(test_yield_lets_another_go, sim_setup),
    };

    return cmocka_run_group_tests_name("sched_wake", tests, NULL, NULL);
}
