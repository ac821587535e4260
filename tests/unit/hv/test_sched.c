/* SPDX-License-Identifier: MIT */
/*
 * The scheduler in simulated time: a loop that runs what sched_pick says until
 * the deadline, an entity's own end of work, or the next wake-up, whichever is
 * first. Shares, reserves, caps and latencies are measured, not assumed.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/core/sched.h"
#include "tests/unit/hv/unit.h"

#define NEVER   UINT64_MAX
#define SECONDS SCHED_MS(1000)

/* A virtual processor that works for `work`, then sleeps for `sleep`; work NEVER: a hog. */
struct vp {
    struct sched_entity entity;
    reftime_t work, sleep;
    bool interrupts; /* its wake-ups are interrupts */
    reftime_t left;  /* of its work */
    reftime_t wakes; /* when asleep */
    reftime_t woken; /* when woken and not yet run, else NEVER */
    reftime_t ran, period_ran, period_most, period_least;
    reftime_t latency_most;
    unsigned runs;
};

static struct sched_queue queue;
static struct vp vps[16];
static unsigned vp_count;
static reftime_t now;

static struct vp *vp_of(struct sched_entity *entity)
{
    return entity ? CONTAINER_OF(entity, struct vp, entity) : NULL;
}

static int setup(void **state)
{
    (void)state;
    now = 12345;
    vp_count = 0;
    sched_queue_init(&queue, now);
    return 0;
}

static struct vp *vp_add(uint32_t weight, uint32_t reserve, uint32_t cap, reftime_t work,
                         reftime_t sleep)
{
    struct vp *vp = &vps[vp_count++];
    struct sched_params params = {weight, reserve, cap, false};

    *vp = (struct vp){.work = work,
                      .sleep = sleep,
                      .left = work,
                      .wakes = now,
                      .woken = NEVER,
                      .period_least = NEVER};
    assert_int_equal(sched_entity_init(&vp->entity, &queue, &params), HV_STATUS_SUCCESS);
    return vp;
}

static struct vp *parent_add(uint32_t weight, uint32_t reserve, reftime_t work, reftime_t sleep)
{
    struct vp *vp = &vps[vp_count++];
    struct sched_params params = {weight, reserve, 0, true};

    *vp = (struct vp){.work = work,
                      .sleep = sleep,
                      .left = work,
                      .wakes = now,
                      .woken = NEVER,
                      .interrupts = true,
                      .period_least = NEVER};
    assert_int_equal(sched_entity_init(&vp->entity, &queue, &params), HV_STATUS_SUCCESS);
    return vp;
}

static reftime_t min(reftime_t a, reftime_t b)
{
    return a < b ? a : b;
}

static reftime_t next_wake(void)
{
    reftime_t next = NEVER;

    for (unsigned i = 0; i < vp_count; i++) {
        if (vps[i].entity.lane == SCHED_BLOCKED) {
            next = min(next, vps[i].wakes);
        }
    }
    return next;
}

/* Wakes whose time has come; true: the scheduler wants to choose again. */
static bool wake_sleepers(void)
{
    bool again = false;

    for (unsigned i = 0; i < vp_count; i++) {
        struct vp *vp = &vps[i];

        if (vp->entity.lane == SCHED_BLOCKED && vp->wakes <= now) {
            vp->woken = now;
            again |= sched_wake(&vp->entity, vp->interrupts, now);
        }
    }
    return again;
}

static void account(struct vp *vp, reftime_t ran)
{
    vp->ran += ran;
    vp->period_ran += ran;
    vp->left -= vp->work == NEVER ? 0 : ran;
}

static void period_end(void)
{
    for (unsigned i = 0; i < vp_count; i++) {
        struct vp *vp = &vps[i];

        vp->period_most = vp->period_ran > vp->period_most ? vp->period_ran : vp->period_most;
        vp->period_least = min(vp->period_least, vp->period_ran);
        vp->period_ran = 0;
    }
}

static struct vp *pick(void)
{
    struct vp *vp = vp_of(sched_pick(&queue, now));

    if (vp && vp->woken != NEVER) {
        reftime_t latency = now - vp->woken;

        vp->latency_most = latency > vp->latency_most ? latency : vp->latency_most;
        vp->woken = NEVER;
    }
    if (vp) {
        vp->runs++;
    }
    return vp;
}

