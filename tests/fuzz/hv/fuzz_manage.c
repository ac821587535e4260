/* SPDX-License-Identifier: MIT */
/*
 * Management by the parent: the input is a list of its hypercalls on two children (create,
 * initialize, deposit, map, unmap, VPs, registers, pages of state, ports, properties, withdraw,
 * finalize, delete), well formed or not, and of a few acts of these children. Two VPs of the parent
 * call in turns: a call that yields after its slice of time is gone on with later, so that others
 * come in between. A shadow says what each call may do, and after each step the rules of
 * manage_model.h hold. At the end everything is taken apart, and every page is the parent's.
 */
#include <string.h>

#include "hv/abi/partition.h"
#include "hv/core/hypercall.h"
#include "hv/core/log.h"
#include "tests/fuzz/hv/manage_calls.h"
#include "tests/unit/hv/host_arch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 300u
#define STEP_MAX  200u /* of the clock, for each look at it: less than half a slice */
#define ADDRESSES (1ull << (NESTED_GPA_BITS - PAGE_SHIFT)) /* frames of a partition */

/* ---- life ---- */

static void step_create(struct caller *caller)
{
    const struct hv_input_create_partition block = {.flags = take(1) & 1 ? HV_CREATE_EXO : 0,
                                                    .isolation = take(1) == 0xff};
    struct model_child *child = &model.child[take(1) % MODEL_CHILDREN];

    if (child->id != 0) {
        return;
    }
    const enum hv_status status = call(caller, HVCALL_CREATE_PARTITION, &block, sizeof block);

    model_require((status == HV_STATUS_SUCCESS) == (block.isolation == 0), "create");
    if (status == HV_STATUS_SUCCESS) {
        memset(child, 0, sizeof *child);
        memset(child->map, 0xff, sizeof child->map);
        host_guest_read(OUTPUT, &child->id, sizeof child->id);
        model_require(child->id != model.child[MODEL_NEIGHBOUR].id &&
                          child->id != host.partition.id,
                      "a new id");
    }
}

static void step_initialize(struct caller *caller)
{
    const uint64_t id = take_child(&caller->child);
    const bool created = caller->child != NULL && caller->child->state == PARTITION_CREATED;
    const bool paid = created && model_free_pages(caller->child) > 0;
    const enum hv_status status = call(caller, HVCALL_INITIALIZE_PARTITION, &id, sizeof id);

    if (!named(caller)) {
        return;
    }
    model_require(status == (paid      ? HV_STATUS_SUCCESS
                             : created ? HV_STATUS_INSUFFICIENT_MEMORY
                                       : HV_STATUS_INVALID_PARTITION_STATE),
                  "initialize");
    if (paid) {
        caller->child->state = PARTITION_ACTIVE;
    }
}

/* What the child's end has got through: VPs, lowest first, ports, then memory. */
static void settle_finalize(struct caller *caller, uint32_t first, bool ended)
{
    struct model_child *child = caller->child;

    (void)first;
    if (child == NULL) {
        named(caller);
        return;
    }
    const struct partition *partition = model_partition(child);

    child->state = PARTITION_FINALIZED;
    for (unsigned i = 0; i < MODEL_VPS; i++) {
        child->vp[i] = partition->vp[i] != NULL;
    }
    if (partition->ports.page[0].raw == 0) {
        memset(child->port, 0, sizeof child->port);
    }
    for (unsigned i = 0; i < MODEL_GPA_COUNT; i++) {
        if (MODEL_GPA + i < partition->release_cursor.raw >> PAGE_SHIFT) {
            child->map[i] = FRAME_NONE;
        }
    }
    if (ended) {
        model_require(caller->status == HV_STATUS_SUCCESS && partition->pool.used_pages == 0,
                      "after its end a child costs nothing");
        memset(child->map, 0xff, sizeof child->map);
    }
}

