/* SPDX-License-Identifier: MIT */
#include "tests/model/ports.h"

#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/intercept.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/core/event_ring.h"
#include "hv/core/msr.h"

/* ---- ports: calls, and what a caller that believes the answer knows ---- */

static void follow_send(unsigned through)
{
    const unsigned number = reached(through);

    machine_require(number < PORTS, "something arrives without a connection");
    if (number == PORTS) {
        return;
    }
    struct port *port = &now.port[number];
    const bool message = model->port[number].type == HV_PORT_MESSAGE;

    if (!message || port->count == 0) {
        machine_require(!now.ring_full && now.ring_count < RING_FEW,
                        "something arrives of which the parent is not told");
        now.ring[now.ring_count < RING_FEW ? now.ring_count++ : 0] = (uint8_t)port_id(number);
    }
    if (message) {
        port->next = (uint8_t)((port->next + 1) % NUMBERS);
        port->count++;
    }
}

/* What was read is what was sent: the oldest, by this child. */
static void follow_read(unsigned number, uint32_t done)
{
    struct port *port = &now.port[number];

    for (uint32_t i = 0; i < done; i++) {
        struct hv_message message;

        host_guest_read(MACHINE_OUTPUT * PAGE_SIZE + i * sizeof message, &message, sizeof message);
        machine_require(port->count > 0, "a message is read that nobody sent, or twice");
        machine_require(message.sender == child_id(model->port[number].child) &&
                            message.payload[0] == model->port[number].child,
                        "a message comes from another child");
        machine_require(message.payload[1] == oldest(port->count, port->next) &&
                            message.payload_size == 2 && message.type == 1,
                        "a message is not the oldest, or is changed");
        port->count = (uint8_t)(port->count - (port->count > 0));
    }
    if (port->count == 0) {
        port->next = 0;
        port->turned = 0;
    }
}

static bool read_port(unsigned number, uint32_t most)
{
    const struct machine_answer answer =
        call_read(child_id(model->port[number].child), port_id(number), most);

    machine_require(answer.finished, "a call is never finished");
    if (answer.status == HV_STATUS_SUCCESS || answer.status == HV_STATUS_NO_RESOURCES) {
        follow_read(number, answer.done);
    }
    return answer.done > 0;
}

void read_all(unsigned number)
{
    while (read_port(number, BH_READ_MESSAGES_MAX) && machine_broken == NULL) {
    }
    machine_require(now.port[number].count == 0, "a message is lost");
}

void send_many(unsigned number)
{
    while (now.port[number].count < FULL - 1 && machine_broken == NULL) {
        machine_require(granted(call_send(number)), "a message is refused though there is room");
        follow_send(number);
    }
}

/* One in, one out: the parent reads as fast as the child sends. */
void turn_queue(unsigned number)
{
    for (unsigned i = 0; i < FULL - 2 && machine_broken == NULL; i++) {
        machine_require(granted(call_send(number)), "a message is refused though there is room");
        follow_send(number);
        machine_require(read_port(number, 1), "a message is lost");
    }
    now.port[number].turned = 1;
}

static void follow_disconnect(unsigned port, bool ok)
{
    const unsigned at = reached(port);

    machine_require(!ok || at < PORTS, "nobody is disconnected");
    if (ok && at < PORTS) {
        now.port[at].connected = 0;
    }
}

