/* SPDX-License-Identifier: MIT */
/*
 * The life of partitions, proved for two children that one parent makes, fills, empties and
 * deletes: the real hypercalls, from the dispatcher down, in all orders. A child has up to
 * CHILD_FRAMES pages deposited, two VPs, one page mapped (the same frame of the parent for both
 * children), one port and one CPUID intercept, which all cost pages of its pool, as its tables do.
 *
 * A finalization is a call that is made again until it is finished; all other calls come in
 * between. In every state, too, all calls are made that must be refused: with identifiers of
 * nobody, of the parent (its number, and ~0), of children that are not there; with indexes that no
 * VP can have; on a child that another processor is at work on; and by every VP of a child, on
 * itself, its sibling and its parent.
 *
 * The shadow says what the parent was granted, nothing more. After each operation
 *   - the rule must hold (check_rule): nothing costs a page that was not given for it, no page, VP
 *     or mapping is left without an owner, an identifier is somebody's once;
 *   - unless the code is a mutant, what must be granted is granted, and a refusal changes nothing.
 *
 *   lifecycle PAGES PAGES            exit status 0: all states visited, nothing violated
 *   lifecycle PAGES PAGES --mutant   exit status 0: the rule was violated, as it must be
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/abi/partition.h"
#include "hv/abi/port.h"
#include "hv/abi/vp.h"
#include "tests/lib/frame_query.h"
#include "tests/model/explorer.h"
#include "tests/model/lifecycle.h"

static unsigned child_frames[CHILDREN];
_Alignas(8) struct child child[CHILDREN];
static bool mutant;

/* ---- operations ---- */

static const char *const verb_name[] = {
    "initialize", "finalize",  "delete",      "deposit",          "withdraw",
    "map",        "unmap",     "create port", "delete port",      "CPUID leaf",
    "create VP",  "delete VP", "create",      "all that is wrong"};

struct operation {
    enum verb verb;
    unsigned child, vp;
};

/* Of each child: the verbs below CREATE_VP, then both others with each VP. */
#define OPERATIONS_A_CHILD (CREATE_VP + 2 * VPS)
#define OPERATIONS         (CHILDREN * OPERATIONS_A_CHILD + 2)

static struct operation operation_of(unsigned number)
{
    const unsigned at = number % OPERATIONS_A_CHILD;

    if (number >= CHILDREN * OPERATIONS_A_CHILD) {
        return (struct operation){number == OPERATIONS - 1 ? REFUSALS : CREATE, 0, 0};
    }
    return (struct operation){
        .verb = at < CREATE_VP         ? (enum verb)at
                : at < CREATE_VP + VPS ? CREATE_VP
                                       : DELETE_VP,
        .child = number / OPERATIONS_A_CHILD,
        .vp = at < CREATE_VP ? 0 : (at - CREATE_VP) % VPS,
    };
}

static void describe(unsigned number, char *text, size_t size)
{
    const struct operation operation = operation_of(number);

    snprintf(text, size, "%s, child %u, VP %u", verb_name[operation.verb], operation.child,
             operation.vp);
}

/* The next frame to give a child, or one that is none of the parent's when all are given. */
static frame_t next_frame(unsigned number)
{
    const frame_t first = FIRST_FRAME + (number == 0 ? 0 : child_frames[0]);

    for (frame_t frame = first; frame < first + child_frames[number]; frame++) {
        if (!(child[number].deposited >> frame & 1)) {
            return frame;
        }
    }
    return HOST_PAGE_HYPERVISOR;
}

/* ---- calls ---- */

const uint32_t code_of[VERBS] = {
    HVCALL_INITIALIZE_PARTITION, HVCALL_FINALIZE_PARTITION, HVCALL_DELETE_PARTITION,
    HVCALL_DEPOSIT_MEMORY,       HVCALL_WITHDRAW_MEMORY,    HVCALL_MAP_GPA_PAGES,
    HVCALL_UNMAP_GPA_PAGES,      HVCALL_CREATE_PORT,        HVCALL_DELETE_PORT,
    HVCALL_INSTALL_INTERCEPT,    HVCALL_CREATE_VP,          HVCALL_DELETE_VP,
};

static struct machine_answer call_create_port(uint64_t id, uint32_t port_id)
{
    struct hv_input_create_port input = {.port_partition = HV_PARTITION_ID_SELF,
                                         .port_id = port_id,
                                         .connection_partition = id,
                                         .info = {.type = HV_PORT_EVENT}};

