/* SPDX-License-Identifier: MIT */
/*
 * The life of ports: the input is a list of calls of the parent (create, connect, disconnect,
 * delete, read, post to the child) and of what a child does (post, signal, store, end of message),
 * well formed or not. A shadow that knows nothing of the tables says what each must answer, what
 * the event ring holds and which message comes next; at the end every page is back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/abi/port.h"
#include "hv/core/hypercall.h"
#include "hv/core/log.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT       0x1000u
#define OUTPUT      0x2000u
#define MESSAGES    0x3000u
#define RINGS       0x4000u
#define CHILD_PAGE  5u
#define DEPOSIT     6u
#define DEPOSITS    10u
#define CALLS       0x800u
#define PORT_SINT   5u
#define SINT        2u
#define STEPS_MAX   400u
#define PORTS       8u /* ids 1 to 7; 0 is none */
#define CONNECTIONS 4u
#define ADDRESSES   4u

static const uint8_t *input;
static size_t input_left;
static uint64_t child_id;
static struct vp *child_vp;

/* ---- the shadow ---- */

static struct shadow_port {
    uint32_t type; /* 0: there is none */
    bool connected;
    uint32_t connection;
    uint64_t gpa;
    uint32_t queue[QUEUE_MESSAGES]; /* types of the messages */
    unsigned count;
} shadow[PORTS];
static uint32_t ring[HV_EVENT_RING_ENTRIES];
static unsigned ring_count, ring_tail;
static uint32_t to_child[QUEUE_MESSAGES + 1]; /* in the slot, and behind it */
static unsigned to_child_count;
static uint32_t next_type;

static void check(bool ok, const char *rule)
{
    if (!ok) {
        fprintf(stderr, "broken: %s\n", rule);
        abort();
    }
}

static uint8_t take(void)
{
    if (input_left == 0) {
        return 0;
    }
    input_left--;
    return *input++;
}

static uint32_t make_type(void)
{
    next_type = next_type % 0x7fffffff + 1;
    return next_type;
}

static struct shadow_port *find(uint32_t type, uint32_t connection)
{
    for (unsigned i = 1; i < PORTS; i++) {
        if (shadow[i].type == type && shadow[i].connected && shadow[i].connection == connection) {
            return &shadow[i];
        }
    }
    return NULL;
}

/* Reaching a port puts its id in the ring, if there is room. */
static bool expect_ring(const struct shadow_port *port)
{
    if (ring_count == HV_EVENT_RING_ENTRIES) {
        return false;
    }
    ring[ring_count++] = (uint32_t)(port - shadow);
    return true;
}

/* ---- calls ---- */

static enum hv_status dispatch(struct vp *vp, uint64_t control, uint64_t rdx, bool *finished)
{
    vp->registers.rcx = control;
    vp->registers.rdx = rdx;
    vp->registers.r8 = OUTPUT;
    *finished = hypercall_dispatch(vp);
    check(host_windows_closed(), "no window stays open");
    return (enum hv_status)(vp->registers.rax & 0xffff);
}

static enum hv_status call(uint64_t control, const void *block, size_t size)
{
    bool finished = false;
    enum hv_status status = HV_STATUS_SUCCESS;

    host_guest_write(INPUT, block, size);
    while (!finished) {
        status = dispatch(&host.vp[0], control, INPUT, &finished);
        control = host.vp[0].registers.rcx;
    }
    return status;
}

static void step_create(void)
{
    const uint32_t id = take() % PORTS;
    const uint32_t type = take() % 6;
    struct hv_input_create_port block = {.port_partition = HV_PARTITION_ID_SELF,
                                         .port_id = id,
                                         .connection_partition = child_id,
                                         .info = {.type = type}};

    block.info.message.sint = PORT_SINT;
    block.info.message.vp = HV_ANY_VP;
    block.info.event.flag_count = type == HV_PORT_EVENT ? 1 : 0;
    const enum hv_status status = call(HVCALL_CREATE_PORT, &block, sizeof block);

    if (type != HV_PORT_MESSAGE && type != HV_PORT_EVENT && type != HV_PORT_DOORBELL) {
        check(status == HV_STATUS_INVALID_PARAMETER, "a kind that is not offered");
    } else if (id == 0 || shadow[id].type != 0) {
        check(status == HV_STATUS_INVALID_PORT_ID, "an id that cannot be");
    } else if (status == HV_STATUS_SUCCESS) {
        shadow[id] = (struct shadow_port){.type = type};
    } else {
        check(status == HV_STATUS_INSUFFICIENT_MEMORY, "a port that can be made");
    }
}

