/* SPDX-License-Identifier: MIT */
/*
 * Intercepts on their way to the parent and back, proved for two VPs of one child and one of
 * another that share the parent's one slot: hv/core/intercept.c and synic.c, and the parent's calls
 * from the dispatcher down, in all orders. A VP raises an intercept or ends a level interrupt
 * whenever it runs; the parent takes what is in its slot, lets VPs go on with registers it changed
 * or not, stops them, waits for one of them, deletes them in any state and makes them anew.
 *
 * What each exit writes into its message is the back end's (messages.c); here the message must
 * be in the page of its VP as it was raised. The shadow knows what was raised, and what of it the
 * parent has not taken yet. After each operation
 *   - the rule must hold: a VP runs exactly if nothing stops it; the parent is told once of what it
 *     does not know, by the slot or at the next end of message, and of nothing else;
 *   - what the parent asks for a VP that is there is granted; what it asks for another is refused
 * and changes nothing.
 *
 *   intercepts            exit status 0: all states visited, nothing violated
 *   intercepts --mutant   exit status 0: the rule was violated, as it must be
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/core/intercept.h"
#include "hv/core/msr.h"
#include "tests/model/explorer.h"
#include "tests/model/machine.h"
#include "tests/unit/hv/host_arch.h"

#define VPS        3u /* both of child 0, then one of child 1 */
#define MESSAGES   0x3000ull
#define FIRST_PAGE 4u /* of the parent: for each VP its intercept page and its register page */
#define POOL_FRAME 12u
#define VECTOR     0x41u
#define REGISTER   (HV_REGISTER_RBX - HV_REGISTER_RAX)
#define VALUE      0x1234567890ull

enum news { NEWS_INTERCEPT, NEWS_EOI, NEWS_COUNT };

static _Alignas(8) struct {
    struct {
        uint8_t exists, suspended, stopped; /* by an intercept, by the parent */
        uint8_t owed[NEWS_COUNT];           /* messages that the parent has not taken */
    } vp[VPS];
    uint8_t waits_for; /* the parent's VP rests until this VP + 1 has an intercept */
} now;
static bool mutant;

/* ---- operations ---- */

enum verb { RAISE, END, RUN, RUN_CHANGED, RUN_WAIT, RESUME, STOP, DELETE, CREATE, VERBS };
#define TAKE       (VERBS * VPS)
#define WAKE       (TAKE + 1)
#define OPERATIONS (TAKE + 2)

static void describe(unsigned number, char *text, size_t size)
{
    static const char *const name[] = {"an intercept", "an interrupt ends",
                                       "run",          "run, with registers",
                                       "run and wait", "resume",
                                       "stop",         "delete",
                                       "create",       "parent's slot"};

    snprintf(text, size, "%s, VP %u", number < TAKE ? name[number / VPS] : name[VERBS],
             number % VPS);
}

static uint64_t child_of(unsigned number)
{
    return MACHINE_FIRST_CHILD + number / MACHINE_VPS_EACH;
}

static uint32_t index_of(unsigned number)
{
    return number % MACHINE_VPS_EACH;
}

static struct vp *vp_of(unsigned number)
{
    return machine_child((partition_id_t)child_of(number))->vp[index_of(number)];
}

static uint64_t intercept_page(unsigned number)
{
    return (FIRST_PAGE + 2ull * number) * PAGE_SIZE;
}

static uint64_t register_page(unsigned number)
{
    return intercept_page(number) + PAGE_SIZE;
}

static bool runs(unsigned number)
{
    return now.vp[number].exists && !now.vp[number].suspended && !now.vp[number].stopped;
}

/* Who rests calls nobody; who does not run does nothing. */
static bool operation_exists(unsigned number)
{
    const enum verb verb = (enum verb)(number / VPS);

    if (number >= TAKE) {
        return (now.waits_for != 0) == (number == WAKE);
    }
    if ((verb == END && number % VPS != 0) || (verb == STOP && number % VPS != 2)) {
        return false; /* of one VP is enough */
    }
    return verb <= END ? runs(number % VPS) : now.waits_for == 0;
}

/* ---- calls ---- */

static struct machine_answer call_vp(uint64_t code, unsigned number, uint32_t flags)
{
    const uint64_t input[] = {child_of(number), index_of(number) | (uint64_t)flags << 32};