    input.info.event.vp = HV_ANY_VP;
    input.info.event.flag_count = 1;
    return machine_call(&host.vp[0], HVCALL_CREATE_PORT, &input, sizeof input);
}

struct machine_answer call(enum verb verb, uint64_t id, uint32_t argument)
{
    struct vp *vp = &host.vp[0];
    const uint64_t control = CONTROL_OF(verb);
    const uint64_t map[] = {id, TARGET, HV_MAP_READABLE, SHARED_FRAME};
    const uint64_t frame[] = {id, argument};
    const struct hv_input_install_intercept intercept = {id, HV_INTERCEPT_ACCESS_EXECUTE,
                                                         HV_INTERCEPT_CPUID, LEAF};
    const struct hv_input_create_vp create_vp = {.partition_id = id, .vp_index = argument};

    switch (verb) {
    case MAP:
        return machine_call(vp, control, map, sizeof map);
    case UNMAP:
        return machine_call(vp, control, (const uint64_t[]){id, TARGET, 0}, 24);
    case CREATE_PORT:
        return call_create_port(id, argument);
    case DELETE_PORT:
        return machine_call_fast(vp, control | HV_CONTROL_FAST, HV_PARTITION_ID_SELF, argument);
    case OVERRIDE:
        return machine_call(vp, control, &intercept, sizeof intercept);
    case CREATE_VP:
        return machine_call(vp, control, &create_vp, sizeof create_vp);
    default: /* the id, and a word more where one is expected */
        return machine_call(vp, control, frame, sizeof frame);
    }
}

static struct machine_answer call_create(void)
{
    const struct hv_input_create_partition input = {.flags = HV_CREATE_LAPIC | HV_CREATE_X2APIC};

    return machine_call(&host.vp[0], HVCALL_CREATE_PARTITION, &input, sizeof input);
}

static uint32_t argument_of(struct operation operation)
{
    switch (operation.verb) {
    case DEPOSIT:
        return (uint32_t)next_frame(operation.child);
    case CREATE_PORT:
    case DELETE_PORT:
        return operation.child + 1;
    default:
        return operation.vp;
    }
}

/* ---- what is expected ---- */

static unsigned pages_used(const struct child *of)
{
    return 0u + of->has_root + of->tables + of->has_port_page + of->override + of->vp[0] +
           of->vp[1];
}

static unsigned pages_free(const struct child *of)
{
    return (unsigned)__builtin_popcount(of->deposited) - pages_used(of);
}

static bool is_active(const struct child *of)
{
    return of->exists && of->state == PARTITION_ACTIVE;
}

static bool may_map(const struct child *of)
{
    return is_active(of) && !child[0].mapped && !child[1].mapped &&
           of->tables + pages_free(of) >= TABLES;
}

static bool may_create_port(const struct child *of)
{
    return of->exists && of->state != PARTITION_FINALIZED && !of->port &&
           (of->has_port_page || pages_free(of) > 0);
}

/* Whether the call must be granted, by what was granted before. A finalization always is. */
static bool must_succeed(struct operation operation)
{
    const struct child *of = &child[operation.child];

    switch (operation.verb) {
    case CREATE:
        return !child[0].exists || !child[1].exists;
    case INITIALIZE:
        return of->exists && of->state == PARTITION_CREATED && pages_free(of) > 0;
    case FINALIZE:
        return of->exists;
    case DELETE:
        return of->exists && of->state != PARTITION_ACTIVE && of->deposited == 0;
    case DEPOSIT:
        return of->exists && next_frame(operation.child) != HOST_PAGE_HYPERVISOR;
    case WITHDRAW:
        return of->exists && pages_free(of) > 0;
    case MAP:
        return may_map(of);
    case UNMAP:
        return is_active(of) && of->mapped;
    case CREATE_PORT:
        return may_create_port(of);
    case DELETE_PORT:
        return of->exists && of->state != PARTITION_FINALIZED && of->port;
    case OVERRIDE:
        return is_active(of) && pages_free(of) > 0;
    case CREATE_VP:
        return is_active(of) && !of->vp[operation.vp] && pages_free(of) > 0;
    default: /* DELETE_VP */
        return of->exists && of->vp[operation.vp];
    }
}

/* ---- what a caller that believes the answer knows ---- */

