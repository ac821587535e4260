/* SPDX-License-Identifier: MIT */
/*
 * Virtual times wrap around; only their differences mean something. An
 * entity's virtual time is brought near the queue's floor whenever it enters a
 * lane after a sleep and whenever it is picked or charged, so differences stay
 * small.
 *
 * At the change of the period whole lanes move: who waited for its cap or had
 * spent its reserve is eligible again. The entities in them learn of it when
 * they are looked at next (entity_refresh).
 */
#include "hv/core/sched.h"

#include "hv/core/lib.h"

#define VTIME_SCALE 65536u            /* virtual time of 100 ns at weight 1 */
#define RUN_MAX     (1ull << 47)      /* longest run that is charged whole: 162 days */
#define SHARED_LEFT SCHED_PERCENT(10) /* what class 1 leaves to the others, besides reserves */

static struct sched_entity *entity_of(struct heap_node *node)
{
    return CONTAINER_OF(node, struct sched_entity, node);
}

static bool vtime_less(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static bool entity_before(const struct heap_node *a, const struct heap_node *b)
{
    return vtime_less(CONTAINER_OF(a, const struct sched_entity, node)->vtime,
                      CONTAINER_OF(b, const struct sched_entity, node)->vtime);
}

static uint64_t vtime_of(const struct sched_entity *entity, reftime_t ran)
{
    return (ran < RUN_MAX ? ran : RUN_MAX) * VTIME_SCALE / entity->params.weight;
}

static reftime_t time_left(reftime_t budget, reftime_t used)
{
    return used < budget ? budget - used : 0;
}

static bool lane_is_eligible(enum sched_lane lane)
{
    return lane <= SCHED_SPENT;
}

/* The lane that an entity belongs in after what it ran in this period. */
static enum sched_lane entity_lane(const struct sched_entity *entity)
{
    const struct sched_params *params = &entity->params;

    if (params->cap != 0 && entity->used >= params->cap)
        return params->reserve != 0 ? SCHED_CAPPED_RESERVED : SCHED_CAPPED;
    if (params->reserve == 0)
        return SCHED_SHARED;
    return entity->used < params->reserve ? SCHED_RESERVED : SCHED_SPENT;
}

/* Brings an entity to the present period: a new budget, less what it ran over its cap. */
static void entity_refresh(struct sched_entity *entity)
{
    uint64_t periods = entity->queue->period - entity->period;

    if (periods == 0)
        return;
    reftime_t cap = entity->params.cap;

    entity->used = cap != 0 && entity->used / cap >= periods ? entity->used - cap * periods : 0;
    entity->period = entity->queue->period;
    if (entity->lane == SCHED_CAPPED)
        entity->lane = SCHED_SHARED;
    else if (entity->lane == SCHED_SPENT || entity->lane == SCHED_CAPPED_RESERVED)
        entity->lane = SCHED_RESERVED;
}

/* Keeps the credit of sleepers and the debt of those that ran out of turn in bounds. */
static void entity_place(struct sched_entity *entity)
{
    uint64_t low = entity->queue->floor - vtime_of(entity, SCHED_CREDIT);
    uint64_t high = entity->queue->floor + vtime_of(entity, SCHED_PERIOD);

    if (vtime_less(entity->vtime, low))
        entity->vtime = low;
    else if (vtime_less(high, entity->vtime))
        entity->vtime = high;
}

static void lane_insert(struct sched_entity *entity)
{
    entity_refresh(entity);
    entity->lane = entity_lane(entity);
    heap_insert(&entity->queue->lane[entity->lane], &entity->node);
}

/* Takes a waiting entity out of its lane. */
static void lane_remove(struct sched_entity *entity)
{
    entity_refresh(entity);
    heap_remove(&entity->queue->lane[entity->lane], &entity->node);
}

static void queue_change_period(struct sched_queue *queue, reftime_t now)
{
    if (now / SCHED_PERIOD <= queue->period)
        return;
    queue->period = now / SCHED_PERIOD;
    queue->urgent_used = 0;
    heap_meld(&queue->lane[SCHED_RESERVED], &queue->lane[SCHED_SPENT]);
    heap_meld(&queue->lane[SCHED_RESERVED], &queue->lane[SCHED_CAPPED_RESERVED]);
    heap_meld(&queue->lane[SCHED_SHARED], &queue->lane[SCHED_CAPPED]);
}

/* The floor follows the least virtual time of all eligible entities, upwards only. */
static void queue_advance_floor(struct sched_queue *queue)
{
    bool any = queue->running != NULL;
    uint64_t least = any ? queue->running->vtime : 0;

    for (enum sched_lane lane = 0; lane_is_eligible(lane); lane++) {
        struct heap_node *first = heap_first(&queue->lane[lane]);

        if (first && (!any || vtime_less(entity_of(first)->vtime, least))) {
            least = entity_of(first)->vtime;
            any = true;
        }
    }
    if (any && vtime_less(queue->floor, least))
        queue->floor = least;
}

static void entity_charge(struct sched_entity *entity, reftime_t ran, reftime_t now)
{
    struct sched_queue *queue = entity->queue;
    reftime_t part = u64_min(ran, now - queue->period * SCHED_PERIOD); /* in this period */

    if (entity->period != queue->period) {
        entity->used += ran - part;
        entity_refresh(entity);
    }
    entity->used += part;
    entity->vtime += vtime_of(entity, ran);
    if (queue->urgent_run)
        queue->urgent_used += part;
}

/* Brings the queue to now: the period, what the running entity ran, the floor. */
static void queue_settle(struct sched_queue *queue, reftime_t now)
{
    struct sched_entity *running = queue->running;

    queue_change_period(queue, now);
    if (running) {
        if (now <= queue->since) /* it was settled at this time before */
            return;
        entity_charge(running, now - queue->since, now);
        queue->since = now;
    }
    queue_advance_floor(queue);
    if (running)
        entity_place(running);
}

static uint64_t queue_eligible(const struct sched_queue *queue)
{
    return queue->lane[SCHED_RESERVED].count + queue->lane[SCHED_SHARED].count +
           queue->lane[SCHED_SPENT].count;
}

/* How long class 1 may go on in this period. */
static reftime_t queue_urgent_left(const struct sched_queue *queue)
{
    reftime_t others = queue->reserve_sum - queue->first->params.reserve;

    return time_left(SCHED_PERIOD - SHARED_LEFT - others, queue->urgent_used);
}

static bool queue_urgent_eligible(const struct sched_queue *queue)
{
    if (!queue->urgent)
        return false;
    entity_refresh(queue->urgent);
    return lane_is_eligible(queue->urgent->lane) && queue_urgent_left(queue) != 0;
}

void sched_queue_init(struct sched_queue *queue, reftime_t now)
{
    memset(queue, 0, sizeof(*queue));
    for (unsigned lane = 0; lane < SCHED_LANES; lane++)
        heap_init(&queue->lane[lane], entity_before);
    queue->period = now / SCHED_PERIOD;
}

bool sched_params_are_valid(const struct sched_params *params)
{
    return params->weight >= 1 && params->weight <= SCHED_WEIGHT_MAX &&
           params->cap <= SCHED_PERIOD &&
           params->reserve <= (params->cap != 0 ? params->cap : SCHED_PERIOD);
}

/* reserve_before: what the entity has of the queue's reserve already. */
static enum hv_status params_check(const struct sched_queue *queue,
                                   const struct sched_params *params, reftime_t reserve_before)
{
    if (!sched_params_are_valid(params))
        return HV_STATUS_INVALID_PARAMETER;
    if (queue->reserve_sum - reserve_before + params->reserve > SCHED_RESERVE_LIMIT)
        return HV_STATUS_NO_RESOURCES;
    return HV_STATUS_SUCCESS;
}

enum hv_status sched_entity_init(struct sched_entity *entity, struct sched_queue *queue,
                                 const struct sched_params *params)
{
    enum hv_status status = params_check(queue, params, 0);

    if (params->first && queue->first)
        return HV_STATUS_INVALID_PARAMETER;
    if (status != HV_STATUS_SUCCESS)
        return status;
    *entity = (struct sched_entity){
        .queue = queue,
        .params = *params,
        .lane = SCHED_BLOCKED,
        .vtime = queue->floor,
        .period = queue->period,
    };
    queue->reserve_sum += params->reserve;
    queue->first = params->first ? entity : queue->first;
    return HV_STATUS_SUCCESS;
}

void sched_entity_remove(struct sched_entity *entity, reftime_t now)
{
    struct sched_queue *queue = entity->queue;

    sched_block(entity, now);
    queue->reserve_sum -= entity->params.reserve;
    if (queue->first == entity)
        queue->first = NULL;
    entity->queue = NULL;
}

/* The distance to the floor, in virtual time, means as much time at the new weight. */
static void entity_rescale(struct sched_entity *entity, uint32_t weight)
{
    entity_place(entity);
    int64_t ahead = (int64_t)(entity->vtime - entity->queue->floor);

    entity->vtime = entity->queue->floor + (uint64_t)(ahead * entity->params.weight / weight);
}

enum hv_status sched_set_params(struct sched_entity *entity, const struct sched_params *params,
                                reftime_t now)
{
    struct sched_queue *queue = entity->queue;
    enum hv_status status = params_check(queue, params, entity->params.reserve);

    if (params->first != entity->params.first)
        return HV_STATUS_INVALID_PARAMETER;
    if (status != HV_STATUS_SUCCESS)
        return status;
    queue_settle(queue, now);
    bool waiting = entity->lane < SCHED_LANES;

    if (waiting)
        lane_remove(entity);
    entity_rescale(entity, params->weight);
    queue->reserve_sum += params->reserve - entity->params.reserve;
    entity->params = *params;
    if (params->cap != 0) /* a new cap makes no debt of what was free before */
        entity->used = u64_min(entity->used, params->cap);
    if (waiting)
        lane_insert(entity);
    return HV_STATUS_SUCCESS;
}

/* Whether a waiting entity, by its class and virtual time, goes before the running one. */
static bool entity_outranks_running(const struct sched_entity *entity)
{
    const struct sched_queue *queue = entity->queue;
    bool reserved = entity->lane == SCHED_RESERVED;

    if (!lane_is_eligible(entity->lane) || queue->urgent_run)
        return false;
    if (reserved || queue->picked_lane == SCHED_RESERVED)
        return reserved && queue->picked_lane != SCHED_RESERVED;
    return vtime_less(entity->vtime, queue->running->vtime);
}

bool sched_wake(struct sched_entity *entity, bool interrupt, reftime_t now)
{
    struct sched_queue *queue = entity->queue;
    reftime_t run_least = entity->patient ? SCHED_PATIENCE : 0;

    entity->patient = false;
    if (entity == queue->running)
        return false;
    queue_settle(queue, now);
    entity_refresh(entity);
    if (entity->lane == SCHED_BLOCKED) {
        entity_place(entity);
        lane_insert(entity);
    }
    if (interrupt && entity->params.first)
        queue->urgent = entity;
    if (!queue->running)
        return lane_is_eligible(entity->lane);
    if (queue->urgent != entity || !queue_urgent_eligible(queue)) {
        if (!entity_outranks_running(entity))
            return false;
        run_least = SCHED_SLICE_MIN;
    }
    queue->slice_end = u64_min(queue->slice_end, queue->picked + run_least);
    return now >= queue->slice_end;
}

void sched_block(struct sched_entity *entity, reftime_t now)
{
    struct sched_queue *queue = entity->queue;

    queue_settle(queue, now);
    if (entity->lane < SCHED_LANES)
        lane_remove(entity);
    if (queue->running == entity)
        queue->running = NULL;
    if (queue->urgent == entity)
        queue->urgent = NULL;
    entity->lane = SCHED_BLOCKED;
}

void sched_yield_running(struct sched_queue *queue)
{
    queue->yielded = true;
}

/* The waiting entity that goes first by reserve and virtual time; NULL: none is eligible. */
static struct sched_entity *queue_best(const struct sched_queue *queue)
{
    struct heap_node *reserved = heap_first(&queue->lane[SCHED_RESERVED]);
    struct heap_node *shared = heap_first(&queue->lane[SCHED_SHARED]);
    struct heap_node *spent = heap_first(&queue->lane[SCHED_SPENT]);

    if (reserved)
        return entity_of(reserved);
    if (!shared || (spent && queue->lane[SCHED_SPENT].before(spent, shared)))
        shared = spent;
    return shared ? entity_of(shared) : NULL;
}

/* Takes the next entity out of its lane. */
static struct sched_entity *queue_take(struct sched_queue *queue)
{
    queue->urgent_run = queue_urgent_eligible(queue);
    for (;;) {
        struct sched_entity *entity = queue->urgent_run ? queue->urgent : queue_best(queue);

        if (!entity)
            return NULL;
        lane_remove(entity);
        if (entity_lane(entity) == entity->lane)
            return entity;
        queue->urgent_run = false; /* it still owes what it ran over its cap */
        lane_insert(entity);
    }
}

/* The longest run of an entity just taken from its lane. */
static reftime_t queue_slice(const struct sched_queue *queue, const struct sched_entity *entity)
{
    reftime_t slice = u64_min(SCHED_ROUND / (queue_eligible(queue) + 1), SCHED_SLICE_MAX);

    slice = slice < SCHED_SLICE_MIN ? SCHED_SLICE_MIN : slice;
    if (queue->urgent_run)
        return u64_min(slice, queue_urgent_left(queue));
    if (entity->lane == SCHED_RESERVED)
        return u64_min(slice, time_left(entity->params.reserve, entity->used));
    return slice;
}

static void queue_start(struct sched_queue *queue, struct sched_entity *entity, reftime_t now)
{
    entity_place(entity);
    queue->slice_end = now + queue_slice(queue, entity);
    queue->picked = now;
    queue->since = now;
    queue->picked_lane = entity->lane;
    queue->running = entity;
    entity->lane = SCHED_RUNNING;
    if (queue->urgent == entity)
        queue->urgent = NULL;
    queue_advance_floor(queue);
}

struct sched_entity *sched_pick(struct sched_queue *queue, reftime_t now)
{
    struct sched_entity *before = queue->running;
    struct sched_entity *next = NULL;

    if (before)
        queue_settle(queue, now);
    else /* queue_start brings the floor up */
        queue_change_period(queue, now);
    queue->running = NULL;
    if (before && queue->urgent_run && !queue->yielded &&
        (now < queue->slice_end || before->used < before->params.reserve))
        queue->urgent = before; /* only the end of its slice ends its turn, or of its reserve */
    if (before && queue->yielded)
        next = queue_take(queue);
    if (before)
        lane_insert(before);
    queue->yielded = false;
    next = next ? next : queue_take(queue);
    if (next)
        queue_start(queue, next, now);
    return next;
}

reftime_t sched_next_deadline(const struct sched_queue *queue, reftime_t now)
{
    const struct sched_entity *running = queue->running;
    reftime_t period_end = (queue->period + 1) * SCHED_PERIOD;
    bool waiting = queue->lane[SCHED_SPENT].count != 0 || queue->lane[SCHED_CAPPED].count != 0 ||
                   queue->lane[SCHED_CAPPED_RESERVED].count != 0 || queue->urgent;
    reftime_t deadline = waiting ? period_end : SCHED_NO_DEADLINE;

    if (queue_eligible(queue) != 0)
        deadline = u64_min(deadline, running ? queue->slice_end : now);
    if (running && running->params.cap != 0) {
        reftime_t left = time_left(running->params.cap, running->used);

        deadline = u64_min(deadline, u64_min(queue->since + left, period_end));
    }
    return deadline > now ? deadline : now;
}