static void step_connect(void)
{
    const uint32_t id = take() % PORTS;
    const uint32_t type = take() % 5;
    const uint32_t connection = take() % CONNECTIONS;
    const uint64_t gpa = take() % ADDRESSES * 4;
    const bool doorbell = type == HV_PORT_DOORBELL;
    struct hv_input_connect_port block = {.connection_partition = child_id,
                                          .connection_id = connection,
                                          .port_partition = HV_PARTITION_ID_SELF,
                                          .port_id = id,
                                          .info = {.type = type}};

    block.info.doorbell.gpa = gpa;
    block.info.doorbell.flags = HV_DOORBELL_SIZE_4 | HV_DOORBELL_ANY_VALUE;
    const enum hv_status status = call(HVCALL_CONNECT_PORT, &block, sizeof block);
    const bool used = doorbell ? find(HV_PORT_DOORBELL, connection) != NULL
                               : find(HV_PORT_MESSAGE, connection) != NULL ||
                                     find(HV_PORT_EVENT, connection) != NULL;

    if (used) {
        check(status == HV_STATUS_INVALID_CONNECTION_ID, "a connection id is used once");
    } else if (id == 0 || shadow[id].type == 0) {
        check(status == HV_STATUS_INVALID_PORT_ID, "no such port");
    } else if (shadow[id].type != type || shadow[id].connected) {
        check(status == HV_STATUS_INVALID_PARAMETER, "another kind, or connected");
    } else {
        check(status == HV_STATUS_SUCCESS, "a port that can be connected");
        shadow[id].connected = true;
        shadow[id].connection = connection;
        shadow[id].gpa = gpa;
    }
}

static void step_disconnect(void)
{
    const uint32_t connection = take() % CONNECTIONS;
    const uint32_t doorbell = take() & 1;
    const struct hv_input_disconnect_port block = {child_id, connection, doorbell};
    struct shadow_port *port = find(doorbell ? HV_PORT_DOORBELL : HV_PORT_MESSAGE, connection);

    if (port == NULL && !doorbell) {
        port = find(HV_PORT_EVENT, connection);
    }
    const enum hv_status status = call(HVCALL_DISCONNECT_PORT, &block, sizeof block);

    check(status == (port != NULL ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_CONNECTION_ID),
          "disconnect");
    if (port != NULL) {
        port->connected = false;
    }
}

static void step_delete(void)
{
    const uint32_t id = take() % PORTS;
    const struct hv_input_delete_port block = {HV_PARTITION_ID_SELF, id, 0};
    const enum hv_status status = call(HVCALL_DELETE_PORT, &block, sizeof block);

    check(status == (shadow[id].type != 0 ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PORT_ID),
          "delete");
    shadow[id] = (struct shadow_port){0};
}

static void step_read(void)
{
    const uint32_t id = take() % PORTS;
    const unsigned reps = 1 + take() % BH_READ_MESSAGES_MAX;
    const struct bh_read_messages_input block = {child_id, id, 0};
    struct shadow_port *port = &shadow[id];
    const enum hv_status status =
        call(BH_CALL_READ_MESSAGES | (uint64_t)reps << 32, &block, sizeof block);
    const unsigned done = (unsigned)(host.vp[0].registers.rax >> HV_RESULT_REPS_SHIFT);
    const unsigned there = port->count < reps ? port->count : reps;

    if (port->type == 0) {
        check(status == HV_STATUS_INVALID_PORT_ID && done == 0, "a port that is not there");
        return;
    }
    check(done == there, "as many as there are");
    check(status == (done == reps ? HV_STATUS_SUCCESS : HV_STATUS_NO_RESOURCES), "read");
    for (unsigned i = 0; i < done; i++) {
        check(host_guest_read32(OUTPUT + (uint64_t)i * HV_MESSAGE_SIZE) == port->queue[i],
              "in order");
    }
    memmove(port->queue, port->queue + done, (port->count - done) * sizeof port->queue[0]);
    port->count -= done;
}

/* ---- the child ---- */