static void follow_create(void)
{
    const uint64_t id = machine_output();
    const uint64_t number = id - MACHINE_FIRST_CHILD;

    machine_require(number < CHILDREN, "a new child has a number that nobody can have");
    machine_require(number >= CHILDREN || !child[number].exists,
                    "a new child gets the identifier of another");
    if (number < CHILDREN) {
        child[number] = (struct child){.exists = 1, .state = PARTITION_CREATED};
    }
}

static void follow_withdraw(struct child *of)
{
    const uint64_t frame = machine_output();

    machine_require(frame < HOST_GUEST_PAGES && (of->deposited >> frame & 1),
                    "a frame comes back that was not given for this child");
    if (frame < HOST_GUEST_PAGES) {
        of->deposited &= ~(1u << frame);
    }
}

/* One VP after the other, then ports, then memory. */
static void follow_finalize(struct child *of, bool finished)
{
    of->state = PARTITION_FINALIZED;
    if (finished) {
        *of = (struct child){.exists = 1, .state = PARTITION_FINALIZED, .deposited = of->deposited};
    } else if (of->vp[0] || of->vp[1]) {
        of->vp[of->vp[0] ? 0 : 1] = 0;
    } else {
        of->port = of->has_port_page = 0;
    }
}

static void follow(struct operation operation, bool finished)
{
    struct child *of = &child[operation.child];

    switch (operation.verb) {
    case CREATE:
        follow_create();
        break;
    case INITIALIZE:
        of->state = PARTITION_ACTIVE;
        of->has_root = 1;
        break;
    case FINALIZE:
        follow_finalize(of, finished);
        break;
    case DELETE:
        machine_require(of->deposited == 0, "a child goes with pages that were given for it");
        *of = (struct child){0};
        break;
    case DEPOSIT:
        of->deposited |= 1u << next_frame(operation.child);
        break;
    case WITHDRAW:
        follow_withdraw(of);
        break;
    case MAP:
        of->mapped = 1;
        of->tables = TABLES;
        break;
    case UNMAP:
        of->mapped = 0;
        break;
    case CREATE_PORT:
        of->port = of->has_port_page = 1;
        break;
    case DELETE_PORT:
        of->port = 0;
        break;
    case OVERRIDE:
        of->override = 1;
        break;
    default: /* CREATE_VP, DELETE_VP */
        machine_require(operation.verb == DELETE_VP || is_active(of),
                        "a VP is made where none may be");
        machine_require(of->vp[operation.vp] == (operation.verb == DELETE_VP),
                        "a VP is made twice, or deleted twice");
        of->vp[operation.vp] = operation.verb == CREATE_VP;
    }
}

/* ---- the rule ---- */

static void check_frames(void)
{
    const uint32_t deposited = child[0].deposited | child[1].deposited;

    machine_require(!(child[0].deposited & child[1].deposited), "a frame is given for two");
    for (frame_t frame = 0; frame < HOST_GUEST_PAGES; frame++) {
        struct nested_leaf leaf;
        const bool mapped =
            nested_lookup(&host.partition.nested, gpa_make(frame << PAGE_SHIFT), &leaf);
        const enum frame_state state = frame_state(&host.frames, frame);
        const bool shared = frame == SHARED_FRAME && (child[0].mapped || child[1].mapped);

        machine_require(mapped == !(deposited >> frame & 1),
                        "the parent maps what it gave away, or lacks what it has");
        machine_require((deposited >> frame & 1) || state == (shared ? FRAME_SHARED : FRAME_PARENT),
                        "a frame of the parent is held by nobody, or its mapping is not counted");
    }
    machine_require(frame_map_count(&host.frames, SHARED_FRAME) ==
                        (unsigned)child[0].mapped + child[1].mapped,
                    "mappings are counted wrong");
}

/* Tables of a child that is finalized are on their way back; nobody uses them. */
static void check_map(const struct partition *partition, const struct child *of)
{
    struct nested_leaf leaf;
    const bool mapped = partition->nested.root.raw != 0 &&
                        nested_lookup(&partition->nested, gpa_make(TARGET), &leaf);

    machine_require(mapped == of->mapped, "a child maps what it was not given, or lacks it");
    machine_require(!mapped || spa_frame(leaf.spa) == SHARED_FRAME, "a child maps another frame");
}

