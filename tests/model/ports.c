/* SPDX-License-Identifier: MIT */
/*
 * Ports, and messages both ways, proved for a parent and two children with one VP each: the real
 * hypercalls and SynIC registers, from the dispatcher down, in all orders. Both children use the
 * same connection ids. What is possible is divided among three systems, each with the end of a
 * child at any moment and with another in its place afterwards: messages   a message port for each
 * child: its queue empty, with a few, full, and full across its end; the event ring empty, with a
 * few, full events     two event ports of one child, one of the other, and a doorbell children
 * messages and an event flag from the parent to each child, whose slots, queues and pools are full
 * now and then Of long queues only the ends are visited: up to FEW messages, and the last ones
 * before they are full. The event ring begins two entries before its end, so that it always wraps.
 *
 * The shadow knows what was granted: which message is where, by who sent it and a number from 0 to
 * 3. After each operation
 *   - the rule must hold: what the parent and the children find in their pages and get from the
 *     hypervisor is what was sent to them, once, in order; who waits has been told, or will be at
 *     the next end of message; each page of a pool is where it should be;
 *   - unless the code is a mutant, what must be granted is granted, and a refusal changes nothing.
 *
 *   ports SYSTEM            exit status 0: all states visited, nothing violated
 *   ports SYSTEM --mutant   exit status 0: the rule was violated, as it must be
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/abi/msr.h"
#include "hv/core/msr.h"
#include "tests/model/explorer.h"
#include "tests/model/ports.h"

static const struct model_system systems[] = {
    {"messages",
     {{HV_PORT_MESSAGE, 0, CONNECTION}, {HV_PORT_MESSAGE, 1, CONNECTION}},
     false,
     {BASE_PAGES + 1 + QUEUE_PAGES, BASE_PAGES + 1 + QUEUE_PAGES}},
    {"events",
     {{HV_PORT_EVENT, 0, CONNECTION},
      {HV_PORT_EVENT, 0, CONNECTION},
      {HV_PORT_DOORBELL, 1, CONNECTION}},
     false,
     {BASE_PAGES + 1, BASE_PAGES + 1}},
    {"children", {{0}}, true, {BASE_PAGES + QUEUE_PAGES, BASE_PAGES}},
};
const struct model_system *model;
bool mutant;
struct shadow now;

/* ---- operations ---- */

#define CHILD_VERBS (CHILD_VERBS_END - PORT_VERBS)
#define OPERATIONS  (PORTS * PORT_VERBS + CHILDREN * CHILD_VERBS + VERBS - CHILD_VERBS_END)

static const char *const verb_name[VERBS] = {
    "create port",
    "delete port",
    "connect",
    "disconnect",
    "child sends",
    "child sends many",
    "queue turns",
    "parent reads",
    "parent reads all",
    "finalize",
    "renew",
    "parent posts",
    "parent posts many",
    "child takes",
    "child takes all",
    "parent signals",
    "child takes the event",
    "ring fills",
    "parent takes news",
    "all that is wrong",
};

static struct operation operation_of(unsigned number)
{
    if (number < PORTS * PORT_VERBS) {
        return (struct operation){(enum verb)(number / PORTS), number % PORTS};
    }
    number -= PORTS * PORT_VERBS;
    if (number < CHILDREN * CHILD_VERBS) {
        return (struct operation){(enum verb)(PORT_VERBS + number / CHILDREN), number % CHILDREN};
    }
    return (struct operation){(enum verb)(CHILD_VERBS_END + number - CHILDREN * CHILD_VERBS), 0};
}

static void describe(unsigned number, char *text, size_t size)
{
    const struct operation operation = operation_of(number);

    snprintf(text, size, "%s, %s %u", verb_name[operation.verb],
             operation.verb < PORT_VERBS ? "port" : "child",
             operation.verb < PORT_VERBS ? port_id(operation.of) : operation.of);
}

/* ---- what is expected ---- */

/* Whether what the child sends must arrive. */
static bool may_send(unsigned port)
{
    const unsigned at = reached(port);

    return at < PORTS && now.port[at].count < FULL &&
           !(now.ring_full && (model->port[at].type != HV_PORT_MESSAGE || now.port[at].count == 0));
}

static bool must_succeed(struct operation operation)
{
    const struct port *port = operation.verb < PORT_VERBS ? &now.port[operation.of] : NULL;
    const struct child *child =
        &now.child[port != NULL ? model->port[operation.of].child : operation.of];

    switch (operation.verb) {
    case CREATE:
        return child->alive && !port->exists;
    case DELETE:
        return child->alive && port->exists;
    case CONNECT:
        return child->alive && port->exists && !port->connected && reached(operation.of) == PORTS;
    case DISCONNECT:
        return child->alive && reached(operation.of) < PORTS;
    case SEND:
        return may_send(operation.of);
    case READ:
        return child->alive && port->count > 0;
    case FLAG:
        return child->alive;
    default: /* POST */
        return child->alive && child->count < 1 + FULL;
    }
}

