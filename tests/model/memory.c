/* SPDX-License-Identifier: MIT */
/*
 * Memory ownership, proved for a small machine: the real frame.c and pool.c,
 * driven with all operations, right and wrong ones, from all states that can be
 * reached. Frame 0 is the hypervisor's, frame 1 nobody's, the others are the
 * parent's at first; there are two children.
 *
 * Beside the code under test runs a shadow that knows nothing of its records:
 * which frames the parent and the children have in their nested tables, for whom
 * a frame was given, which pages the hypervisor uses, what pages hold. It follows
 * from the answers alone what a caller that believes them does. After each
 * operation
 *   - the rule must hold in the shadow (check_rule);
 *   - unless the code is a mutant, the answer must be the one that the shadow
 *     expects, a refusal must have changed nothing, and all counters and queries
 *     must agree with the shadow (check_agreement).
 *
 *   memory            exit status 0: all states visited, nothing violated
 *   memory --mutant   exit status 0: the rule was violated, as it must be
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/arch.h"
#include "hv/core/pool.h"
#include "tests/lib/frame_query.h"
#include "tests/model/explorer.h"

#define FRAMES    (2 + MODEL_PARENT_FRAMES)
#define CHILDREN  2u
#define MAPS_MOST 2 /* mappings of one frame that the model goes up to */

#define FIRST_CHILD ((partition_id_t)2)
#define WORDS       (PAGE_SIZE / sizeof(uint64_t))

/* What a page may hold; links are numbers of frames, or POOL_EMPTY. */
#define ZERO    0ull
#define GARBAGE 0x6761726261676521ull /* written by the parent */
#define SECRET  0x7365637265742121ull /* written by the hypervisor for a partition */

/* Small codes for the same in a state. */
#define CODE_GARBAGE 0xfd
#define CODE_SECRET  0xfe
#define CODE_EMPTY   0xff

#define NOBODY 0xff /* else a child's number, from 0 */

struct shadow {
    uint8_t parent_maps;          /* 0 or 1 */
    uint8_t child_maps[CHILDREN]; /* number of mappings */
    uint8_t given_for;            /* the child */
    uint8_t in_pool;              /* 1: between pool_add and pool_withdraw, and not in use */
    uint8_t used_for;             /* the child */
};

struct state {
    uint32_t record[FRAMES];
    uint8_t first[CHILDREN], free_pages[CHILDREN], used_pages[CHILDREN], lost_pages[CHILDREN];
    uint8_t link[FRAMES]; /* code of a page's first word */
    uint8_t rest[FRAMES]; /* code of its other words */
    struct shadow shadow[FRAMES];
};

/* The machine that the code under test works on. */
static struct frame_table table;
static uint32_t records[FRAMES];
static struct pool pools[CHILDREN];
static uint64_t page[FRAMES][WORDS];
static struct shadow shadow[FRAMES];
static const char *broken;
static bool mutant;

static void require(bool ok, const char *rule)
{
    if (!ok && !broken) {
        broken = rule;
    }
}

void *arch_window_map(spa_t spa)
{
    if (spa.raw % PAGE_SIZE != 0 || spa_frame(spa) >= FRAMES) {
        fputs("a window outside memory\n", stderr);
        abort();
    }
    return page[spa_frame(spa)];
}

void arch_window_unmap(void *window)
{
    (void)window;
}

static uint64_t word_of(uint8_t code)
{
    return code == CODE_GARBAGE  ? GARBAGE
           : code == CODE_SECRET ? SECRET
           : code == CODE_EMPTY  ? POOL_EMPTY
                                 : code;
}

static uint8_t code_of(uint64_t word)
{
    return word == GARBAGE      ? CODE_GARBAGE
           : word == SECRET     ? CODE_SECRET
           : word == POOL_EMPTY ? CODE_EMPTY
                                : (uint8_t)word;
}

static void page_write(frame_t frame, uint64_t word)
{
    for (size_t i = 0; i < WORDS; i++) {
        page[frame][i] = word;
    }
}

static bool page_is(frame_t frame, uint64_t word)
{
    return page[frame][0] == word && page[frame][1] == word && page[frame][WORDS - 1] == word;
}

static partition_id_t child_id(uint8_t child)
{
    return (partition_id_t)(FIRST_CHILD + child);
}