static void check_child(unsigned number)
{
    const struct child *of = &child[number];
    struct partition *partition = machine_child((partition_id_t)id_of(number));

    machine_require((partition != NULL) == of->exists, "a child is there that is none, or is gone");
    if (partition == NULL || !of->exists) {
        return;
    }
    machine_require((unsigned)partition->state == of->state, "a child's state is wrong");
    machine_require(!partition->busy, "a child is held by nobody");
    for (unsigned i = 0; i < PARTITION_MAX_VPS; i++) {
        machine_require((partition->vp[i] != NULL) == (i < VPS && of->vp[i]),
                        "a VP is there that is none, or is gone");
    }
    machine_require(partition->pool.used_pages == pages_used(of),
                    "a child pays for what it has not");
    check_map(partition, of);
    machine_check_pool(partition, of->deposited, 0);
}

static void check_rule(void)
{
    const unsigned vps = 0u + child[0].vp[0] + child[0].vp[1] + child[1].vp[0] + child[1].vp[1];

    machine_require(machine_partitions_used() == (unsigned)child[0].exists + child[1].exists &&
                        partition_count() == 1u + child[0].exists + child[1].exists,
                    "a partition has lost its owner");
    machine_require(machine_vps_used() == vps, "a VP has lost its partition");
    check_frames();
    for (unsigned i = 0; i < CHILDREN; i++) {
        check_child(i);
    }
}

/* ---- a step ---- */

/* A mapping that lacks memory keeps the tables that it made: the next one goes on with them. */
static bool keeps_tables(struct operation operation)
{
    struct child *of = &child[operation.child];

    if (operation.verb != MAP || !is_active(of) || child[0].mapped || child[1].mapped) {
        return false;
    }
    of->tables = (uint8_t)(of->tables + pages_free(of));
    return true;
}

static void take(struct operation operation, const void *from, struct machine_state *next)
{
    const bool expected = must_succeed(operation);
    const struct machine_answer answer =
        operation.verb == CREATE
            ? call_create()
            : call(operation.verb, id_of(operation.child), argument_of(operation));
    const bool granted = !answer.finished || answer.status == HV_STATUS_SUCCESS;

    machine_require(answer.finished || operation.verb == FINALIZE, "a call is never finished");
    if (granted) {
        follow(operation, answer.finished);
    }
    const bool kept = !granted && keeps_tables(operation);

    machine_save(next);
    if (!mutant) {
        machine_require(granted == expected,
                        expected ? "a right request is refused" : "a wrong request is granted");
        machine_require(granted || kept || memcmp(from, next, sizeof *next) == 0,
                        "a refusal changed something");
    }
}

static const char *step(const void *from, unsigned number, void *to)
{
    const struct operation operation = operation_of(number);

    machine_load(from);
    if (operation.verb == REFUSALS) {
        refuse_all();
        machine_save(to);
        machine_require(memcmp(from, to, sizeof(struct machine_state)) == 0,
                        "a refusal changed something");
        return machine_broken;
    }
    if (operation.verb == OVERRIDE && child[operation.child].override) {
        memcpy(to, from, sizeof(struct machine_state)); /* a second one is out of bounds */
        return NULL;
    }
    take(operation, from, to);
    if (memcmp(from, to, sizeof(struct machine_state)) != 0) {
        check_rule();
    }
    return machine_broken;
}

/* Of deposited frames the key has how many there are. */
static void forget_frames(void)
{
    for (unsigned i = 0; i < CHILDREN; i++) {
        child[i].deposited = (uint32_t)__builtin_popcount(child[i].deposited);
    }
}

static void start(void *state)
{
    const unsigned frames = child_frames[0] + child_frames[1];

    machine_begin(child, sizeof child, ((1u << frames) - 1) << FIRST_FRAME, forget_frames);
    machine_save(state);
}

int main(int argc, char **argv)
{
    const struct explorer_system system = {
        .state_size = sizeof(struct machine_state),
        .key_size = MACHINE_KEY_SIZE,
        .operations = OPERATIONS,
        .start = start,
        .step = step,
        .describe = describe,
    };
    char name[64];

    if (argc < 1 + (int)CHILDREN) {
        fputs("usage: lifecycle PAGES PAGES [--mutant]\n", stderr);
        return 2;
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        child_frames[i] = (unsigned)strtoul(argv[1 + i], NULL, 10);
    }
    mutant = argc > 3 && strcmp(argv[3], "--mutant") == 0;
    (void)snprintf(name, sizeof name, "2 children with %u and %u pages", child_frames[0],
                   child_frames[1]);
    return explorer_run(&system, name, mutant);
}