static void step_post(void)
{
    const uint32_t connection = take() % CONNECTIONS;
    struct hv_input_post_message block = {
        .connection_id = connection, .message_type = make_type(), .payload_size = take()};
    struct shadow_port *port = find(HV_PORT_MESSAGE, connection);
    bool finished;

    host_guest_write(CHILD_PAGE << PAGE_SHIFT | CALLS, &block, sizeof block);
    const enum hv_status status = dispatch(child_vp, HVCALL_POST_MESSAGE, CALLS, &finished);

    if (block.payload_size > HV_MESSAGE_PAYLOAD_SIZE) {
        check(finished && status == HV_STATUS_INVALID_PARAMETER, "too long");
    } else if (port == NULL) {
        check(finished && status == HV_STATUS_INVALID_CONNECTION_ID, "nobody is there");
    } else if (port->count == 0 && !expect_ring(port)) {
        check(!finished, "a full ring");
    } else if (port->count == QUEUE_MESSAGES) {
        check(finished && status == HV_STATUS_INSUFFICIENT_BUFFERS, "a full queue");
    } else {
        check(finished && status == HV_STATUS_SUCCESS, "a message");
        port->queue[port->count++] = block.message_type;
    }
}

static void step_signal(void)
{
    const uint32_t connection = take() % CONNECTIONS;
    const struct shadow_port *port = find(HV_PORT_EVENT, connection);
    bool finished;
    const enum hv_status status =
        dispatch(child_vp, HVCALL_SIGNAL_EVENT | HV_CONTROL_FAST, connection, &finished);

    if (port == NULL) {
        check(finished && status == HV_STATUS_INVALID_CONNECTION_ID, "no event port");
    } else if (expect_ring(port)) {
        check(finished && status == HV_STATUS_SUCCESS, "an event");
    } else {
        check(!finished, "a full ring");
    }
}

static void step_store(void)
{
    const uint64_t gpa = take() % ADDRESSES * 4;
    const unsigned size = 1u << take() % 4;
    unsigned matching = 0;

    for (unsigned i = 1; i < PORTS; i++) {
        matching += shadow[i].type == HV_PORT_DOORBELL && shadow[i].connected &&
                    shadow[i].gpa == gpa && size == 4;
    }
    const enum port_result result = port_ring_doorbell(child_vp, gpa_make(gpa), size, take());

    check(host_windows_closed(), "no window stays open");
    if (matching == 0) {
        check(result == PORT_NONE, "no doorbell");
    } else if (ring_count == HV_EVENT_RING_ENTRIES) {
        check(result == PORT_AGAIN, "a full ring");
    } else {
        const uint32_t id =
            host_guest_read32(RINGS + PORT_SINT * sizeof(struct hv_event_ring) + 4 +
                              4 * (uint64_t)((ring_tail + ring_count) % HV_EVENT_RING_ENTRIES));

        check(result == PORT_DONE && id < PORTS && shadow[id].type == HV_PORT_DOORBELL &&
                  shadow[id].connected && shadow[id].gpa == gpa,
              "the doorbell of this address");
        ring[ring_count++] = id;
    }
}

/* ---- the parent's ring, and the child's slot ---- */

static void step_drain(void)
{
    for (unsigned left = take() % 32u; left > 0 && ring_count > 0; left--) {
        const uint64_t at =
            RINGS + PORT_SINT * sizeof(struct hv_event_ring) + 4 + 4 * (uint64_t)ring_tail;

        check(host_guest_read32(at) == ring[0], "the ring's order");
        host_guest_write32(at, 0);
        ring_tail = (ring_tail + 1) % HV_EVENT_RING_ENTRIES;
        memmove(ring, ring + 1, --ring_count * sizeof ring[0]);
    }
}

static void step_post_direct(void)
{
    struct hv_input_post_message_direct block = {.partition_id = child_id, .sint = SINT};
    const struct hv_message message = {.type = make_type(), .payload_size = 1};

    memcpy(block.message, &message, sizeof message);
    const enum hv_status status = call(HVCALL_POST_MESSAGE_DIRECT, &block, sizeof block);

    if (to_child_count > QUEUE_MESSAGES) {
        check(status == HV_STATUS_INSUFFICIENT_BUFFERS, "a full queue to the child");
    } else if (status == HV_STATUS_SUCCESS) {
        to_child[to_child_count++] = message.type;
    } else {
        check(to_child_count > 0 && status == HV_STATUS_INSUFFICIENT_MEMORY, "a post");
    }
}