/* Puts the machine into a state. */
static void machine_load(const struct state *from)
{
    for (frame_t frame = 0; frame < FRAMES; frame++) {
        uint64_t rest = word_of(from->rest[frame]);

        if (page[frame][1] != rest) {
            page_write(frame, rest);
        }
        page[frame][0] = word_of(from->link[frame]);
    }
    memset(table.state_count, 0, sizeof(table.state_count));
    memcpy(records, from->record, sizeof(records));
    for (frame_t frame = 0; frame < FRAMES; frame++) {
        table.state_count[frame_state(&table, frame)]++;
    }
    for (uint8_t child = 0; child < CHILDREN; child++) {
        pool_init(&pools[child], &table, child_id(child));
        pools[child].first = word_of(from->first[child]);
        pools[child].free_pages = from->free_pages[child];
        pools[child].used_pages = from->used_pages[child];
        pools[child].lost_pages = from->lost_pages[child];
    }
    memcpy(shadow, from->shadow, sizeof(shadow));
}

static void machine_save(struct state *to)
{
    memset(to, 0, sizeof(*to));
    memcpy(to->record, records, sizeof(records));
    for (uint8_t child = 0; child < CHILDREN; child++) {
        to->first[child] = code_of(pools[child].first);
        to->free_pages[child] = (uint8_t)pools[child].free_pages;
        to->used_pages[child] = (uint8_t)pools[child].used_pages;
        to->lost_pages[child] = (uint8_t)pools[child].lost_pages;
    }
    for (frame_t frame = 0; frame < FRAMES; frame++) {
        to->link[frame] = code_of(page[frame][0]);
        to->rest[frame] = code_of(page[frame][1]);
    }
    memcpy(to->shadow, shadow, sizeof(shadow));
}

static void machine_start(void *state)
{
    frame_table_init(&table, records, FRAMES);
    frame_table_set_range(&table, 0, 1, FRAME_HYPERVISOR, PARTITION_NONE);
    frame_table_set_range(&table, 1, 1, FRAME_UNASSIGNED, PARTITION_NONE);
    frame_table_set_range(&table, 2, FRAMES - 2, FRAME_PARENT, PARTITION_PARENT);
    for (uint8_t child = 0; child < CHILDREN; child++) {
        pool_init(&pools[child], &table, child_id(child));
    }
    for (frame_t frame = 0; frame < FRAMES; frame++) {
        shadow[frame] =
            (struct shadow){.parent_maps = frame >= 2, .given_for = NOBODY, .used_for = NOBODY};
        page_write(frame, frame >= 2 ? GARBAGE : SECRET);
    }
    machine_save(state);
}

/* Operations. Each is tried with every frame and one that is none, where it takes a frame; and
 * with both children and, where it takes a partition, the parent in a child's place. */
enum verb { DEPOSIT, WITHDRAW, SHARE, UNSHARE, ADD, RETURN, TAKE, LEAVE, VERBS };
#define FRAME_CHOICES (FRAMES + 1)
#define CHILD_CHOICES (CHILDREN + 1)

struct operation {
    enum verb verb;
    uint8_t child; /* CHILDREN: the parent */
    frame_t frame;
};

static struct operation operation_of(unsigned number)
{
    return (struct operation){
        .verb = (enum verb)(number / (FRAME_CHOICES * CHILD_CHOICES)),
        .child = (uint8_t)(number / FRAME_CHOICES % CHILD_CHOICES),
        .frame = number % FRAME_CHOICES,
    };
}

static void describe(unsigned number, char *text, size_t size)
{
    static const char *const verb[VERBS] = {"frame_deposit", "frame_withdraw", "frame_share",
                                            "frame_unshare", "pool_add",       "pool_return",
                                            "pool_take",     "pool_withdraw"};
    struct operation operation = operation_of(number);

    snprintf(text, size, "%s, partition %u, frame %u", verb[operation.verb],
             (unsigned)(operation.child < CHILDREN ? child_id(operation.child) : PARTITION_PARENT),
             (unsigned)operation.frame);
}

/* Whether an operation makes sense as a call at all, and is within the model's bounds. */
static bool operation_exists(struct operation operation)
{
    bool pool = operation.verb >= ADD;
    bool framed = operation.verb < TAKE;

    if ((pool && operation.child == CHILDREN) || (!framed && operation.frame != 0)) {
        return false;
    }
    return !(operation.verb == SHARE && operation.child < CHILDREN && operation.frame < FRAMES &&
             shadow[operation.frame].child_maps[operation.child] == MAPS_MOST);
}

static bool is_parents(const struct shadow *of, frame_t frame)
{
    return frame >= 2 && of->given_for == NOBODY;
}