bool take_port(struct operation operation)
{
    const struct port_kind *kind = &model->port[operation.of];
    const uint64_t id = child_id(kind->child);
    struct port *port = &now.port[operation.of];
    bool ok = true;

    switch (operation.verb) {
    case CREATE:
        ok = granted(call_create(id, port_id(operation.of), kind->type));
        if (ok) {
            *port = (struct port){.exists = 1};
            now.child[kind->child].has_port_page = 1;
        }
        break;
    case DELETE:
        ok = granted(call_delete(port_id(operation.of)));
        if (ok) {
            *port = (struct port){0};
        }
        break;
    case CONNECT:
        ok = granted(call_connect(id, port_id(operation.of), kind->type, kind->connection));
        machine_require(!ok || reached(operation.of) == PORTS, "a connection leads to two ports");
        port->connected = port->connected || ok;
        break;
    case DISCONNECT:
        ok = granted(call_disconnect(id, kind->type, kind->connection));
        follow_disconnect(operation.of, ok);
        break;
    case SEND:
        ok = granted(call_send(operation.of));
        if (ok) {
            follow_send(operation.of);
        }
        break;
    default: /* READ */
        ok = read_port(operation.of, 1);
    }
    return ok;
}

/* ---- to the children, and by them ---- */

static void make_message(unsigned child, struct hv_message *message)
{
    *message = (struct hv_message){.type = 2, .payload_size = 2, .sender = PARTITION_PARENT};
    message->payload[0] = (uint8_t)child;
    message->payload[1] = now.child[child].next;
}

static bool post(unsigned number)
{
    struct child *child = &now.child[number];
    struct hv_message message;

    make_message(number, &message);
    const struct machine_answer answer =
        call_post_direct(child_id(number), 0, MESSAGE_SINT, &message);

    if (granted(answer)) {
        child->count++;
        child->next = (uint8_t)((child->next + 1) % NUMBERS);
    } else if (answer.status == HV_STATUS_INSUFFICIENT_BUFFERS) {
        child->wants_room = 1;
    }
    return granted(answer);
}

/* What a guest does with its slot: reads it, empties it, and ends it if that is asked for. */
static void take_message(unsigned number)
{
    struct child *child = &now.child[number];
    const uint64_t slot = child_page(number) + MESSAGE_SINT * sizeof(struct hv_message);
    struct hv_message message;

    host_guest_read(slot, &message, sizeof message);
    machine_require(child->count > 0 && message.type == 2, "a message is lost");
    machine_require(message.payload[0] == number &&
                        message.payload[1] == oldest(child->count, child->next),
                    "a message is another child's, or not the oldest");
    host_guest_write(slot, &(struct hv_message){0}, sizeof message);
    child->count = (uint8_t)(child->count - (child->count > 0));
    if (child->wants_room && (child->count == 0 || child->count - 1u <= FULL / 2)) {
        child->wants_room = 0;
        child->room_owed = told_of_room(number) ? 2 : 1; /* in the slot, and once behind it */
    }
    if (message.flags & HV_MESSAGE_FLAG_PENDING) {
        machine_require(msr_write(child_vp(number), HV_MSR_EOM, 0), "no end of message");
    }
    child->next = child->count == 0 ? 0 : child->next;
}

static void take_flag(unsigned number)
{
    const uint64_t at = child_page(number) + EVENT_WORD;

    host_guest_write(at, &(uint64_t){0}, 8);
    now.child[number].flag = 0;
}

/* The VP, then the ports, then the memory. Messages to and from it are gone. */
static bool finalize(unsigned number)
{
    struct child *child = &now.child[number];
    const uint64_t id = child_id(number);
    const struct machine_answer answer =
        machine_call(&host.vp[0], HVCALL_FINALIZE_PARTITION, &id, sizeof id);
    const bool had_vp = child->alive;

    machine_require(!answer.finished || answer.status == HV_STATUS_SUCCESS, "an end is refused");
    *child = (struct child){.ended = answer.finished,
                            .has_port_page = child->has_port_page && had_vp,
                            .room_owed = told_of_room(number)};
    for (unsigned i = 0; i < PORTS && !had_vp; i++) {
        if (model->port[i].child == number) {
            now.port[i] = (struct port){0};
        }
    }
    return true;
}