/* Runs until the next thing happens; charges, and lets a VP whose work is done sleep. */
static void run_once(struct vp *vp, reftime_t end)
{
    reftime_t until = min(end, next_wake());
    reftime_t boundary = (now / SCHED_PERIOD + 1) * SCHED_PERIOD;
    reftime_t start = now;

    until = min(until, boundary); /* for the figures of each period only */
    until = min(until, sched_next_deadline(&queue, now));
    if (vp && vp->work != NEVER) {
        until = min(until, now + vp->left);
    }
    now = until > now ? until : now;
    if (vp) {
        account(vp, now - start);
        sched_charge(&vp->entity, now - start, now);
    }
    if (now == boundary) {
        period_end();
    }
    if (vp && vp->work != NEVER && vp->left == 0) {
        vp->left = vp->work;
        vp->wakes = now + vp->sleep;
        sched_block(&vp->entity, now);
    }
}

/* The simulation proper. It picks only when the scheduler's interface says so. */
static void simulate(reftime_t duration)
{
    reftime_t end = now + duration;
    struct vp *running = vp_of(queue.running);
    bool again = true;

    while (now < end) {
        again |= wake_sleepers();
        if (again) {
            running = pick();
        }
        run_once(running, end);
        again = (running && running->entity.lane == SCHED_BLOCKED) ||
                sched_next_deadline(&queue, now) <= now;
    }
}

static void assert_share(const struct vp *vp, reftime_t duration, double percent, double slack)
{
    double share = 100.0 * (double)vp->ran / (double)duration;

    if (share < percent - slack || share > percent + slack) {
        fail_msg("VP %td has %.2f %%, not %.2f %%", vp - vps, share, percent);
    }
}

static void forget(void)
{
    for (unsigned i = 0; i < vp_count; i++) {
        struct vp *vp = &vps[i];

        vp->ran = vp->period_ran = vp->period_most = vp->latency_most = 0;
        vp->period_least = NEVER;
        vp->runs = 0;
    }
}

/* From a whole period on, so that least and most are of whole periods. */
static void simulate_whole_periods(unsigned periods)
{
    simulate(SCHED_PERIOD - now % SCHED_PERIOD);
    forget();
    simulate(periods * SCHED_PERIOD);
}

static void test_nothing_to_run(void **state)
{
    (void)state;
    struct vp *vp = vp_add(1, 0, 0, NEVER, 0);

    assert_null(sched_pick(&queue, now));
    assert_int_equal(sched_next_deadline(&queue, now), SCHED_NO_DEADLINE);
    assert_true(sched_wake(&vp->entity, false, now));
    assert_false(sched_wake(&vp->entity, false, now) && queue.running);
    assert_ptr_equal(sched_pick(&queue, now), &vp->entity);
    assert_false(sched_wake(&vp->entity, false, now));
    sched_charge(&vp->entity, 10, now + 10);
    sched_block(&vp->entity, now + 10);
    assert_null(sched_pick(&queue, now + 10));
}

static void test_alone_needs_no_timer(void **state)
{
    (void)state;
    struct vp *vp = vp_add(100, 30, 0, NEVER, 0);

    sched_wake(&vp->entity, false, now);
    assert_ptr_equal(sched_pick(&queue, now), &vp->entity);
    assert_int_equal(sched_next_deadline(&queue, now), SCHED_NO_DEADLINE);
    now += 3600 * SECONDS;
    sched_charge(&vp->entity, 3600 * SECONDS, now);
    assert_int_equal(sched_next_deadline(&queue, now), SCHED_NO_DEADLINE);
    assert_ptr_equal(sched_pick(&queue, now), &vp->entity);
    vp->ran = 0;
    simulate(SECONDS);
    assert_int_equal(vp->ran, SECONDS);
}

static void test_shares_follow_weights(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        vp_add(1u << i, 0, 0, NEVER, 0);
    }
    simulate(10 * SECONDS);
    assert_share(&vps[0], 10 * SECONDS, 100.0 / 7, 0.5);
    assert_share(&vps[1], 10 * SECONDS, 200.0 / 7, 0.5);
    assert_share(&vps[2], 10 * SECONDS, 400.0 / 7, 0.5);
}

static void test_shares_of_extreme_weights(void **state)
{
    (void)state;
    vp_add(1, 0, 0, NEVER, 0);
    vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    simulate(200 * SECONDS);
    assert_share(&vps[1], 200 * SECONDS, 99.99, 0.02);
    assert_true(vps[0].ran > 0);
}

static void test_equal_among_many(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        vp_add(100, 0, 0, NEVER, 0);
    }
    simulate(10 * SECONDS);
    for (unsigned i = 0; i < 16; i++) {
        assert_share(&vps[i], 10 * SECONDS, 6.25, 0.2);
    }
    assert_in_range(vps[0].runs, 10 * SECONDS / SCHED_ROUND - 2, 10 * SECONDS / SCHED_ROUND + 2);
}