    return machine_call(&host.vp[0], code, input, sizeof input);
}

static struct machine_answer call_run(unsigned number, uint32_t flags)
{
    const struct bh_run_vp_input input = {
        .partition_id = child_of(number), .vp_index = index_of(number), .flags = flags};

    return machine_call(&host.vp[0], BH_CALL_RUN_VP, &input, sizeof input);
}

static struct machine_answer call_set(unsigned number, uint32_t name, uint64_t value)
{
    const struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc element;
    } input = {.head = {.partition_id = child_of(number), .vp_index = index_of(number)},
               .element = {.name = name, .value = {.u128 = {value, 0}}}};

    return machine_call(&host.vp[0], HVCALL_SET_VP_REGISTERS | 1ull << 32, &input, sizeof input);
}

static struct machine_answer call_place(unsigned number, uint16_t type, uint64_t page)
{
    const struct hv_input_map_state_page input = {.partition_id = child_of(number),
                                                  .vp_index = index_of(number),
                                                  .type = type,
                                                  .flags = HV_STATE_PAGE_LOCATION_GIVEN,
                                                  .requested_location = page / PAGE_SIZE};

    return machine_call(&host.vp[0], HVCALL_MAP_VP_STATE_PAGE, &input, sizeof input);
}

static bool granted(struct machine_answer answer)
{
    return answer.finished && answer.status == HV_STATUS_SUCCESS;
}

static bool create(unsigned number)
{
    const struct hv_input_create_vp input = {.partition_id = child_of(number),
                                             .vp_index = index_of(number)};

    if (!granted(machine_call(&host.vp[0], HVCALL_CREATE_VP, &input, sizeof input))) {
        return false;
    }
    machine_require(
        granted(call_place(number, HV_STATE_PAGE_INTERCEPT_MESSAGE, intercept_page(number))) &&
            granted(call_place(number, HV_STATE_PAGE_REGISTERS, register_page(number))) &&
            granted(call_set(number, HV_REGISTER_INTERNAL_ACTIVITY_STATE, VP_ACTIVE)),
        "a VP can not be made ready");
    return true;
}

/* ---- what is in the slot ---- */

static bool slot_has(unsigned number, enum news news)
{
    const uint32_t type = news == NEWS_EOI ? HV_MESSAGE_APIC_EOI : HV_MESSAGE_OPAQUE_INTERCEPT;
    struct hv_message slot;
    uint32_t index;

    host_guest_read(MESSAGES, &slot, sizeof slot);
    memcpy(&index, slot.payload, sizeof index);
    return slot.type == type && slot.sender == child_of(number) && index == index_of(number);
}

/* One in the slot, and one behind it: what happens twice until then is told once. */
static void owe(unsigned number, enum news news)
{
    now.vp[number].owed[news] = slot_has(number, news) && now.vp[number].owed[news] > 0 ? 2 : 1;
}

/* ---- the VPs ---- */

static void make_intercept(unsigned number, struct hv_msr_intercept *payload)
{
    *payload =
        (struct hv_msr_intercept){.header = {.vp_index = index_of(number)}, .number = number};
}

static void check_page(unsigned number, const struct hv_msr_intercept *payload)
{
    struct hv_message message;

    host_guest_read(intercept_page(number), &message, sizeof message);
    machine_require(message.type == HV_MESSAGE_MSR && message.sender == child_of(number) &&
                        message.payload_size == sizeof *payload &&
                        memcmp(message.payload, payload, sizeof *payload) == 0,
                    "an intercept's page has something else");
}

static void raise(unsigned number)
{
    struct hv_msr_intercept payload;

    make_intercept(number, &payload);
    if (now.waits_for != number + 1) {
        owe(number, NEWS_INTERCEPT);
    }
    intercept_raise(vp_of(number), HV_MESSAGE_MSR, &payload, sizeof payload);
    check_page(number, &payload);
    now.vp[number].suspended = 1;
}

static void end_interrupt(unsigned number)
{
    owe(number, NEWS_EOI);
    intercept_tell_eoi(vp_of(number), VECTOR);
}