bool take_child(struct operation operation)
{
    bool newly = false;
    bool ok = true;

    switch (operation.verb) {
    case FINALIZE:
        return finalize(operation.of);
    case RENEW:
        delete_child(operation.of);
        make_child(operation.of);
        break;
    case POST:
        return post(operation.of);
    case POST_MANY:
        while (now.child[operation.of].count < FULL && machine_broken == NULL) {
            machine_require(post(operation.of), "a message is refused though there is room");
        }
        break;
    case TAKE:
        take_message(operation.of);
        break;
    case TAKE_ALL:
        while (now.child[operation.of].count > 0 && machine_broken == NULL) {
            take_message(operation.of);
        }
        break;
    case FLAG:
        ok = granted(call_flag(child_id(operation.of), EVENT_SINT, EVENT_FLAG));
        newly = ok && (machine_output() & 1);
        machine_require(!ok || newly == !now.child[operation.of].flag,
                        "an event is called new that is not, or the reverse");
        now.child[operation.of].flag = now.child[operation.of].flag || ok;
        break;
    default: /* TAKE_FLAG */
        take_flag(operation.of);
    }
    return ok;
}

/* ---- the parent's ring and slot ---- */

uint64_t ring_at(unsigned entry)
{
    return RINGS + PORT_SINT * sizeof(struct hv_event_ring) +
           offsetof(struct hv_event_ring, entry) +
           (RING_TAIL + entry) % HV_EVENT_RING_ENTRIES * sizeof(uint32_t);
}

void fill_ring(void)
{
    for (unsigned i = now.ring_count; i < HV_EVENT_RING_ENTRIES; i++) {
        machine_require(event_ring_put(&host.vp[0], PORT_SINT, RING_FILLER), "a ring has no room");
    }
    machine_require(!event_ring_put(&host.vp[0], PORT_SINT, RING_FILLER), "a ring has no end");
    now.ring_full = 1;
}

/* The reader's protocol: unmask, then take all there is. The next entry is number 61 again. */
static void drain_ring(void)
{
    const uint64_t ring = RINGS + PORT_SINT * sizeof(struct hv_event_ring);
    const unsigned count = now.ring_full ? HV_EVENT_RING_ENTRIES : now.ring_count;

    host_guest_write32(ring, 0);
    for (unsigned i = 0; i < count; i++) {
        const uint32_t expected = i < now.ring_count ? now.ring[i] : RING_FILLER;

        machine_require(host_guest_read32(ring_at(i)) == expected, "the ring is not in order");
        host_guest_write32(ring_at(i), 0);
    }
    machine_require(host.vp[0].synic.ring_next[PORT_SINT] ==
                        (RING_TAIL + count) % HV_EVENT_RING_ENTRIES,
                    "the ring goes on elsewhere");
    host.vp[0].synic.ring_next[PORT_SINT] = RING_TAIL;
    now.ring_count = now.ring_full = 0;
    memset(now.ring, 0, sizeof now.ring);
}

static void take_room(const struct hv_message *message)
{
    const uint64_t number = message->sender - MACHINE_FIRST_CHILD;

    machine_require(number < CHILDREN && now.child[number].room_owed,
                    "the parent is told of room that it did not wait for");
    if (number < CHILDREN) {
        now.child[number].room_owed--;
    }
}

void take_news(void)
{
    struct hv_message message;

    host_guest_read(MESSAGES, &message, sizeof message);
    if (message.type == HV_MESSAGE_SINT_INTERCEPT) {
        machine_require(message.payload[0] == PORT_SINT, "the parent is told of another ring");
        drain_ring();
    } else if (message.type == HV_MESSAGE_SINT_DELIVERABLE) {
        take_room(&message);
    } else {
        machine_require(message.type == HV_MESSAGE_NONE, "the parent is told of nothing known");
    }
    host_guest_write(MESSAGES, &(struct hv_message){0}, sizeof message);
    if (message.flags & HV_MESSAGE_FLAG_PENDING) {
        machine_require(msr_write(&host.vp[0], HV_MSR_EOM, 0), "no end of message");
    }
}
