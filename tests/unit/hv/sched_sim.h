/* SPDX-License-Identifier: MIT */
/*
 * The scheduler in simulated time: a loop that runs what sched_pick says until
 * the deadline, an entity's own end of work, or the next wake-up, whichever is
 * first. Shares, reserves, caps and latencies are measured, not assumed.
 */
#ifndef TESTS_UNIT_HV_SCHED_SIM_H
#define TESTS_UNIT_HV_SCHED_SIM_H

#include "hv/core/sched.h"
#include "tests/unit/hv/unit.h"

#define NEVER   UINT64_MAX
#define SECONDS SCHED_MS(1000)

/* A virtual processor that works for `work`, then sleeps for `sleep`; work NEVER: a spinner. */
struct sim_vp {
    struct sched_entity entity;
    reftime_t work, sleep;
    bool interrupts; /* its wake-ups are interrupts */
    reftime_t left;  /* of its work */
    reftime_t wakes; /* when asleep */
    reftime_t woken; /* when woken and not yet run, else NEVER */
    reftime_t ran, period_ran, period_most, period_least;
    reftime_t latency_most, gap_most; /* since woken; between two runs of a spinner */
    reftime_t last_ran;
    unsigned runs;
};

#define SIM_VPS 128u

struct sim {
    struct sched_queue queue;
    struct sim_vp vp[SIM_VPS];
    unsigned count;
    reftime_t now;
};

extern struct sim sim;

int sim_setup(void **state);

/* reserve and cap in percent. Asleep until now; see struct sim_vp. */
struct sim_vp *sim_add(uint32_t weight, uint32_t reserve, uint32_t cap, reftime_t work,
                       reftime_t sleep);
/* Of the first class; its wake-ups are interrupts. */
struct sim_vp *sim_add_parent(uint32_t weight, uint32_t reserve, reftime_t work, reftime_t sleep);
/* Parameters with reserve and cap in percent. */
struct sched_params sim_params(uint32_t weight, uint32_t reserve, uint32_t cap);
/* sched_set_params of them. */
enum hv_status sim_change(struct sim_vp *vp, uint32_t weight, uint32_t reserve, uint32_t cap);

/* Picks only when the scheduler's interface says so. */
void sim_run(reftime_t duration);
/* From a whole period on, so that least and most are of whole periods. */
void sim_run_periods(unsigned periods);
/* Moves the clock and picks. */
struct sched_entity *sim_run_until(reftime_t at);

/* Forgets what was measured. */
void sim_forget(void);
void sim_assert_share(const struct sim_vp *vp, reftime_t duration, double percent, double slack);

#endif
