/* SPDX-License-Identifier: MIT */
#include "tests/model/ports.h"

/* ---- the rule ---- */

static void check_ring(void)
{
    for (unsigned i = 0; i < HV_EVENT_RING_ENTRIES; i++) {
        const uint32_t expected = i < now.ring_count ? now.ring[i]
                                  : now.ring_full    ? RING_FILLER
                                                     : 0;

        machine_require(host_guest_read32(ring_at(i)) == expected,
                        "the ring has what nobody sent, or lacks something");
    }
}

/* Who has news has told them, or asked for the end of the message that is in the way. */
static void check_news(void)
{
    const bool room = now.child[0].room_owed || now.child[1].room_owed;
    const bool entries = now.ring_count > 0 || now.ring_full;
    struct hv_message slot;

    host_guest_read(MESSAGES, &slot, sizeof slot);
    const bool both = room && entries;

    machine_require(slot.type != HV_MESSAGE_NONE || (!room && !entries),
                    "the parent is not told what it waits for");
    machine_require(!both || (slot.flags & HV_MESSAGE_FLAG_PENDING),
                    "the parent is not asked for an end of message");
    for (const struct vp *vp = host.vp[0].news_first; vp != NULL; vp = vp->next_news) {
        machine_require(vp == child_vp(0) || vp == child_vp(1), "news are of a VP that is gone");
        if (machine_broken != NULL) {
            return;
        }
    }
}

/* The child's pages: the oldest message in its slot, nothing in the other slots. */
static void check_child_page(unsigned number)
{
    const struct child *child = &now.child[number];
    const uint64_t slot = child_page(number) + MESSAGE_SINT * sizeof(struct hv_message);
    struct hv_message message;
    uint64_t flags;

    host_guest_read(slot, &message, sizeof message);
    machine_require((message.type != HV_MESSAGE_NONE) == (child->count > 0),
                    "a message is lost, or comes from nowhere");
    machine_require(child->count == 0 || (message.payload[0] == number &&
                                          message.payload[1] == oldest(child->count, child->next)),
                    "a slot has another's message, or not the oldest");
    machine_require(child->count < 2 || (message.flags & HV_MESSAGE_FLAG_PENDING),
                    "a child is not asked for an end of message");
    host_guest_read(child_page(number) + EVENT_WORD, &flags, sizeof flags);
    machine_require(flags == (child->flag ? 1ull << EVENT_FLAG % 64 : 0),
                    "an event is lost, or comes from nowhere");
}

void check_rule(void)
{
    check_ring();
    check_news();
    for (unsigned i = 0; i < CHILDREN; i++) {
        struct partition *partition = machine_child((partition_id_t)child_id(i));
        unsigned in_queues = 0;

        for (unsigned port = 0; port < PORTS; port++) {
            in_queues += now.port[port].exists && model->port[port].child == i &&
                                 model->port[port].type == HV_PORT_MESSAGE
                             ? QUEUE_PAGES
                             : 0;
        }
        machine_require(partition != NULL, "a child is gone");
        if (partition != NULL && machine_broken == NULL) {
            machine_check_pool(partition, pool_of(i), in_queues);
        }
        if (now.child[i].alive && machine_broken == NULL) {
            check_child_page(i);
        }
    }
}

/* ---- what must be refused in every state ---- */

static void must_refuse(struct machine_answer answer, const char *rule)
{
    machine_require(answer.finished && answer.status != HV_STATUS_SUCCESS, rule);
}

static void refuse_parents_calls(void)
{
    const uint64_t nobody[] = {HV_PARTITION_ID_SELF, PARTITION_PARENT, child_id(CHILDREN)};

    for (unsigned i = 0; i < ARRAY_COUNT(nobody); i++) {
        must_refuse(call_create(nobody[i], 9, HV_PORT_EVENT), "a port is made for nobody");
        must_refuse(call_connect(nobody[i], 1, HV_PORT_EVENT, 9), "nobody is connected");
        must_refuse(call_disconnect(nobody[i], HV_PORT_EVENT, CONNECTION),
                    "nobody is disconnected");
        must_refuse(call_read(nobody[i], 1, 1), "messages of nobody are read");
    }
    must_refuse(call_create(child_id(0), 0, HV_PORT_EVENT), "port 0 is made");
    must_refuse(call_create(child_id(0), 9, HV_PORT_MONITOR), "a port is made of no kind");
    must_refuse(call_create(child_id(0), HV_PORT_ID_MASK + 1, HV_PORT_EVENT),
                "a port is made that has no id");
    must_refuse(call_delete(9), "a port is deleted that is not there");
}

/* By the other child's identifier, and as another kind. */
static void refuse_port(unsigned port)
{
    const struct port_kind *kind = &model->port[port];
    const uint64_t other = child_id(1u - kind->child);
    const uint32_t another = kind->type == HV_PORT_EVENT ? HV_PORT_MESSAGE : HV_PORT_EVENT;

    must_refuse(call_connect(other, port_id(port), kind->type, 9),
                "a child is connected to another's port");
    must_refuse(call_connect(child_id(kind->child), port_id(port), another, 9),
                "a port is connected as another kind");
    must_refuse(call_read(other, port_id(port), 1), "a child's messages are read as another's");
    if (now.port[port].exists) {
        must_refuse(call_create(child_id(kind->child), port_id(port), HV_PORT_EVENT),
                    "a port is made twice");
    }
}

/* A kind of connection by which the child reaches nothing, and messages that are none. */
static void refuse_child(unsigned child)
{
    const bool message = model->port[0].type == HV_PORT_MESSAGE;
    struct hv_message long_message = {.type = 2, .payload_size = HV_MESSAGE_PAYLOAD_SIZE + 1};

    for (uint32_t connection = CONNECTION; connection < CONNECTION + 3; connection++) {
        must_refuse(message ? call_signal(child, connection)
                            : call_post(child, connection, 1, 2, 0),
                    "a child reaches a port of another kind");
        must_refuse(call_post(child, connection, HV_MESSAGE_NONE, 2, 0), "a message of no type");
        must_refuse(call_post(child, connection, 0x80000000u, 2, 0),
                    "a message looks like the hypervisor's");
        must_refuse(call_post(child, connection, 1, HV_MESSAGE_PAYLOAD_SIZE + 1, 0),
                    "a message is too long");
    }
    must_refuse(call_signal(child, CONNECTION + 5), "a child reaches nobody");
    must_refuse(call_store(child, DOORBELL_AT + 4, 4), "a doorbell is rung at another address");
    must_refuse(call_store(child, DOORBELL_AT, 2), "a doorbell is rung by another size");
    must_refuse(call_post_direct(child_id(child), 0, MESSAGE_SINT, &long_message),
                "a message to a child is too long");
    must_refuse(call_post_direct(child_id(child), 1, MESSAGE_SINT, &long_message),
                "a message is for a VP that is not there");
    must_refuse(call_flag(child_id(child), HV_SINT_COUNT, EVENT_FLAG), "an event of no source");
    must_refuse(call_flag(child_id(child), EVENT_SINT, HV_EVENT_FLAGS_PER_SINT),
                "an event of no number");
}

void refuse_all(void)
{
    refuse_parents_calls();
    for (unsigned i = 0; i < PORTS; i++) {
        if (model->port[i].type != 0) {
            refuse_port(i);
        }
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (child_vp(i) != NULL) {
            refuse_child(i);
        }
    }
}