static void step_finalize(struct caller *caller)
{
    const uint64_t id = take_child(&caller->child);

    caller->settle = settle_finalize;
    begin_call(caller, HVCALL_FINALIZE_PARTITION, 0, &id, sizeof id);
}

static bool is_empty(const struct model_child *child)
{
    return child->state != PARTITION_ACTIVE && model_partition(child)->nested.root.raw == 0 &&
           model_deposited(child) == 0;
}

/* Calls on it that are under way find it gone. */
static void forget(const struct model_child *child)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        if (callers[i].child == child) {
            callers[i].child = NULL;
            callers[i].active = false;
        }
    }
}

static void step_delete(struct caller *caller)
{
    const uint64_t id = take_child(&caller->child);
    const bool empty = caller->child != NULL && is_empty(caller->child);
    const enum hv_status status = call(caller, HVCALL_DELETE_PARTITION, &id, sizeof id);

    if (!named(caller)) {
        return;
    }
    model_require(status == (empty ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARTITION_STATE),
                  "only what is empty is deleted");
    if (empty) {
        caller->child->id = 0;
        forget(caller->child);
    }
}

/* ---- deposits ---- */

static void settle_deposit(struct caller *caller, uint32_t first, bool ended)
{
    const uint64_t *frame = caller->block + 1;

    if (ended && !named(caller)) {
        return;
    }
    for (uint32_t i = first; i < caller->done; i++) {
        model_require(model_may_deposit(frame[i]), "a deposit of what the parent has");
        model.owner[frame[i]] = (uint32_t)(caller->child - model.child);
    }
    model_require(!ended || caller->status == HV_STATUS_SUCCESS ||
                      !model_may_deposit(frame[caller->done]),
                  "a deposit is refused with reason");
}

static void step_deposit(struct caller *caller)
{
    uint64_t block[1 + REPS_MAX];
    const uint32_t reps = take_reps();

    block[0] = take_child(&caller->child);
    for (uint32_t i = 0; i < reps; i++) {
        block[1 + i] = take_frame();
    }
    caller->settle = settle_deposit;
    begin_call(caller, HVCALL_DEPOSIT_MEMORY, reps, block, sizeof block);
}

static void settle_withdraw(struct caller *caller, uint32_t first, bool ended)
{
    uint64_t frame;

    if (ended && !named(caller)) {
        return;
    }
    for (uint32_t i = first; i < caller->done; i++) {
        host_guest_read(OUTPUT + i * sizeof frame, &frame, sizeof frame);
        model_require(frame < HOST_GUEST_PAGES && model.owner[frame] == caller->child - model.child,
                      "what comes back was deposited for this child");
        model_require(host_page_is(frame_spa(frame), 0), "and holds nothing");
        model.owner[frame] = OWNER_PARENT;
    }
    model_require(
        !ended || caller->status == HV_STATUS_SUCCESS ||
            (caller->status == HV_STATUS_NO_RESOURCES && model_free_pages(caller->child) == 0),
        "a withdrawal ends with the last free page");
}

static void step_withdraw(struct caller *caller)
{
    const struct hv_input_withdraw_memory block = {.partition_id = take_child(&caller->child)};

    caller->settle = settle_withdraw;
    begin_call(caller, HVCALL_WITHDRAW_MEMORY, take_reps(), &block, sizeof block);
}

/* ---- memory ---- */

/* Pages of the child's window, or, seldom, addresses that no partition has. */
static uint64_t take_base(void)
{
    const uint64_t form = take(1);

    return form == 0xff ? ADDRESSES + take(1) : MODEL_GPA + form % (MODEL_GPA_COUNT - REPS_MAX + 1);
}

static bool has_base(const struct caller *caller)
{
    return caller->child->state == PARTITION_ACTIVE && caller->block[1] < ADDRESSES;
}