/* Out of the model's bounds, or without sense. */
static bool exists_port(enum verb verb, unsigned number)
{
    const struct port_kind *kind = &model->port[number];
    const struct port *port = &now.port[number];
    const bool message = kind->type == HV_PORT_MESSAGE;
    const bool tells = !message || port->count == 0;
    const bool room = now.ring_count < RING_FEW || now.ring_full || !tells;

    if (kind->type == 0 || (verb >= SEND && child_vp(kind->child) == NULL)) {
        return false;
    }
    if (kind->child != 0 &&
        (port->count == 1 ? verb == SEND
                          : verb == DISCONNECT || verb == SEND_MANY || verb == TURN)) {
        return false;
    }
    switch (verb) {
    case SEND:
        return room && (port->count < FEW || port->count >= FULL - 1);
    case SEND_MANY:
        return message && room && port->count < FEW && may_send(number);
    case TURN:
        return message && port->count == 1 && !port->turned && may_send(number);
    case READ:
        return message && (port->count <= FEW || port->count == FULL);
    case READ_ALL:
        return message && port->count > 0 && now.child[kind->child].alive;
    default:
        return true;
    }
}

static bool exists_child(enum verb verb, unsigned number)
{
    const struct child *child = &now.child[number];
    const bool runs = child_vp(number) != NULL;

    switch (verb) {
    case FINALIZE:
        return !child->ended;
    case RENEW:
        return child->ended;
    case POST:
        return model->to_children && (child->count < 1 + FEW || child->count >= FULL);
    case POST_MANY:
        return model->to_children && runs && child->count >= 1 && child->count < 1 + FEW &&
               model->pages[number] >= BASE_PAGES + QUEUE_PAGES;
    case TAKE:
        return model->to_children && runs && child->count > 0 &&
               (child->count < 1 + FEW || child->count == 1 + FULL);
    case TAKE_ALL:
        return model->to_children && runs && child->count > 0;
    case FLAG:
        return model->to_children;
    default: /* TAKE_FLAG */
        return model->to_children && runs && child->flag;
    }
}

static bool operation_exists(struct operation operation)
{
    if (operation.verb < PORT_VERBS) {
        return exists_port(operation.verb, operation.of);
    }
    if (operation.verb < CHILD_VERBS_END) {
        return exists_child(operation.verb, operation.of);
    }
    return operation.verb != FILL_RING || !now.ring_full;
}

/* ---- a step ---- */

static void take_other(struct operation operation)
{
    switch (operation.verb) {
    case SEND_MANY:
        send_many(operation.of);
        break;
    case TURN:
        turn_queue(operation.of);
        break;
    case READ_ALL:
        read_all(operation.of);
        break;
    case FILL_RING:
        fill_ring();
        break;
    case TAKE_NEWS:
        take_news();
        break;
    default: /* REFUSALS */
        refuse_all();
    }
}

static bool has_answer(enum verb verb)
{
    return verb <= SEND || verb == READ || verb == POST || verb == FLAG;
}

/* The pool of the second child has no page for a queue. */
static bool lacks_page(struct operation operation)
{
    return operation.verb == POST && model->pages[operation.of] == BASE_PAGES &&
           now.child[operation.of].count > 0;
}

static void take(struct operation operation, const struct machine_state *from,
                 struct machine_state *next)
{
    const bool answers = has_answer(operation.verb);
    const bool expected = answers && must_succeed(operation) && !lacks_page(operation);
    const bool wants_room = answers && operation.verb == POST;
    bool ok = true;

    if (answers && operation.verb < PORT_VERBS) {
        ok = take_port(operation);
    } else if (operation.verb >= PORT_VERBS && operation.verb < CHILD_VERBS_END) {
        ok = take_child(operation);
    } else {
        take_other(operation);
    }
    machine_save(next);
    const bool same = memcmp(from, next, sizeof *next) == 0;

    if (answers && !mutant) {
        machine_require(ok == expected,
                        expected ? "a right request is refused" : "a wrong request is granted");
        machine_require(ok || same || wants_room, "a refusal changed something");
    }
    machine_require(operation.verb != REFUSALS || same, "a refusal changed something");
}

static const char *step(const void *from, unsigned number, void *to)
{
    const struct operation operation = operation_of(number);

    machine_load(from);
    if (!operation_exists(operation)) {
        memcpy(to, from, sizeof(struct machine_state));
        return NULL;
    }
    take(operation, from, to);
    if (machine_broken == NULL && memcmp(from, to, sizeof(struct machine_state)) != 0) {
        check_rule();
    }
    return machine_broken;
}

static void start(void *state)
{
    machine_begin(&now, sizeof now, pool_of(0) | pool_of(1), NULL);
    machine_require(msr_write(&host.vp[0], HV_MSR_SIMP, MESSAGES | 1) &&
                        msr_write(&host.vp[0], HV_MSR_SIRBP, RINGS | 1) &&
                        msr_write(&host.vp[0], HV_MSR_SCONTROL, 1),
                    "the parent's pages can not be placed");
    host.vp[0].synic.ring_next[PORT_SINT] = RING_TAIL;
    make_child(0);
    make_child(1);
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

    for (unsigned i = 0; i < ARRAY_COUNT(systems); i++) {
        model = argc > 1 && strcmp(argv[1], systems[i].name) == 0 ? &systems[i] : model;
    }
    if (model == NULL) {
        fputs("usage: ports messages|events|children [--mutant]\n", stderr);
        return 2;
    }
    mutant = argc > 2 && strcmp(argv[2], "--mutant") == 0;
    return explorer_run(&system, model->name, mutant);
}