static void test_weight_changes_while_running(void **state)
{
    (void)state;
    struct vp *one = vp_add(100, 0, 0, NEVER, 0);
    struct vp *other = vp_add(100, 0, 0, NEVER, 0);

    simulate(SECONDS);
    assert_int_equal(sched_set_params(&one->entity, &(struct sched_params){300, 0, 0, false}, now),
                     HV_STATUS_SUCCESS);
    forget();
    simulate(5 * SECONDS);
    assert_share(one, 5 * SECONDS, 75, 1);
    assert_share(other, 5 * SECONDS, 25, 1);
}

/* A sleeper comes first when it wakes, but sleep is not saved up. */
static void test_sleeper_gets_no_more_than_its_share(void **state)
{
    (void)state;
    struct vp *sleeper = vp_add(100, 0, 0, NEVER, 0);
    struct vp *hog = vp_add(100, 0, 0, NEVER, 0);

    sleeper->wakes = now + 20 * SECONDS;
    simulate(20 * SECONDS);
    assert_int_equal(sleeper->ran, 0);
    forget();
    simulate(SECONDS / 10);
    assert_in_range(sleeper->ran, SECONDS / 20, SECONDS / 20 + SCHED_CREDIT + SCHED_SLICE_MAX);
    simulate(SECONDS * 2);
    assert_share(hog, SECONDS * 2 + SECONDS / 10, 50, 1);
}

static void test_latency_of_a_light_sleeper(void **state)
{
    (void)state;
    struct vp *light = vp_add(100, 0, 0, SCHED_MS(1) / 5, SCHED_MS(7));

    for (unsigned i = 0; i < 8; i++) {
        vp_add(100, 0, 0, NEVER, 0);
    }
    simulate(SECONDS); /* new ones have no credit yet */
    forget();
    simulate(10 * SECONDS);
    assert_true(light->runs > 1000);
    assert_true(light->latency_most <= SCHED_SLICE_MIN);
}

/* Wake-ups do not cut runs shorter than the least slice. */
static void test_wake_ups_leave_a_least_slice(void **state)
{
    (void)state;
    struct vp *hog = vp_add(100, 0, 0, NEVER, 0);
    struct vp *light = vp_add(100, 0, 0, 50, 100);

    simulate(SECONDS);
    assert_true(light->runs >= 900);
    assert_true(hog->runs <= SECONDS / SCHED_SLICE_MIN + 10);
    assert_share(hog, SECONDS, 99, 1);
}

static void test_late_running_is_not_free_of_charge(void **state)
{
    (void)state;
    struct vp *lone = vp_add(100, 0, 0, NEVER, 0);
    struct vp *late = vp_add(100, 0, 0, NEVER, 0);

    late->wakes = now + 30 * SECONDS;
    simulate(30 * SECONDS + SECONDS / 2);
    forget();
    simulate(SECONDS);
    assert_share(lone, SECONDS, 50, 1);
    assert_share(late, SECONDS, 50, 1);
}

static void test_reserve_holds(void **state)
{
    (void)state;
    struct vp *reserved = vp_add(1, 30, 0, NEVER, 0);

    vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    simulate_whole_periods(100);
    assert_true(reserved->period_least >= SCHED_PERIOD * 30 / 100);
    assert_share(reserved, 100 * SCHED_PERIOD, 30, 0.5);
}

static void test_reserve_is_part_of_the_share(void **state)
{
    (void)state;
    struct vp *reserved = vp_add(300, 20, 0, NEVER, 0);

    vp_add(100, 0, 0, NEVER, 0);
    simulate_whole_periods(100);
    assert_share(reserved, 100 * SCHED_PERIOD, 75, 1);
}

static void test_reserves_hold_together(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        vp_add(1, 20, 0, NEVER, 0);
    }
    vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    vp_add(SCHED_WEIGHT_MAX, 0, 0, SCHED_MS(3), SCHED_MS(1));
    simulate_whole_periods(100);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(vps[i].period_least >= SCHED_PERIOD * 20 / 100);
    }
    assert_true(vps[4].ran > 0);
}

/* Reserves hold under a storm of the parent's interrupts as well. */
static void test_reserve_holds_in_a_storm(void **state)
{
    (void)state;
    parent_add(SCHED_WEIGHT_MAX, 0, SCHED_MS(4), 1);
    struct vp *reserved = vp_add(1, 40, 0, NEVER, 0);
    struct vp *shared = vp_add(1, 0, 0, NEVER, 0);

    simulate_whole_periods(50);
    assert_true(reserved->period_least >= SCHED_PERIOD * 40 / 100);
    assert_true(shared->runs > 0 || reserved->ran > 50 * SCHED_PERIOD * 40 / 100);
}

