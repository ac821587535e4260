/* SPDX-License-Identifier: MIT */
/* Parameters, removal, random use. */
#include "tests/unit/hv/sched_sim.h"

static enum hv_status try_init(struct sched_params params)
{
    static struct sched_entity entity;
    enum hv_status status = sched_entity_init(&entity, &sim.queue, &params);

    if (status == HV_STATUS_SUCCESS) {
        sched_entity_remove(&entity, sim.now);
    }
    return status;
}

static void test_parameters_out_of_range(void **state)
{
    (void)state;
    const struct sched_params bad[] = {
        {0, 0, 0, false},
        {SCHED_WEIGHT_MAX + 1, 0, 0, false},
        {1, SCHED_PERIOD + 1, 0, false},
        {1, 0, SCHED_PERIOD + 1, false},
        {1, 20, 10, false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(try_init(bad[i]), HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(try_init(sim_params(1, 0, 100)), HV_STATUS_SUCCESS);
    assert_int_equal(try_init(sim_params(1, 10, 10)), HV_STATUS_SUCCESS);
    assert_int_equal(sim.queue.reserve_sum, 0);
}

static void test_admission_of_reserves(void **state)
{
    (void)state;
    struct sim_vp *one = sim_add(1, 50, 0, NEVER, 0);
    struct sched_params more = {1, SCHED_RESERVE_LIMIT + 1, 0, false};

    assert_int_equal(try_init(sim_params(1, 31, 0)), HV_STATUS_NO_RESOURCES);
    assert_int_equal(try_init(sim_params(1, 30, 0)), HV_STATUS_SUCCESS);
    assert_int_equal(sched_set_params(&one->entity, &more, sim.now), HV_STATUS_NO_RESOURCES);
    assert_int_equal(one->entity.params.reserve, SCHED_PERCENT(50));
    more.reserve = SCHED_RESERVE_LIMIT;
    assert_int_equal(sched_set_params(&one->entity, &more, sim.now), HV_STATUS_SUCCESS);
    assert_int_equal(try_init(sim_params(1, 1, 0)), HV_STATUS_NO_RESOURCES);
    sched_entity_remove(&one->entity, sim.now);
    assert_int_equal(try_init(sim_params(1, 80, 0)), HV_STATUS_SUCCESS);
    struct sim_vp *parent = sim_add_parent(1, 0, NEVER, 0);

    assert_int_equal(try_init((struct sched_params){1, 0, 0, true}), HV_STATUS_INVALID_PARAMETER);
    more = (struct sched_params){1, 0, 0, false};
    assert_int_equal(sched_set_params(&parent->entity, &more, sim.now),
                     HV_STATUS_INVALID_PARAMETER);
    sched_entity_remove(&parent->entity, sim.now);
    assert_int_equal(try_init((struct sched_params){1, 0, 0, true}), HV_STATUS_SUCCESS);
}

/* Removal from every place an entity can be in leaves a queue that goes on. */
static void test_removal_anywhere(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        sim_add(100, i % 2 ? 10 : 0, i % 3 ? 20 : 0, NEVER, 0);
    }
    sim_run(SECONDS + SCHED_MS(93));
    for (unsigned i = 0; i < 5; i++) {
        sched_entity_remove(&sim.vp[i].entity, sim.now);
        sim.vp[i].entity.lane = SCHED_RUNNING; /* keeps the simulation's hands off it */
        if (!sim.queue.running) {
            sched_pick(&sim.queue, sim.now);
        }
        sim_run(SCHED_MS(130));
    }
    sim_forget();
    sim_run(SECONDS);
    assert_int_equal(sim.vp[5].ran, sim.vp[5].entity.params.cap ? SECONDS / 5 : SECONDS);
}

/* Whatever was changed and refused, the queue knows what it has promised. */
static void assert_reserves(void)
{
    reftime_t sum = 0;

    for (unsigned i = 0; i < sim.count; i++) {
        sum += sim.vp[i].entity.params.reserve;
    }
    assert_int_equal(sim.queue.reserve_sum, sum);
    assert_true(sum <= SCHED_RESERVE_LIMIT);
}

/* Random wake-ups, sleeps, yields and changes: never more than all, and nobody is lost. */
static void test_random_use(void **state)
{
    (void)state;
    uint64_t random = 23;

    for (unsigned i = 0; i < 12; i++) {
        sim_add(1 + i * 50, i % 4 == 0 ? 10 : 0, i % 3 == 0 ? 60 : 0,
                i % 2 ? NEVER : SCHED_MS(i + 1), SCHED_MS(i));
    }
    sim_add_parent(100, 10, SCHED_MS(1), SCHED_MS(2));
    for (unsigned step = 0; step < 5000; step++) {
        struct sim_vp *vp = &sim.vp[random_next(&random) % sim.count];
        struct sched_params params = vp->entity.params;

        sim_run(random_next(&random) % SCHED_MS(9));
        params.weight = 1 + (uint32_t)(random_next(&random) % SCHED_WEIGHT_MAX);
        params.reserve = SCHED_PERCENT(random_next(&random) % 20);
        params.cap = step % 2 ? 0 : SCHED_PERCENT(10 + random_next(&random) % 90);
        if (step % 3 == 0) {
            sched_set_params(&vp->entity, &params, sim.now);
            assert_reserves();
        } else if (step % 7 == 0) {
            sched_yield_running(&sim.queue);
        }
    }
    reftime_t before = sim.now, sum = 0;

    sim_forget();
    sim_run(20 * SECONDS);
    for (unsigned i = 0; i < sim.count; i++) {
        assert_true(sim.vp[i].ran > 0);
        sum += sim.vp[i].ran;
    }
    assert_true(sum <= sim.now - before && sum > 19 * SECONDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_parameters_out_of_range, sim_setup),
        cmocka_unit_test_setup(test_admission_of_reserves, sim_setup),
        cmocka_unit_test_setup(test_removal_anywhere, sim_setup),
        cmocka_unit_test_setup(test_random_use, sim_setup),
    };

    return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