static void step_end_of_message(void)
{
    const uint64_t slot = (CHILD_PAGE << PAGE_SHIFT) + SINT * HV_MESSAGE_SIZE;

    check(host_guest_read32(slot) == (to_child_count > 0 ? to_child[0] : HV_MESSAGE_NONE),
          "the oldest message is in the slot");
    if (to_child_count > 0) {
        memmove(to_child, to_child + 1, --to_child_count * sizeof to_child[0]);
    }
    host_guest_write32(slot, HV_MESSAGE_NONE);
    check(msr_write(child_vp, HV_MSR_EOM, take()), "EOM");
    host_guest_write32(MESSAGES, HV_MESSAGE_NONE); /* the parent's slot: notes about room */
    check(msr_write(&host.vp[0], HV_MSR_EOM, 0), "EOM");
}

/* ---- the machine ---- */

static void begin(void)
{
    uint64_t deposit[1 + DEPOSITS];
    const struct hv_input_create_partition create = {0};
    enum hv_status status;

    memset(shadow, 0, sizeof shadow);
    ring_count = ring_tail = to_child_count = 0;
    next_type = 0;
    host_machine_init(1, PARTITION_PARENT);
    host_make_tables();
    check(msr_write(&host.vp[0], HV_MSR_SIMP, MESSAGES | 1) &&
              msr_write(&host.vp[0], HV_MSR_SIRBP, RINGS | 1) &&
              msr_write(&host.vp[0], HV_MSR_SCONTROL, 1),
          "the parent's pages");
    check(call(HVCALL_CREATE_PARTITION, &create, sizeof create) == HV_STATUS_SUCCESS, "create");
    host_guest_read(OUTPUT, &child_id, sizeof child_id);
    deposit[0] = child_id;
    for (unsigned i = 0; i < DEPOSITS; i++) {
        deposit[1 + i] = DEPOSIT + i;
    }
    const uint64_t map[] = {child_id, 0, HV_MAP_READABLE | HV_MAP_WRITABLE, CHILD_PAGE};
    const struct hv_input_create_vp vp = {.partition_id = child_id};

    check(call(HVCALL_DEPOSIT_MEMORY | (uint64_t)DEPOSITS << 32, deposit, sizeof deposit) ==
                  HV_STATUS_SUCCESS &&
              call(HVCALL_INITIALIZE_PARTITION, &child_id, 8) == HV_STATUS_SUCCESS &&
              call(HVCALL_MAP_GPA_PAGES | 1ull << 32, map, sizeof map) == HV_STATUS_SUCCESS &&
              call(HVCALL_CREATE_VP, &vp, sizeof vp) == HV_STATUS_SUCCESS,
          "a child");
    struct partition *child = partition_acquire(&host.partition, child_id, &status);

    partition_release(child);
    child_vp = child->vp[0];
    check(msr_write(child_vp, HV_MSR_SIMP, 1) && msr_write(child_vp, HV_MSR_SCONTROL, 1),
          "the child's page");
}

static void end(void)
{
    const struct hv_input_withdraw_memory withdraw = {.partition_id = child_id};

    check(call(HVCALL_FINALIZE_PARTITION, &child_id, 8) == HV_STATUS_SUCCESS, "finalize");
    check(call(HVCALL_WITHDRAW_MEMORY | 16ull << 32, &withdraw, sizeof withdraw) ==
                  HV_STATUS_NO_RESOURCES &&
              host.vp[0].registers.rax >> HV_RESULT_REPS_SHIFT == DEPOSITS,
          "every page is back");
    check(call(HVCALL_DELETE_PARTITION, &child_id, 8) == HV_STATUS_SUCCESS, "delete");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const steps[])(void) = {
        step_create, step_connect, step_disconnect, step_delete,        step_read,
        step_post,   step_signal,  step_store,      step_drain,         step_post_direct,
        step_post,   step_signal,  step_connect,    step_end_of_message};

    input = data;
    input_left = size;
    log_set_console_level(LOG_DEBUG);
    begin();
    for (unsigned i = 0; i < STEPS_MAX && input_left > 0; i++) {
        steps[take() % (sizeof steps / sizeof steps[0])]();
    }
    end();
    return 0;
}