/* The parent has done with what is in the pages. */
static void clear_pages(unsigned number)
{
    host_page_fill(spa_make(intercept_page(number)), 0);
    host_page_fill(spa_make(register_page(number)), 0);
}

/* The parent writes a register into the page; only what it marks is taken, and only by a VP that
 * an intercept stopped. */
static bool run(unsigned number, bool marked, bool by_register)
{
    struct hv_register_page page;
    struct vp *vp = vp_of(number);
    const bool loads = marked && now.vp[number].suspended;

    if (vp == NULL) {
        return granted(call_run(number, 0));
    }
    host_guest_read(register_page(number), &page, sizeof page);
    page.general[REGISTER] = VALUE;
    page.dirty = marked ? HV_REGISTER_PAGE_DIRTY_GENERAL : 0;
    host_guest_write(register_page(number), &page, sizeof page);
    const bool ok = granted(by_register ? call_set(number, HV_REGISTER_INTERCEPT_SUSPEND, 0)
                                        : call_run(number, 0));

    machine_require(vp->registers.rbx == (loads ? VALUE : 0),
                    "a VP goes on with registers that the parent did not give it");
    clear_pages(number);
    return ok;
}

static void follow_run(unsigned number, bool ok, bool by_register)
{
    if (ok) {
        now.vp[number].suspended = 0;
        now.vp[number].stopped = by_register && now.vp[number].stopped;
    }
}

/* What waits in the list goes with the VP; what is in the slot stays there. */
static void follow_delete(unsigned number)
{
    const uint8_t intercept = slot_has(number, NEWS_INTERCEPT), end = slot_has(number, NEWS_EOI);

    memset(&now.vp[number], 0, sizeof now.vp[number]);
    clear_pages(number);
    now.vp[number].owed[NEWS_INTERCEPT] = intercept;
    now.vp[number].owed[NEWS_EOI] = end;
}

/* True: the call was granted. */
static bool take_call(enum verb verb, unsigned number)
{
    bool ok;

    switch (verb) {
    case RUN:
    case RUN_CHANGED:
    case RESUME:
        ok = run(number, verb == RUN_CHANGED, verb == RESUME);
        follow_run(number, ok, verb == RESUME);
        return ok;
    case RUN_WAIT:
        ok = granted(call_run(number, BH_RUN_WAIT));
        clear_pages(number);
        follow_run(number, ok, false);
        now.waits_for = (uint8_t)(ok ? number + 1 : 0);
        return ok;
    case STOP:
        ok = granted(call_set(number, HV_REGISTER_EXPLICIT_SUSPEND, 1));
        now.vp[number].stopped = now.vp[number].stopped || ok;
        return ok;
    case DELETE:
        ok = granted(call_vp(HVCALL_DELETE_VP, number, 0));
        if (ok) {
            follow_delete(number);
        }
        return ok;
    default: /* CREATE */
        ok = create(number);
        now.vp[number].exists = now.vp[number].exists || ok;
        now.vp[number].stopped = now.vp[number].stopped || ok;
        return ok;
    }
}

/* ---- the parent's slot, and its rest ---- */

static void take_slot(void)
{
    struct hv_message slot;
    bool known = false;

    host_guest_read(MESSAGES, &slot, sizeof slot);
    for (unsigned i = 0; i < VPS; i++) {
        for (enum news news = 0; news < NEWS_COUNT; news++) {
            if (slot_has(i, news) && now.vp[i].owed[news] > 0) {
                now.vp[i].owed[news]--;
                known = true;
            }
        }
    }
    machine_require(known || slot.type == HV_MESSAGE_NONE,
                    "the parent is told of what did not happen, or twice");
    host_guest_write(MESSAGES, &(struct hv_message){0}, sizeof slot);
    if (slot.flags & HV_MESSAGE_FLAG_PENDING) {
        machine_require(msr_write(&host.vp[0], HV_MSR_EOM, 0), "no end of message");
    }
}

/* By the intercept, or by an interrupt of something else. */
static void wake(void)
{
    const struct vp *vp = vp_of(now.waits_for - 1u);

    machine_require(vp == NULL || vp_is_runnable(&host.vp[0]) == vp->intercept_suspend,
                    "the parent rests though its VP has an intercept, or the reverse");
    host.vp[0].activity = VP_ACTIVE;
    host.vp[0].waits_for = NULL; /* as its next rest begins */
    now.waits_for = 0;
}