static void settle_map(struct caller *caller, uint32_t first, bool ended)
{
    const uint64_t *frame = caller->block + 3;
    const uint64_t at = caller->block[1] - MODEL_GPA;

    if (ended && !named(caller)) {
        return;
    }
    for (uint32_t i = first; i < caller->done; i++) {
        model_require(has_base(caller) && caller->child->map[at + i] == FRAME_NONE &&
                          model_may_map(caller->child, frame[i]),
                      "a child gets what the parent has, where it has nothing");
        caller->child->map[at + i] = (uint32_t)frame[i];
    }
    if (ended && caller->status == HV_STATUS_INSUFFICIENT_MEMORY) {
        model_require(model_free_pages(caller->child) < 3, "there is no page for a table");
    } else if (ended && caller->status != HV_STATUS_SUCCESS) {
        model_require(!has_base(caller) || (caller->block[2] & HV_MAP_LARGE) ||
                          !(caller->block[2] & HV_MAP_READABLE) ||
                          caller->child->map[at + caller->done] != FRAME_NONE ||
                          !model_may_map(caller->child, frame[caller->done]),
                      "a mapping is refused with reason");
    }
}

static void step_map(struct caller *caller)
{
    uint64_t block[3 + REPS_MAX];
    const uint32_t reps = take_reps();
    const uint64_t form = take(1);

    block[0] = take_child(&caller->child);
    block[1] = take_base();
    block[2] = form == 0xff ? HV_MAP_LARGE | HV_MAP_READABLE : (form & 0xe) | (form % 16 != 3);
    for (uint32_t i = 0; i < reps; i++) {
        block[3 + i] = take_frame();
    }
    caller->settle = settle_map;
    begin_call(caller, HVCALL_MAP_GPA_PAGES, reps, block, sizeof block);
}

static void settle_unmap(struct caller *caller, uint32_t first, bool ended)
{
    const uint64_t at = caller->block[1] - MODEL_GPA;

    if (ended && !named(caller)) {
        return;
    }
    for (uint32_t i = first; i < caller->done; i++) {
        model_require(has_base(caller) && caller->child->map[at + i] != FRAME_NONE,
                      "what is taken away was there");
        caller->child->map[at + i] = FRAME_NONE;
    }
    model_require(!ended || caller->status == HV_STATUS_SUCCESS || !has_base(caller) ||
                      caller->child->map[at + caller->done] == FRAME_NONE,
                  "what is there can be taken away");
}

static void step_unmap(struct caller *caller)
{
    const struct hv_input_unmap_gpa_pages block = {.partition_id = take_child(&caller->child),
                                                   .target_base = take_base()};

    caller->settle = settle_unmap;
    begin_call(caller, HVCALL_UNMAP_GPA_PAGES, take_reps(), &block, sizeof block);
}

static void settle_access(struct caller *caller, uint32_t first, bool ended)
{
    (void)first;
    if (ended && named(caller)) {
        model_require(
            (caller->status == HV_STATUS_SUCCESS) ==
                (caller->child->state == PARTITION_ACTIVE && caller->child->tracks_access),
            "bits are told of who has them tracked");
    }
}

static void step_access(struct caller *caller)
{
    const struct hv_input_get_gpa_access block = {
        .partition_id = take_child(&caller->child), .flags = take(1) & 0xf, .base = MODEL_GPA};

    caller->settle = settle_access;
    begin_call(caller, HVCALL_GET_GPA_PAGES_ACCESS_STATES, take_reps(), &block, sizeof block);
}

/* ---- the machine ---- */

static void step_time(struct caller *caller)
{
    (void)caller;
    host.step = take(1) % (STEP_MAX + 1);
}

static void must(uint32_t code, uint32_t reps, const void *block, size_t size)
{
    callers[0].settle = NULL;
    begin_call(&callers[0], code, reps, block, size);
    model_require(!callers[0].active && callers[0].status == HV_STATUS_SUCCESS, "the neighbour");
}