static void test_cap_is_never_exceeded(void **state)
{
    (void)state;
    struct vp *capped = vp_add(SCHED_WEIGHT_MAX, 0, 25, NEVER, 0);

    simulate_whole_periods(50);
    assert_int_equal(capped->period_most, SCHED_PERIOD / 4);
    assert_int_equal(capped->period_least, SCHED_PERIOD / 4);
    struct vp *other = vp_add(1, 0, 0, NEVER, 0);

    simulate_whole_periods(50);
    assert_true(capped->period_most <= SCHED_PERIOD / 4);
    assert_share(capped, 50 * SCHED_PERIOD, 25, 0.1);
    assert_share(other, 50 * SCHED_PERIOD, 75, 0.1);
}

static void test_capped_sleeper(void **state)
{
    (void)state;
    struct vp *capped = vp_add(100, 0, 10, SCHED_MS(2), SCHED_MS(3));

    vp_add(100, 0, 0, NEVER, 0);
    simulate_whole_periods(100);
    assert_true(capped->period_most <= SCHED_PERIOD / 10);
    assert_share(capped, 100 * SCHED_PERIOD, 10, 0.5);
}

static void test_cap_with_reserve(void **state)
{
    (void)state;
    struct vp *both = vp_add(1, 20, 20, NEVER, 0);
    struct vp *wide = vp_add(SCHED_WEIGHT_MAX, 10, 40, NEVER, 0);

    vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    simulate_whole_periods(50);
    assert_int_equal(both->period_least, SCHED_PERIOD / 5);
    assert_int_equal(both->period_most, SCHED_PERIOD / 5);
    assert_true(wide->period_most <= SCHED_PERIOD * 2 / 5);
    assert_share(wide, 50 * SCHED_PERIOD, 40, 1);
}

/* A run that the timer ended too late is paid back in the next period. */
static void test_overrun_of_a_cap_is_paid_back(void **state)
{
    (void)state;
    struct vp *vp = vp_add(100, 0, 10, NEVER, 0);
    reftime_t ran = 0, start;

    now = SCHED_PERIOD * 5;
    start = now;
    sched_wake(&vp->entity, false, now);
    while (now < start + 20 * SCHED_PERIOD) {
        if (sched_pick(&queue, now)) {
            now += SCHED_MS(25); /* 10 ms would be right */
            ran += SCHED_MS(25);
            sched_charge(&vp->entity, SCHED_MS(25), now);
        } else {
            now = sched_next_deadline(&queue, now);
        }
    }
    assert_in_range(ran, 19 * SCHED_PERIOD / 10, 20 * SCHED_PERIOD / 10 + SCHED_MS(25));
}

static void test_run_across_the_period_is_split(void **state)
{
    (void)state;
    struct vp *vp = vp_add(100, 0, 50, NEVER, 0);

    now = SCHED_PERIOD * 7 - SCHED_MS(30);
    sched_wake(&vp->entity, false, now);
    assert_ptr_equal(sched_pick(&queue, now), &vp->entity);
    assert_int_equal(sched_next_deadline(&queue, now), SCHED_PERIOD * 7);
    now = SCHED_PERIOD * 7 + SCHED_MS(20);
    sched_charge(&vp->entity, SCHED_MS(50), now);
    assert_int_equal(vp->entity.used, SCHED_MS(20));
    assert_int_equal(sched_next_deadline(&queue, now), SCHED_PERIOD * 7 + SCHED_MS(50));
}

static void test_new_cap_makes_no_debt(void **state)
{
    (void)state;
    struct vp *vp = vp_add(100, 0, 0, NEVER, 0);

    now = SCHED_PERIOD * 9;
    simulate(SCHED_MS(95));
    assert_int_equal(sched_set_params(&vp->entity, &(struct sched_params){100, 0, 10, false}, now),
                     HV_STATUS_SUCCESS);
    assert_int_equal(sched_next_deadline(&queue, now), now);
    simulate(SCHED_MS(5));
    forget();
    simulate(5 * SCHED_PERIOD);
    assert_int_equal(vp->ran, 5 * SCHED_PERIOD / 10);
}

static void test_interrupts_of_the_parent_come_first(void **state)
{
    (void)state;
    struct vp *parent = parent_add(1, 0, SCHED_MS(1) / 10, SCHED_MS(1));

    vp_add(SCHED_WEIGHT_MAX, 50, 0, NEVER, 0);
    vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    simulate(5 * SECONDS);
    assert_int_equal(parent->latency_most, 0);
    assert_true(parent->runs > 4500);
    assert_share(parent, 5 * SECONDS, 9.1, 0.5);
}