/* ---- the rule ---- */

static void check_vp(unsigned number)
{
    const struct vp *vp = vp_of(number);

    machine_require((vp != NULL) == now.vp[number].exists,
                    "a VP is there that is none, or is gone");
    machine_require(vp == NULL || vp_is_runnable(vp) == runs(number),
                    "a VP runs that is stopped, or the reverse");
}

static unsigned owed_in_all(void)
{
    unsigned owed = 0;

    for (unsigned i = 0; i < VPS; i++) {
        owed += 0u + now.vp[i].owed[NEWS_INTERCEPT] + now.vp[i].owed[NEWS_EOI];
    }
    return owed;
}

static void check_rule(void)
{
    struct hv_message slot;

    host_guest_read(MESSAGES, &slot, sizeof slot);
    machine_require(slot.type != HV_MESSAGE_NONE || owed_in_all() == 0,
                    "the parent is not told what it does not know");
    machine_require(owed_in_all() < 2 || (slot.flags & HV_MESSAGE_FLAG_PENDING),
                    "the parent is not asked for an end of message");
    for (unsigned i = 0; i < VPS; i++) {
        check_vp(i);
    }
    for (const struct vp *vp = host.vp[0].news_first; vp != NULL; vp = vp->next_news) {
        machine_require(vp == vp_of(0) || vp == vp_of(1) || vp == vp_of(2),
                        "news are of a VP that is gone");
        if (machine_broken != NULL) {
            return;
        }
    }
}

/* ---- a step ---- */

static void take(unsigned number, const struct machine_state *from, struct machine_state *next)
{
    const enum verb verb = (enum verb)(number / VPS);
    const unsigned vp = number % VPS;
    const bool expected = number < TAKE && now.vp[vp].exists == (verb != CREATE);
    bool ok = true;

    if (number == TAKE) {
        take_slot();
    } else if (number == WAKE) {
        wake();
    } else if (verb == RAISE) {
        raise(vp);
    } else if (verb == END) {
        end_interrupt(vp);
    } else {
        ok = take_call(verb, vp);
    }
    machine_save(next);
    if (number < TAKE && !mutant) {
        machine_require(ok == expected,
                        expected ? "a right request is refused" : "a wrong request is granted");
        machine_require(ok || memcmp(from, next, sizeof *next) == 0, "a refusal changed something");
    }
}

static const char *step(const void *from, unsigned number, void *to)
{
    machine_load(from);
    if (!operation_exists(number)) {
        memcpy(to, from, sizeof(struct machine_state));
        return NULL;
    }
    take(number, from, to);
    if (machine_broken == NULL) {
        check_rule();
    }
    return machine_broken;
}

static void make_child(unsigned child, unsigned first, unsigned pages)
{
    const struct hv_input_create_partition input = {.flags = HV_CREATE_LAPIC | HV_CREATE_X2APIC};
    const uint64_t id = MACHINE_FIRST_CHILD + child;

    machine_require(
        granted(machine_call(&host.vp[0], HVCALL_CREATE_PARTITION, &input, sizeof input)),
        "a child can not be made");
    for (unsigned i = 0; i < pages; i++) {
        const uint64_t deposit[] = {id, first + i};

        machine_require(granted(machine_call(&host.vp[0], HVCALL_DEPOSIT_MEMORY | 1ull << 32,
                                             deposit, sizeof deposit)),
                        "a child gets no memory");
    }
    machine_require(granted(machine_call(&host.vp[0], HVCALL_INITIALIZE_PARTITION, &id, sizeof id)),
                    "a child can not be initialized");
}

static void start(void *state)
{
    machine_begin(&now, sizeof now, 0x1full << POOL_FRAME, NULL);
    machine_require(msr_write(&host.vp[0], HV_MSR_SIMP, MESSAGES | 1) &&
                        msr_write(&host.vp[0], HV_MSR_SCONTROL, 1),
                    "the parent's page can not be placed");
    make_child(0, POOL_FRAME, 3);
    make_child(1, POOL_FRAME + 3, 2);
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

    mutant = argc > 1 && strcmp(argv[1], "--mutant") == 0;
    return explorer_run(&system, "intercepts", mutant);
}