static bool list_is_empty(uint8_t child)
{
    for (frame_t frame = 0; frame < FRAMES; frame++) {
        if (shadow[frame].in_pool && shadow[frame].given_for == child) {
            return false;
        }
    }
    return true;
}

/* Whether the operation must be granted, by what the shadow knows. */
static bool must_succeed(struct operation operation)
{
    uint8_t child = operation.child;

    if (operation.verb == TAKE || operation.verb == LEAVE) {
        return !list_is_empty(child);
    }
    if (child >= CHILDREN || operation.frame >= FRAMES) {
        return false;
    }
    const struct shadow *of = &shadow[operation.frame];
    bool outside = of->given_for == child && !of->in_pool && of->used_for == NOBODY;

    switch (operation.verb) {
    case DEPOSIT:
        return is_parents(of, operation.frame) && of->child_maps[0] + of->child_maps[1] == 0;
    case WITHDRAW:
    case ADD:
        return outside;
    case SHARE:
        return is_parents(of, operation.frame) && of->child_maps[1 - child] == 0;
    case UNSHARE:
        return of->child_maps[child] != 0;
    default: /* RETURN */
        return of->used_for == child;
    }
}

/* Calls the code under test. For pool_take and pool_withdraw *frame is what they gave. */
static bool call(struct operation operation, frame_t *frame)
{
    partition_id_t partition =
        operation.child < CHILDREN ? child_id(operation.child) : PARTITION_PARENT;
    struct pool *pool = &pools[operation.child % CHILDREN];
    spa_t spa = frame_spa(operation.frame);
    bool done;

    *frame = operation.frame;
    switch (operation.verb) {
    case DEPOSIT:
        return frame_deposit(&table, *frame, partition) == HV_STATUS_SUCCESS;
    case WITHDRAW:
        return frame_withdraw(&table, *frame, partition) == HV_STATUS_SUCCESS;
    case SHARE:
        return frame_share(&table, *frame, partition) == HV_STATUS_SUCCESS;
    case UNSHARE:
        return frame_unshare(&table, *frame, partition) == HV_STATUS_SUCCESS;
    case ADD:
        return pool_add(pool, *frame) == HV_STATUS_SUCCESS;
    case RETURN:
        return pool_return(pool, spa) == HV_STATUS_SUCCESS;
    case TAKE:
        done = pool_take(pool, &spa);
        *frame = spa_frame(spa);
        return done;
    default: /* LEAVE */
        return pool_withdraw(pool, frame);
    }
}

/* What a caller does that was granted an operation. */
static void follow(struct operation operation, frame_t frame)
{
    struct shadow *of = &shadow[frame];
    uint8_t child = operation.child;

    switch (operation.verb) {
    case DEPOSIT:
        of->given_for = child;
        of->parent_maps = 0;
        break;
    case WITHDRAW:
        of->given_for = NOBODY;
        of->parent_maps = 1;
        require(!page_is(frame, SECRET), "the parent gets a page with a secret in it");
        page_write(frame, GARBAGE);
        break;
    case SHARE:
        of->child_maps[child]++;
        break;
    case UNSHARE:
        of->child_maps[child] = (uint8_t)(of->child_maps[child] - (of->child_maps[child] != 0));
        break;
    case ADD:
        of->in_pool = 1;
        break;
    case RETURN:
        of->used_for = NOBODY;
        of->in_pool = 1;
        break;
    case TAKE:
        require(page_is(frame, ZERO), "a page in use begins with somebody's data");
        require(of->used_for == NOBODY, "a page is in use twice");
        of->used_for = child;
        of->in_pool = 0;
        page_write(frame, SECRET);
        break;
    default: /* LEAVE */
        require(page_is(frame, ZERO), "a page leaves the pool with data in it");
        of->in_pool = 0;
        break;
    }
}

/* The rule: who may have a frame in reach, by who gave it, and nothing else. */
static void check_rule(void)
{
    for (frame_t frame = 0; frame < FRAMES; frame++) {
        const struct shadow *of = &shadow[frame];
        unsigned children = of->child_maps[0] + of->child_maps[1];
        bool busy = of->in_pool || of->used_for != NOBODY;

        require(frame >= 2 || (!of->parent_maps && !children),
                "a partition maps a frame of the hypervisor or of nobody");
        require(of->given_for == NOBODY || !of->parent_maps, "the parent maps a deposited frame");
        require(of->given_for == NOBODY || !children, "a child maps a deposited frame");
        require(!of->child_maps[0] || !of->child_maps[1], "two children map one frame");
        require(!busy || of->given_for != NOBODY, "the hypervisor uses a frame it was not given");
        require(of->used_for == NOBODY || of->used_for == of->given_for,
                "a partition is served with a page of another");
    }
}