/* An interrupt for a parent that can run already, but waits its turn. */
static void test_interrupt_for_a_waiting_parent(void **state)
{
    (void)state;
    struct vp *parent = parent_add(1, 0, NEVER, 0);
    struct vp *hog = vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);

    parent->interrupts = false;
    simulate(SECONDS);
    struct sched_entity *running = sched_pick(&queue, now);

    assert_ptr_equal(running, &hog->entity);
    assert_false(sched_wake(&parent->entity, false, now + 1));
    assert_true(sched_wake(&parent->entity, true, now + 1));
    sched_charge(running, 1, now + 1);
    assert_ptr_equal(sched_pick(&queue, now + 1), &parent->entity);
    /* Once it has run its slice it is one of many again. */
    now = sched_next_deadline(&queue, now + 1);
    sched_charge(&parent->entity, SCHED_SLICE_MAX, now);
    assert_ptr_equal(sched_pick(&queue, now), &hog->entity);
    /* Interrupts of others get no such treatment. */
    sched_block(&hog->entity, now);
    assert_ptr_equal(sched_pick(&queue, now), &parent->entity);
}

static void test_storm_leaves_the_others_something(void **state)
{
    (void)state;
    struct vp *parent = parent_add(SCHED_WEIGHT_MAX, 0, SCHED_MS(2), 1);
    struct vp *child = vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);

    simulate_whole_periods(50);
    assert_share(parent, 50 * SCHED_PERIOD, 90, 3);
    assert_true(child->period_least >= SCHED_PERIOD * 5 / 100);
    /* After the storm everything is as before: half for each. */
    parent->work = NEVER;
    parent->interrupts = false;
    simulate(SECONDS / 5);
    forget();
    simulate(SECONDS);
    assert_share(parent, SECONDS, 50, 1);
}

static void test_share_of_the_parent_is_guaranteed(void **state)
{
    (void)state;
    struct vp *parent = parent_add(1, 20, NEVER, 0);

    parent->interrupts = false;
    for (unsigned i = 0; i < 6; i++) {
        vp_add(SCHED_WEIGHT_MAX, i < 2 ? 30 : 0, 0, NEVER, 0);
    }
    simulate_whole_periods(30);
    assert_true(parent->period_least >= SCHED_PERIOD / 5);
    assert_true(vps[1].period_least >= SCHED_PERIOD * 3 / 10);
    assert_true(vps[2].period_least >= SCHED_PERIOD * 3 / 10);
}

/* Charges what runs until at, and picks again. */
static struct sched_entity *run_until(reftime_t at)
{
    sched_charge(queue.running, at - now, at);
    now = at;
    return sched_pick(&queue, now);
}

static void test_interrupt_waits_for_the_cap_only(void **state)
{
    (void)state;
    struct vp *child = vp_add(100, 20, 0, NEVER, 0);
    struct vp *parent = &vps[vp_count++];
    struct sched_params capped = {1, 0, 10, true};

    now = 4 * SCHED_PERIOD;
    assert_int_equal(sched_entity_init(&parent->entity, &queue, &capped), HV_STATUS_SUCCESS);
    sched_wake(&parent->entity, true, now);
    assert_ptr_equal(sched_pick(&queue, now), &parent->entity);
    sched_wake(&child->entity, false, now);
    assert_ptr_equal(run_until(now + SCHED_MS(10)), &child->entity);
    assert_false(sched_wake(&parent->entity, true, now));
    assert_int_equal(sched_next_deadline(&queue, now), 5 * SCHED_PERIOD);
    assert_ptr_equal(run_until(5 * SCHED_PERIOD), &parent->entity);
}

static void test_blocked_parent_is_not_urgent(void **state)
{
    (void)state;
    struct vp *parent = parent_add(1, 0, NEVER, 0);

    assert_true(sched_wake(&parent->entity, true, now));
    sched_block(&parent->entity, now);
    assert_null(sched_pick(&queue, now));
    assert_int_equal(sched_next_deadline(&queue, now), SCHED_NO_DEADLINE);
}

/* A parent whose interrupts never end goes before the others up to its bound to the tick. */
static void test_bound_of_the_first_class_is_exact(void **state)
{
    (void)state;
    struct vp *parent = parent_add(1, 0, NEVER, 0);
    struct vp *child = vp_add(SCHED_WEIGHT_MAX, 78, 0, NEVER, 0);

    now = 4 * SCHED_PERIOD;
    sched_wake(&child->entity, false, now);
    sched_wake(&parent->entity, true, now);
    assert_ptr_equal(sched_pick(&queue, now), &parent->entity);
    for (unsigned left = 12; left > 0; left -= left < 5 ? left : 5) {
        reftime_t slice = SCHED_MS(left < 5 ? left : 5);

        assert_ptr_equal(queue.running, &parent->entity);
        assert_int_equal(sched_next_deadline(&queue, now), now + slice);
        now += slice;
        sched_charge(&parent->entity, slice, now);
        assert_ptr_equal(sched_pick(&queue, now), &child->entity);
        assert_int_equal(sched_wake(&parent->entity, true, now), left > 5);
        sched_pick(&queue, now);
    }
    assert_ptr_equal(queue.running, &child->entity);
}