static void make_neighbour(void)
{
    const struct hv_input_create_partition create = {0};
    struct model_child *child = &model.child[MODEL_NEIGHBOUR];
    uint64_t deposit[1 + NEIGHBOUR_POOL];

    must(HVCALL_CREATE_PARTITION, 0, &create, sizeof create);
    host_guest_read(OUTPUT, &child->id, sizeof child->id);
    deposit[0] = child->id;
    for (unsigned i = 0; i < NEIGHBOUR_POOL; i++) {
        deposit[1 + i] = FRAME_NEIGHBOUR_POOL + i;
        model.owner[FRAME_NEIGHBOUR_POOL + i] = MODEL_NEIGHBOUR;
    }
    const uint64_t map[] = {child->id, MODEL_GPA, HV_MAP_READABLE | HV_MAP_WRITABLE,
                            FRAME_NEIGHBOUR};
    const struct hv_input_create_vp vp = {.partition_id = child->id};

    must(HVCALL_DEPOSIT_MEMORY, NEIGHBOUR_POOL, deposit, sizeof deposit);
    must(HVCALL_INITIALIZE_PARTITION, 0, &child->id, sizeof child->id);
    must(HVCALL_MAP_GPA_PAGES, 1, map, sizeof map);
    must(HVCALL_CREATE_VP, 0, &vp, sizeof vp);
    child->state = PARTITION_ACTIVE;
    child->map[0] = FRAME_NEIGHBOUR;
    child->vp[0] = true;
}

static void begin(void)
{
    host_machine_init(CALLERS, PARTITION_PARENT);
    host_make_tables();
    model_begin();
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.vp = &host.vp[i]};
    }
    make_neighbour();
    model_check();
    model_watch_neighbour();
}

/* Everything of one child; each of its pages comes back. */
static void take_apart(struct model_child *child)
{
    struct caller *caller = &callers[0];
    const struct hv_input_withdraw_memory withdraw = {.partition_id = child->id};

    caller->child = child;
    caller->settle = settle_finalize;
    begin_call(caller, HVCALL_FINALIZE_PARTITION, 0, &child->id, sizeof child->id);
    while (caller->active) {
        go_on(caller);
    }
    caller->settle = settle_withdraw;
    begin_call(caller, HVCALL_WITHDRAW_MEMORY, HOST_GUEST_PAGES, &withdraw, sizeof withdraw);
    model_require(!caller->active && model_deposited(child) == 0, "every page comes back");
    model_check();
    model_require(call(caller, HVCALL_DELETE_PARTITION, &child->id, sizeof child->id) ==
                      HV_STATUS_SUCCESS,
                  "what is empty is deleted");
    child->id = 0;
}

static void end(void)
{
    host.step = 0;
    for (unsigned i = 0; i < CALLERS; i++) {
        while (callers[i].active) {
            go_on(&callers[i]);
        }
    }
    for (unsigned i = 0; i <= MODEL_NEIGHBOUR; i++) {
        if (i == MODEL_NEIGHBOUR) {
            model_forget_neighbour();
        }
        if (model.child[i].id != 0) {
            take_apart(&model.child[i]);
        }
    }
    model_check();
    model_require(partition_count() == 1, "nobody is left but the parent");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const steps[])(struct caller * caller) = {
        step_create,       step_initialize,  step_deposit,
        step_deposit,      step_map,         step_map,
        step_unmap,        step_create_vp,   step_delete_vp,
        step_withdraw,     step_finalize,    step_delete,
        step_run,          step_state_page,  step_unmap_state_page,
        step_set_register, step_interrupt,   step_override,
        step_create_port,  step_connect,     step_delete_port,
        step_property,     step_post_direct, step_child,
        step_intercept,    step_time,        step_access};

    input_set(data, size);
    log_set_console_level(LOG_DEBUG);
    begin();
    for (unsigned i = 0; i < STEPS_MAX && input_left(); i++) {
        const uint64_t form = take(1);
        struct caller *caller = &callers[form >> 7];

        if (caller->active) {
            go_on(caller);
        }
        if (!caller->active) {
            steps[(form & 0x7f) % ARRAY_COUNT(steps)](caller);
        }
        model_check();
    }
    end();
    return 0;
}
