/* SPDX-License-Identifier: MIT */
/*
 * The scheduler of one logical processor: which entity (a virtual processor)
 * runs next, and for how long at most. Pure arithmetic; the caller passes the
 * time, in units of 100 ns. There is no lock: a queue and its entities are used by
 * one processor at a time, their own. Every call first charges the running entity
 * for what it ran since the last one.
 *
 * Who goes first, best first:
 *   1. the entity of the first class (the parent's VP) that has an interrupt to
 *      take, for a slice or until its reserve is used up, as long as what it ran so
 *      in this period is below its bound: the period less a tenth and less all that
 *      is reserved for others. If the interrupt is a child's signal, whoever runs has
 *      SCHED_PATIENCE first: a child that fills a ring has more to say, and one that
 *      waits for the answer blocks;
 *   2. entities that have not used up their reserve of this period;
 *   3. all others, in proportion to their weights: the one with the least
 *      virtual time. Virtual time is time run divided by weight, and every run
 *      is charged to it, also those of class 1 and 2.
 * An entity that used up its cap of this period does not run until the next.
 *
 * Periods are 100 ms long and the same for all entities. Reserve and cap are time
 * in each period; reserves are admitted up to SCHED_RESERVE_LIMIT in sum, so that
 * each of them can be kept. What an entity ran over its cap is subtracted from its
 * next period.
 *
 * After sleep an entity gets a credit of SCHED_CREDIT at most, and after runs
 * out of turn it owes one period at most.
 *
 * Each call costs O(log n) comparisons at most; the change of the period, too,
 * since whole heaps are melded then.
 */
#ifndef HV_CORE_SCHED_H
#define HV_CORE_SCHED_H

#include "hv/abi/hypercall.h"
#include "hv/abi/partition.h"
#include "hv/core/heap.h"
#include "hv/core/types.h"

#define SCHED_MS(ms)        ((reftime_t)(ms)*10000)
#define SCHED_PERIOD        SCHED_MS(100)
#define SCHED_SLICE_MAX     SCHED_MS(5)
#define SCHED_SLICE_MIN     SCHED_MS(1)  /* nobody but class 1 interrupts a run before this */
#define SCHED_PATIENCE      500          /* 50 us; nor does class 1 before, for a signal */
#define SCHED_ROUND         SCHED_MS(20) /* slices are such that a round takes this, if they can */
#define SCHED_CREDIT        SCHED_MS(5)
#define SCHED_NO_DEADLINE   UINT64_MAX
#define SCHED_WEIGHT_MAX    BH_WEIGHT_MAX
#define SCHED_PERCENT(n)    ((reftime_t)(n) * (SCHED_PERIOD / 100)) /* of a period */
#define SCHED_SHARE_UNIT    (SCHED_PERIOD / BH_SHARE_WHOLE)
#define SCHED_PARENT        SCHED_PERCENT(20) /* reserve of the parent's VP */
#define SCHED_RESERVE_LIMIT (SCHED_PARENT + BH_SHARE_RESERVE_MAX * SCHED_SHARE_UNIT)

struct sched_params {
    uint32_t weight;   /* 1 .. SCHED_WEIGHT_MAX */
    reftime_t reserve; /* time in each period, 0 = none */
    reftime_t cap;     /* the same; not below reserve, not above the period */
    bool first;        /* class 1; one entity a queue */
};

/* Where an entity is. The lanes are the queue's heaps. */
enum sched_lane {
    SCHED_RESERVED,        /* has reserve left */
    SCHED_SHARED,          /* has no reserve */
    SCHED_SPENT,           /* has none left */
    SCHED_CAPPED,          /* waits for the next period */
    SCHED_CAPPED_RESERVED, /* waits for the next period, when it has reserve again */
    SCHED_LANES,
    SCHED_RUNNING = SCHED_LANES,
    SCHED_BLOCKED,
};

struct sched_queue;

struct sched_entity {
    struct heap_node node;
    struct sched_queue *queue;
    struct sched_params params;
    enum sched_lane lane; /* as of period; the change of the period moves whole lanes */
    bool patient;         /* the next interrupt that it is woken for is a signal */
    uint64_t vtime;
    uint64_t period; /* number of the period that used and lane are of */
    reftime_t used;  /* time run in it */
};

struct sched_queue {
    struct heap lane[SCHED_LANES];
    struct sched_entity *running;
    struct sched_entity *urgent; /* the first-class entity, when it has an interrupt to take */
    struct sched_entity *first;
    uint64_t floor;  /* virtual time that all eligible entities have reached; wraps */
    uint64_t period; /* number of the present period */
    reftime_t reserve_sum;
    reftime_t since;             /* when running was picked or last charged */
    reftime_t picked;            /* when running was picked */
    reftime_t slice_end;         /* of running */
    reftime_t urgent_used;       /* in this period */
    enum sched_lane picked_lane; /* running came from there */
    bool urgent_run;             /* running was picked as class 1 */
    bool yielded;                /* running asked to let another go first */
};

/* Weight, reserve and cap are in range. */
bool sched_params_are_valid(const struct sched_params *params);

void sched_queue_init(struct sched_queue *queue, reftime_t now);

/*
 * A blocked entity of this queue. INVALID_PARAMETER: weight, reserve or cap out of range, or a
 * second first-class entity; NO_RESOURCES: the processor has not so much reserve left.
 */
enum hv_status sched_entity_init(struct sched_entity *entity, struct sched_queue *queue,
                                 const struct sched_params *params);
/* Takes the entity out of its queue, whatever it does, and gives its reserve back. */
void sched_entity_remove(struct sched_entity *entity, reftime_t now);
/*
 * Same results as sched_entity_init; refused parameters change nothing. first is fixed. What the
 * entity is ahead of its share or behind it stays as much time as it was. Pick after.
 */
enum hv_status sched_set_params(struct sched_entity *entity, const struct sched_params *params,
                                reftime_t now);

/*
 * The entity can run, or an interrupt for it came (interrupt = true; matters to the first class
 * only) while it could already. True: call sched_pick now. In any case the next deadline may be
 * another one.
 */
bool sched_wake(struct sched_entity *entity, bool interrupt, reftime_t now);
/* The entity, which may be the running one, waits for a wake-up. Pick after. */
void sched_block(struct sched_entity *entity, reftime_t now);
/* The running entity lets another go first, once, if there is one. Pick after. (Not sched_yield:
 * on the host the C library has a function of that name.) */
void sched_yield_running(struct sched_queue *queue);

/* Who runs from now on; NULL: nobody can. What ran before goes back in line. */
struct sched_entity *sched_pick(struct sched_queue *queue, reftime_t now);
/* When to call sched_pick next if nothing happens; SCHED_NO_DEADLINE: never. */
reftime_t sched_next_deadline(const struct sched_queue *queue, reftime_t now);

#endif