static void test_reserve_ends_to_the_tick(void **state)
{
    (void)state;
    struct vp *reserved = vp_add(1, 2, 0, NEVER, 0);

    vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);
    simulate_whole_periods(30);
    assert_int_equal(reserved->period_least, SCHED_PERIOD / 50);
    assert_share(reserved, 30 * SCHED_PERIOD, 2, 0.1);
}

static void test_spent_reserve_waits_for_the_period(void **state)
{
    (void)state;
    struct vp *reserved = vp_add(1, 1, 0, NEVER, 0);
    struct vp *hog = vp_add(SCHED_WEIGHT_MAX, 0, 0, NEVER, 0);

    now = 6 * SCHED_PERIOD - SCHED_MS(3);
    sched_wake(&reserved->entity, false, now);
    sched_pick(&queue, now);
    sched_wake(&hog->entity, false, now);
    assert_ptr_equal(run_until(now + SCHED_MS(1)), &hog->entity);
    assert_int_equal(sched_next_deadline(&queue, now), 6 * SCHED_PERIOD);
    assert_ptr_equal(run_until(6 * SCHED_PERIOD), &reserved->entity);
}

/* The overrun before the change of the period counts too, when the run is charged after it. */
static void test_overrun_across_the_period(void **state)
{
    (void)state;
    struct vp *vp = vp_add(100, 0, 20, NEVER, 0);

    now = SCHED_PERIOD * 7 - SCHED_MS(30);
    sched_wake(&vp->entity, false, now);
    sched_pick(&queue, now);
    now = SCHED_PERIOD * 7 + SCHED_MS(5);
    sched_charge(&vp->entity, SCHED_MS(35), now);
    assert_int_equal(vp->entity.used, SCHED_MS(10 + 5));
}

/* Who wakes beside a VP that ran long without a charge gets no credit for that time. */
static void test_wake_beside_an_uncharged_run(void **state)
{
    (void)state;
    struct vp *lone = vp_add(100, 0, 0, NEVER, 0);
    struct vp *late = vp_add(100, 0, 0, NEVER, 0);

    now = SCHED_PERIOD * 3;
    sched_wake(&lone->entity, false, now);
    sched_pick(&queue, now);
    late->wakes = now + SCHED_MS(90);
    now += SCHED_MS(90);
    assert_true(sched_wake(&late->entity, false, now));
    sched_charge(&lone->entity, SCHED_MS(90), now);
    sched_pick(&queue, now);
    simulate(SCHED_MS(60));
    assert_in_range(late->ran, SCHED_MS(25), SCHED_MS(40));
}

static void test_yield_lets_another_go(void **state)
{
    (void)state;
    struct vp *spinner = vp_add(100, 50, 0, NEVER, 0);

    sched_wake(&spinner->entity, false, now);
    assert_ptr_equal(sched_pick(&queue, now), &spinner->entity);
    sched_yield_running(&queue);
    assert_ptr_equal(sched_pick(&queue, now), &spinner->entity);
    struct vp *holder = vp_add(1, 0, 0, NEVER, 0);

    sched_wake(&holder->entity, false, now);
    sched_charge(&spinner->entity, 100, now + 100);
    sched_yield_running(&queue);
    assert_ptr_equal(sched_pick(&queue, now + 100), &holder->entity);
    assert_in_range(sched_next_deadline(&queue, now + 100), now + 100, now + 100 + SCHED_SLICE_MAX);
    sched_charge(&holder->entity, 100, now + 200);
    assert_ptr_equal(sched_pick(&queue, now + 200), &spinner->entity);
    assert_ptr_equal(sched_pick(&queue, now + 200), &spinner->entity);
}

static enum hv_status try_init(struct sched_params params)
{
    static struct sched_entity entity;
    enum hv_status status = sched_entity_init(&entity, &queue, &params);

    if (status == HV_STATUS_SUCCESS) {
        sched_entity_remove(&entity, now);
    }
    return status;
}