static enum frame_state expected_state(frame_t frame)
{
    const struct shadow *of = &shadow[frame];

    if (frame < 2) {
        return frame == 0 ? FRAME_HYPERVISOR : FRAME_UNASSIGNED;
    }
    if (of->given_for == NOBODY) {
        return of->child_maps[0] + of->child_maps[1] ? FRAME_SHARED : FRAME_PARENT;
    }
    return of->in_pool              ? FRAME_POOL_FREE
           : of->used_for != NOBODY ? FRAME_POOL_USED
                                    : FRAME_DEPOSITED;
}

/* Every page of the list is in the shadow's pool, and there are as many as counted. */
static void check_list(uint8_t child)
{
    const struct pool *pool = &pools[child];
    uint64_t free_pages = 0, used_pages = 0, listed = 0;

    for (frame_t frame = 0; frame < FRAMES; frame++) {
        free_pages += shadow[frame].in_pool && shadow[frame].given_for == child;
        used_pages += shadow[frame].used_for == child;
    }
    for (frame_t at = pool->first; at != POOL_EMPTY && listed <= FRAMES; at = page[at][0]) {
        listed++;
        require(at < FRAMES && shadow[at].in_pool && shadow[at].given_for == child,
                "a pool lists a page that is not its own");
        if (broken) {
            return;
        }
    }
    require(listed == free_pages && pool->free_pages == free_pages &&
                pool->used_pages == used_pages && pool->lost_pages == 0,
            "a pool's counts are wrong");
}

static void check_agreement(void)
{
    uint64_t count[FRAME_STATE_COUNT] = {0};

    for (frame_t frame = 0; frame < FRAMES; frame++) {
        const struct shadow *of = &shadow[frame];
        enum frame_state state = expected_state(frame);
        uint32_t maps = (uint32_t)of->child_maps[0] + of->child_maps[1];

        count[state]++;
        require(frame_state(&table, frame) == state, "a frame's state is wrong");
        require(frame_parent_may_map(&table, frame) == of->parent_maps,
                "frame_parent_may_map is wrong");
        require(frame_map_count(&table, frame) == maps, "a map count is wrong");
        require(frame_owner(&table, frame) == (frame < 2                 ? PARTITION_NONE
                                               : of->given_for == NOBODY ? PARTITION_PARENT
                                                                         : child_id(of->given_for)),
                "a frame's owner is wrong");
        require(frame_sharer(&table, frame) ==
                    (maps ? child_id(of->child_maps[0] ? 0 : 1) : PARTITION_NONE),
                "a frame's sharer is wrong");
    }
    for (unsigned state = 0; state < FRAME_STATE_COUNT; state++) {
        require(table.state_count[state] == count[state], "a counter of states is wrong");
    }
    for (uint8_t child = 0; child < CHILDREN; child++) {
        check_list(child);
    }
}

static bool lock_is_free(const struct spinlock *lock)
{
    return lock->next == lock->serving;
}

static const char *step(const void *from, unsigned number, void *to)
{
    struct operation operation = operation_of(number);
    frame_t frame;

    broken = NULL;
    machine_load(from);
    if (!operation_exists(operation)) {
        memcpy(to, from, sizeof(struct state));
        return NULL;
    }
    bool expected = must_succeed(operation);
    bool granted = call(operation, &frame);

    if (granted && frame < FRAMES) {
        follow(operation, frame);
    }
    machine_save(to);
    check_rule();
    if (!mutant) {
        require(granted == expected,
                expected ? "a right request is refused" : "a wrong request is granted");
        require(granted || memcmp(from, to, sizeof(struct state)) == 0,
                "a refusal changed something");
        require(lock_is_free(&table.lock) && lock_is_free(&pools[0].lock) &&
                    lock_is_free(&pools[1].lock),
                "a lock is still held");
        check_agreement();
    }
    return broken;
}

int main(int argc, char **argv)
{
    const struct explorer_system system = {
        .state_size = sizeof(struct state),
        .operations = VERBS * FRAME_CHOICES * CHILD_CHOICES,
        .start = machine_start,
        .step = step,
        .describe = describe,
    };
    char name[64];

    mutant = argc > 1 && strcmp(argv[1], "--mutant") == 0;
    (void)snprintf(name, sizeof name, "%u frames, 2 children", (unsigned)FRAMES);
    return explorer_run(&system, name, mutant);
}
