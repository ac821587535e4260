/* SPDX-License-Identifier: MIT */
#include "tests/unit/hv/sched_sim.h"

struct sim sim;

static struct sim_vp *vp_of(struct sched_entity *entity)
{
    return entity ? CONTAINER_OF(entity, struct sim_vp, entity) : NULL;
}

static reftime_t least(reftime_t a, reftime_t b)
{
    return a < b ? a : b;
}

static reftime_t most(reftime_t a, reftime_t b)
{
    return a > b ? a : b;
}

/* ---- who is there ---- */

int sim_setup(void **state)
{
    (void)state;
    sim.now = 12345;
    sim.count = 0;
    sched_queue_init(&sim.queue, sim.now);
    return 0;
}

struct sched_params sim_params(uint32_t weight, uint32_t reserve, uint32_t cap)
{
    return (struct sched_params){weight, SCHED_PERCENT(reserve), SCHED_PERCENT(cap), false};
}

static struct sim_vp *add(struct sched_params params, reftime_t work, reftime_t sleep)
{
    struct sim_vp *vp = &sim.vp[sim.count++];

    *vp = (struct sim_vp){.work = work,
                          .sleep = sleep,
                          .left = work,
                          .wakes = sim.now,
                          .woken = NEVER,
                          .last_ran = sim.now,
                          .interrupts = params.first,
                          .period_least = NEVER};
    assert_int_equal(sched_entity_init(&vp->entity, &sim.queue, &params), HV_STATUS_SUCCESS);
    return vp;
}

struct sim_vp *sim_add(uint32_t weight, uint32_t reserve, uint32_t cap, reftime_t work,
                       reftime_t sleep)
{
    return add(sim_params(weight, reserve, cap), work, sleep);
}

struct sim_vp *sim_add_parent(uint32_t weight, uint32_t reserve, reftime_t work, reftime_t sleep)
{
    struct sched_params params = sim_params(weight, reserve, 0);

    params.first = true;
    return add(params, work, sleep);
}

enum hv_status sim_change(struct sim_vp *vp, uint32_t weight, uint32_t reserve, uint32_t cap)
{
    const struct sched_params params = sim_params(weight, reserve, cap);

    return sched_set_params(&vp->entity, &params, sim.now);
}

/* ---- what happens ---- */

static reftime_t next_wake(void)
{
    reftime_t next = NEVER;

    for (unsigned i = 0; i < sim.count; i++) {
        if (sim.vp[i].entity.lane == SCHED_BLOCKED) {
            next = least(next, sim.vp[i].wakes);
        }
    }
    return next;
}

/* Wakes whose time has come; true: the scheduler wants to choose again. */
static bool wake_sleepers(void)
{
    bool again = false;

    for (unsigned i = 0; i < sim.count; i++) {
        struct sim_vp *vp = &sim.vp[i];

        if (vp->entity.lane == SCHED_BLOCKED && vp->wakes <= sim.now) {
            vp->woken = sim.now;
            again |= sched_wake(&vp->entity, vp->interrupts, sim.now);
        }
    }
    return again;
}

static void account(struct sim_vp *vp, reftime_t ran)
{
    vp->ran += ran;
    vp->period_ran += ran;
    vp->left -= vp->work == NEVER ? 0 : ran;
    vp->last_ran = sim.now;
}

static void period_end(void)
{
    for (unsigned i = 0; i < sim.count; i++) {
        struct sim_vp *vp = &sim.vp[i];

        vp->period_most = most(vp->period_most, vp->period_ran);
        vp->period_least = least(vp->period_least, vp->period_ran);
        vp->period_ran = 0;
    }
}

static struct sim_vp *pick(void)
{
    struct sim_vp *vp = vp_of(sched_pick(&sim.queue, sim.now));

    if (vp && vp->woken != NEVER) {
        vp->latency_most = most(vp->latency_most, sim.now - vp->woken);
        vp->woken = NEVER;
    }
    if (vp) {
        vp->gap_most = most(vp->gap_most, sim.now - vp->last_ran);
        vp->runs++;
    }
    return vp;
}

/* Runs until the next thing happens, and lets a VP whose work is done sleep. */
static void run_once(struct sim_vp *vp, reftime_t end)
{
    reftime_t until = least(end, next_wake());
    reftime_t boundary = (sim.now / SCHED_PERIOD + 1) * SCHED_PERIOD;
    reftime_t start = sim.now;

    until = least(until, boundary); /* for the figures of each period only */
    until = least(until, sched_next_deadline(&sim.queue, sim.now));
    if (vp && vp->work != NEVER) {
        until = least(until, sim.now + vp->left);
    }
    sim.now = most(until, sim.now);
    if (vp) {
        account(vp, sim.now - start);
    }
    if (sim.now == boundary) {
        period_end();
    }
    if (vp && vp->work != NEVER && vp->left == 0) {
        vp->left = vp->work;
        vp->wakes = sim.now + vp->sleep;
        sched_block(&vp->entity, sim.now);
    }
}

void sim_run(reftime_t duration)
{
    reftime_t end = sim.now + duration;
    struct sim_vp *running = vp_of(sim.queue.running);
    bool again = true;

    while (sim.now < end) {
        again |= wake_sleepers();
        if (again) {
            running = pick();
        }
        run_once(running, end);
        again = (running && running->entity.lane == SCHED_BLOCKED) ||
                sched_next_deadline(&sim.queue, sim.now) <= sim.now;
    }
}

void sim_run_periods(unsigned periods)
{
    sim_run(SCHED_PERIOD - sim.now % SCHED_PERIOD);
    sim_forget();
    sim_run(periods * SCHED_PERIOD);
}

struct sched_entity *sim_run_until(reftime_t at)
{
    sim.now = at;
    return sched_pick(&sim.queue, at);
}

/* ---- what was measured ---- */

void sim_forget(void)
{
    for (unsigned i = 0; i < sim.count; i++) {
        struct sim_vp *vp = &sim.vp[i];

        vp->ran = vp->period_ran = vp->period_most = vp->latency_most = vp->gap_most = 0;
        vp->period_least = NEVER;
        vp->last_ran = sim.now;
        vp->runs = 0;
    }
}

void sim_assert_share(const struct sim_vp *vp, reftime_t duration, double percent, double slack)
{
    double share = 100.0 * (double)vp->ran / (double)duration;

    if (share < percent - slack || share > percent + slack) {
        fail_msg("VP %td has %.2f %%, not %.2f %%", vp - sim.vp, share, percent);
    }
}