static void test_parameters_out_of_range(void **state)
{
    (void)state;
    const struct sched_params bad[] = {
        {0, 0, 0, false},   {SCHED_WEIGHT_MAX + 1, 0, 0, false},
        {1, 101, 0, false}, {1, 0, 101, false},
        {1, 20, 10, false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(try_init(bad[i]), HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(try_init((struct sched_params){1, 0, 100, false}), HV_STATUS_SUCCESS);
    assert_int_equal(try_init((struct sched_params){1, 10, 10, false}), HV_STATUS_SUCCESS);
    assert_int_equal(queue.reserve_sum, 0);
}

static void test_admission_of_reserves(void **state)
{
    (void)state;
    struct vp *one = vp_add(1, 50, 0, NEVER, 0);
    struct sched_params more = {1, SCHED_RESERVE_LIMIT + 1, 0, false};

    assert_int_equal(try_init((struct sched_params){1, 31, 0, false}), HV_STATUS_NO_RESOURCES);
    assert_int_equal(try_init((struct sched_params){1, 30, 0, false}), HV_STATUS_SUCCESS);
    assert_int_equal(sched_set_params(&one->entity, &more, now), HV_STATUS_NO_RESOURCES);
    assert_int_equal(one->entity.params.reserve, 50);
    more.reserve = SCHED_RESERVE_LIMIT;
    assert_int_equal(sched_set_params(&one->entity, &more, now), HV_STATUS_SUCCESS);
    assert_int_equal(try_init((struct sched_params){1, 1, 0, false}), HV_STATUS_NO_RESOURCES);
    sched_entity_remove(&one->entity, now);
    assert_int_equal(try_init((struct sched_params){1, 80, 0, false}), HV_STATUS_SUCCESS);
    struct vp *parent = parent_add(1, 0, NEVER, 0);

    assert_int_equal(try_init((struct sched_params){1, 0, 0, true}), HV_STATUS_INVALID_PARAMETER);
    more = (struct sched_params){1, 0, 0, false};
    assert_int_equal(sched_set_params(&parent->entity, &more, now), HV_STATUS_INVALID_PARAMETER);
    sched_entity_remove(&parent->entity, now);
    assert_int_equal(try_init((struct sched_params){1, 0, 0, true}), HV_STATUS_SUCCESS);
}

/* Removal from every place an entity can be in leaves a queue that goes on. */
static void test_removal_anywhere(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        vp_add(100, i % 2 ? 10 : 0, i % 3 ? 20 : 0, NEVER, 0);
    }
    simulate(SECONDS + SCHED_MS(93));
    for (unsigned i = 0; i < 5; i++) {
        if (queue.running == &vps[i].entity) {
            sched_charge(&vps[i].entity, 0, now);
        }
        sched_entity_remove(&vps[i].entity, now);
        vps[i].entity.lane = SCHED_RUNNING; /* keeps the simulation's hands off it */
        if (!queue.running) {
            sched_pick(&queue, now);
        }
        simulate(SCHED_MS(130));
    }
    forget();
    simulate(SECONDS);
    assert_int_equal(vps[5].ran, vps[5].entity.params.cap ? SECONDS / 5 : SECONDS);
}

static uint64_t comparisons;
static heap_before *real_before;

static bool counting_before(const struct heap_node *a, const struct heap_node *b)
{
    comparisons++;
    return real_before(a, b);
}

/* The worst number of comparisons of one round of charge, pick and wake among count entities. */
static uint64_t worst_cost(unsigned count)
{
    struct sched_entity *entity = calloc(count, sizeof(*entity));
    uint64_t worst = 0, random = 17;

    assert_non_null(entity);
    setup(NULL);
    real_before = queue.lane[0].before;
    for (unsigned lane = 0; lane < SCHED_LANES; lane++) {
        queue.lane[lane].before = counting_before;
    }
    for (unsigned i = 0; i < count; i++) {
        struct sched_params params = {1 + i % 500, 0, i % 7 ? 0 : 50, false};

        assert_int_equal(sched_entity_init(&entity[i], &queue, &params), HV_STATUS_SUCCESS);
        sched_wake(&entity[i], false, now);
    }
    struct sched_entity *running = sched_pick(&queue, now);

    for (unsigned step = 0; step < 20000; step++) {
        struct sched_entity *sleeper = &entity[random_next(&random) % count];

        comparisons = 0;
        now += SCHED_MS(1) + random_next(&random) % SCHED_MS(1);
        if (running) {
            sched_charge(running, SCHED_MS(1), now);
        }
        if (sleeper != running) {
            sched_block(sleeper, now);
            sched_wake(sleeper, false, now);
        }
        running = sched_pick(&queue, now);
        assert_non_null(running);
        worst = comparisons > worst ? comparisons : worst;
    }
    free(entity);
    return worst;
}

/* A round is at most five operations on heaps, two edges each, and the looks at lanes' heads. */
static void test_cost_grows_like_the_logarithm(void **state)
{
    (void)state;
    uint64_t log = 7;

    for (unsigned count = 100; count <= 10000; count *= 10, log += 4) {
        uint64_t worst = worst_cost(count);

        print_message("%5u entities: %llu comparisons at most\n", count, (unsigned long long)worst);
        assert_true(worst <= 10 * log);
    }
}

/* Random wake-ups, sleeps, yields and changes: never more than all, and nobody is lost. */
static void test_random_use(void **state)
{
    (void)state;
    uint64_t random = 23;

    for (unsigned i = 0; i < 12; i++) {
        vp_add(1 + i * 50, i % 4 == 0 ? 10 : 0, i % 3 == 0 ? 60 : 0,
               i % 2 ? NEVER : SCHED_MS(i + 1), SCHED_MS(i));
    }
    parent_add(100, 10, SCHED_MS(1), SCHED_MS(2));
    for (unsigned step = 0; step < 5000; step++) {
        struct vp *vp = &vps[random_next(&random) % vp_count];
        struct sched_params params = vp->entity.params;

        simulate(random_next(&random) % SCHED_MS(9));
        params.weight = 1 + (uint32_t)(random_next(&random) % SCHED_WEIGHT_MAX);
        if (step % 3 == 0) {
            sched_set_params(&vp->entity, &params, now);
        } else if (step % 7 == 0) {
            sched_yield_running(&queue);
        }
    }
    reftime_t before = now, sum = 0;

    forget();
    simulate(20 * SECONDS);
    for (unsigned i = 0; i < vp_count; i++) {
        assert_true(vps[i].ran > 0);
        sum += vps[i].ran;
    }
    assert_int_equal(sum, now - before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_to_run, setup),
        cmocka_unit_test_setup(test_alone_needs_no_timer, setup),
        cmocka_unit_test_setup(test_shares_follow_weights, setup),
        cmocka_unit_test_setup(test_shares_of_extreme_weights, setup),
        cmocka_unit_test_setup(test_equal_among_many, setup),
        cmocka_unit_test_setup(test_weight_changes_while_running, setup),
        cmocka_unit_test_setup(test_sleeper_gets_no_more_than_its_share, setup),
        cmocka_unit_test_setup(test_latency_of_a_light_sleeper, setup),
        cmocka_unit_test_setup(test_wake_ups_leave_a_least_slice, setup),
        cmocka_unit_test_setup(test_late_running_is_not_free_of_charge, setup),
        cmocka_unit_test_setup(test_reserve_holds, setup),
        cmocka_unit_test_setup(test_reserve_is_part_of_the_share, setup),
        cmocka_unit_test_setup(test_reserves_hold_together, setup),
        cmocka_unit_test_setup(test_reserve_holds_in_a_storm, setup),
        cmocka_unit_test_setup(test_cap_is_never_exceeded, setup),
        cmocka_unit_test_setup(test_capped_sleeper, setup),
        cmocka_unit_test_setup(test_cap_with_reserve, setup),
        cmocka_unit_test_setup(test_overrun_of_a_cap_is_paid_back, setup),
        cmocka_unit_test_setup(test_run_across_the_period_is_split, setup),
        cmocka_unit_test_setup(test_new_cap_makes_no_debt, setup),
        cmocka_unit_test_setup(test_interrupts_of_the_parent_come_first, setup),
        cmocka_unit_test_setup(test_interrupt_for_a_waiting_parent, setup),
        cmocka_unit_test_setup(test_storm_leaves_the_others_something, setup),
        cmocka_unit_test_setup(test_share_of_the_parent_is_guaranteed, setup),
        cmocka_unit_test_setup(test_interrupt_waits_for_the_cap_only, setup),
        cmocka_unit_test_setup(test_blocked_parent_is_not_urgent, setup),
        cmocka_unit_test_setup(test_bound_of_the_first_class_is_exact, setup),
        cmocka_unit_test_setup(test_reserve_ends_to_the_tick, setup),
        cmocka_unit_test_setup(test_spent_reserve_waits_for_the_period, setup),
        cmocka_unit_test_setup(test_overrun_across_the_period, setup),
        cmocka_unit_test_setup(test_wake_beside_an_uncharged_run, setup),
        cmocka_unit_test_setup(test_yield_lets_another_go, setup),
        cmocka_unit_test_setup(test_parameters_out_of_range, setup),
        cmocka_unit_test_setup(test_admission_of_reserves, setup),
        cmocka_unit_test_setup(test_removal_anywhere, setup),
        cmocka_unit_test(test_cost_grows_like_the_logarithm),
        cmocka_unit_test_setup(test_random_use, setup),
    };

    return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
