/* SPDX-License-Identifier: MIT */
/*
 * Ports: the parent's calls with every refusal, what a child's messages, events and stores do, and
 * what waits for a child's slot. The child has one VP and a pool; the parent's event ring is read
 * as the driver does.
 */
#include "hv/core/port.h"

#include <stdlib.h>
#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/intercept.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/core/decode.h"
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define INPUT       0x1000u
#define OUTPUT      0x2000u
#define MESSAGES    0x3000u
#define RINGS       0x4000u
#define CHILD_PAGE  5u /* the child's only page, at address 0 */
#define DEPOSIT     6u
#define DEPOSITS    10u
#define CALLS       0x800u /* inputs of the child, in its page */
#define PORT_SINT   5u
#define SINT        2u
#define VECTOR      0x40u
#define SELF        HV_PARTITION_ID_SELF
#define FAST        HV_CONTROL_FAST
#define CONNECTION  0x1000u
#define DOORBELL_AT 0xfebf1000u

static uint64_t id;
static struct partition *child;
static struct vp *parent_vp, *child_vp;
static unsigned ring_tail;

static enum hv_status dispatch(struct vp *vp, uint64_t control, uint64_t rdx, uint64_t r8,
                               bool *finished)
{
    vp->registers.rcx = control;
    vp->registers.rdx = rdx;
    vp->registers.r8 = r8;
    *finished = hypercall_dispatch(vp);
    assert_true(host_windows_closed());
    return (enum hv_status)(vp->registers.rax & 0xffff);
}

static enum hv_status call(uint64_t control, const void *input, size_t size)
{
    bool finished = false;
    enum hv_status status = HV_STATUS_SUCCESS;
    uint64_t now = control;

    host_guest_write(INPUT, input, size);
    while (!finished) {
        status = dispatch(parent_vp, now, INPUT, OUTPUT, &finished);
        now = parent_vp->registers.rcx;
    }
    return status;
}

static void deposit(unsigned first, unsigned count)
{
    uint64_t input[1 + DEPOSITS] = {id};

    for (unsigned i = 0; i < count; i++) {
        input[1 + i] = DEPOSIT + first + i;
    }
    assert_int_equal(
        call(HVCALL_DEPOSIT_MEMORY | (uint64_t)count << 32, input, 8 * (1 + (size_t)count)),
        HV_STATUS_SUCCESS);
}

/* A parent with an event ring and message slots, and a child with one page and one VP. */
static int setup(void **state)
{
    (void)state;
    host_machine_init(1, PARTITION_PARENT);
    host_make_tables();
    parent_vp = &host.vp[0];
    ring_tail = 0;
    assert_true(msr_write(parent_vp, HV_MSR_SIMP, MESSAGES | 1));
    assert_true(msr_write(parent_vp, HV_MSR_SIRBP, RINGS | 1));
    assert_true(msr_write(parent_vp, HV_MSR_SINT0, VECTOR));
    assert_true(msr_write(parent_vp, HV_MSR_SCONTROL, 1));
    const struct hv_input_create_partition create = {0};
    assert_int_equal(call(HVCALL_CREATE_PARTITION, &create, sizeof create), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &id, sizeof id);
    deposit(0, 4);
    const struct hv_input_partition initialize = {id};
    assert_int_equal(call(HVCALL_INITIALIZE_PARTITION, &initialize, sizeof initialize),
                     HV_STATUS_SUCCESS);
    const uint64_t map[] = {id, 0, HV_MAP_READABLE | HV_MAP_WRITABLE, CHILD_PAGE};
    assert_int_equal(call(HVCALL_MAP_GPA_PAGES | 1ull << 32, map, sizeof map), HV_STATUS_SUCCESS);
    const struct hv_input_create_vp vp = {.partition_id = id};
    assert_int_equal(call(HVCALL_CREATE_VP, &vp, sizeof vp), HV_STATUS_SUCCESS);
    enum hv_status status;
    child = partition_acquire(&host.partition, id, &status);
    partition_release(child);
    child_vp = child->vp[0];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    const struct hv_input_partition input = {id};
    const struct hv_input_withdraw_memory withdraw = {.partition_id = id};

    assert_int_equal(call(HVCALL_FINALIZE_PARTITION, &input, sizeof input), HV_STATUS_SUCCESS);
    assert_int_equal(call(HVCALL_WITHDRAW_MEMORY | 16ull << 32, &withdraw, sizeof withdraw),
                     HV_STATUS_NO_RESOURCES);
    assert_int_equal(call(HVCALL_DELETE_PARTITION, &input, sizeof input), HV_STATUS_SUCCESS);
    return 0;
}

/* ---- calls ---- */

static struct hv_input_create_port port_of(uint32_t port_id, uint32_t type)
{
    struct hv_input_create_port input = {.port_partition = SELF,
                                         .port_id = port_id,
                                         .connection_partition = id,
                                         .info = {.type = type}};

    input.info.message.sint = PORT_SINT;
    input.info.message.vp = HV_ANY_VP;
    if (type == HV_PORT_EVENT) {
        input.info.event.flag_count = 1;
    }
    return input;
}

static enum hv_status create(uint32_t port_id, uint32_t type)
{
    const struct hv_input_create_port input = port_of(port_id, type);

    return call(HVCALL_CREATE_PORT, &input, sizeof input);
}

static struct hv_input_connect_port connection_of(uint32_t port_id, uint32_t type,
                                                  uint32_t connection_id)
{
    return (struct hv_input_connect_port){.connection_partition = id,
                                          .connection_id = connection_id,
                                          .port_partition = PARTITION_PARENT,
                                          .port_id = port_id,
                                          .info = {.type = type}};
}

static enum hv_status connect(uint32_t port_id, uint32_t type, uint32_t connection_id)
{
    const struct hv_input_connect_port input = connection_of(port_id, type, connection_id);

    return call(HVCALL_CONNECT_PORT, &input, sizeof input);
}

static void open_port(uint32_t port_id, uint32_t type, uint32_t connection_id)
{
    assert_int_equal(create(port_id, type), HV_STATUS_SUCCESS);
    assert_int_equal(connect(port_id, type, connection_id), HV_STATUS_SUCCESS);
}

static enum hv_status delete_port(uint32_t port_id)
{
    const struct hv_input_delete_port input = {SELF, port_id, 0};

    return call(HVCALL_DELETE_PORT, &input, sizeof input);
}

static enum hv_status disconnect(uint32_t connection_id, uint32_t doorbell)
{
    const struct hv_input_disconnect_port input = {id, connection_id, doorbell};

    return call(HVCALL_DISCONNECT_PORT, &input, sizeof input);
}

static enum hv_status read_messages(uint32_t port_id, unsigned count)
{
    const struct bh_read_messages_input input = {.partition_id = id, .port_id = port_id};

    return call(BH_CALL_READ_MESSAGES | (uint64_t)count << 32, &input, sizeof input);
}

static enum hv_status post_as(uint32_t connection_id, uint32_t type, uint32_t size, bool *finished)
{
    struct hv_input_post_message input = {
        .connection_id = connection_id, .message_type = type, .payload_size = size};

    memset(input.payload, (int)type, sizeof input.payload);
    host_guest_write(CHILD_PAGE << PAGE_SHIFT | CALLS, &input, sizeof input);
    return dispatch(child_vp, HVCALL_POST_MESSAGE, CALLS, 0, finished);
}

static enum hv_status post(uint32_t connection_id, uint32_t type)
{
    bool finished;
    const enum hv_status status = post_as(connection_id, type, 8, &finished);

    assert_true(finished);
    return status;
}

static enum hv_status signal_event(uint32_t connection_id, uint64_t flag)
{
    bool finished;
    const enum hv_status status =
        dispatch(child_vp, HVCALL_SIGNAL_EVENT | FAST, connection_id | flag << 32, 0, &finished);

    assert_true(finished);
    return status;
}

/* The parent takes the next entry out of its ring; 0: there is none. */
static uint32_t take_ring(void)
{
    const uint64_t at =
        RINGS + PORT_SINT * sizeof(struct hv_event_ring) + 4 + 4 * (uint64_t)ring_tail;
    const uint32_t entry = host_guest_read32(at);

    if (entry != 0) {
        host_guest_write32(at, 0);
        ring_tail = (ring_tail + 1) % HV_EVENT_RING_ENTRIES;
    }
    return entry;
}

static struct hv_event_ring ring_head(void)
{
    struct hv_event_ring ring;

    host_guest_read(RINGS + PORT_SINT * sizeof ring, &ring, sizeof ring);
    return ring;
}

static void unmask_ring(void)
{
    host_guest_write(RINGS + PORT_SINT * sizeof(struct hv_event_ring), &(uint8_t[]){0, 0}, 2);
}

/* The message in the parent's slot 0 is taken; its type. */
static uint32_t take_slot(void)
{
    struct hv_message message;

    host_guest_read(MESSAGES, &message, sizeof message);
    host_guest_write32(MESSAGES, HV_MESSAGE_NONE);
    assert_true(msr_write(parent_vp, HV_MSR_EOM, 0));
    return message.type;
}

/* ---- the parent's calls ---- */

static void test_create_faults(void **state)
{
    (void)state;
    struct hv_input_create_port input = port_of(1, HV_PORT_EVENT);
    const size_t size = sizeof input;

    input.port_partition = id;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARTITION_ID);
    input = port_of(1, HV_PORT_EVENT);
    input.connection_partition = PARTITION_PARENT;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARTITION_ID);
    input.connection_partition = id + 1;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARTITION_ID);
    input = port_of(1, HV_PORT_EVENT);
    input.port_vtl = 1;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARAMETER);
    input = port_of(1, HV_PORT_EVENT);
    input.min_connection_vtl = 1;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARAMETER);
    input = port_of(1, HV_PORT_EVENT);
    input.info.event.flag_count = 2;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARAMETER);
    input = port_of(1, HV_PORT_EVENT);
    input.info.event.base_flag = 1;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARAMETER);
    input = port_of(1, HV_PORT_MESSAGE);
    input.info.message.sint = HV_SINT_COUNT;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARAMETER);
    input = port_of(1, HV_PORT_DOORBELL);
    input.info.message.vp = 0;
    assert_int_equal(call(HVCALL_CREATE_PORT, &input, size), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(create(1, HV_PORT_MONITOR), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(create(1, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(create(1, 5), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(create(0, HV_PORT_EVENT), HV_STATUS_INVALID_PORT_ID);
    assert_int_equal(create(HV_PORT_ID_MASK + 1, HV_PORT_EVENT), HV_STATUS_INVALID_PORT_ID);
}

/* Every page comes from the child's pool, and a call that fails keeps none but the table's. */
static void test_memory_is_the_childs(void **state)
{
    (void)state;
    deposit(4, 6);
    const uint64_t free_pages = child->pool.free_pages;

    assert_true(free_pages >= 6);
    assert_int_equal(create(1, HV_PORT_MESSAGE), HV_STATUS_SUCCESS);
    assert_int_equal(child->pool.free_pages, free_pages - 1 - QUEUE_PAGES);
    const uint64_t left = child->pool.free_pages;
    assert_true(left < 1 + QUEUE_PAGES);
    assert_int_equal(create(2, HV_PORT_MESSAGE), HV_STATUS_INSUFFICIENT_MEMORY);
    assert_int_equal(delete_port(1), HV_STATUS_SUCCESS);
    assert_int_equal(create(2, HV_PORT_MESSAGE), HV_STATUS_SUCCESS);
    assert_int_equal(delete_port(2), HV_STATUS_SUCCESS);
}

static void test_connect_faults(void **state)
{
    (void)state;
    deposit(4, 6);
    struct hv_input_connect_port input = connection_of(1, HV_PORT_EVENT, CONNECTION);
    const size_t size = sizeof input;

    assert_int_equal(connect(1, HV_PORT_EVENT, CONNECTION), HV_STATUS_INVALID_PORT_ID);
    assert_int_equal(connect(0, HV_PORT_EVENT, CONNECTION), HV_STATUS_INVALID_PORT_ID);
    assert_int_equal(create(1, HV_PORT_EVENT), HV_STATUS_SUCCESS);
    assert_int_equal(create(1, HV_PORT_EVENT), HV_STATUS_INVALID_PORT_ID);
    input.port_partition = id;
    assert_int_equal(call(HVCALL_CONNECT_PORT, &input, size), HV_STATUS_INVALID_PARTITION_ID);
    input = connection_of(1, HV_PORT_EVENT, CONNECTION);
    input.connection_partition = PARTITION_PARENT;
    assert_int_equal(call(HVCALL_CONNECT_PORT, &input, size), HV_STATUS_INVALID_PARTITION_ID);
    input = connection_of(1, HV_PORT_EVENT, CONNECTION);
    input.connection_vtl = 1;
    assert_int_equal(call(HVCALL_CONNECT_PORT, &input, size), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(connect(1, HV_PORT_MESSAGE, CONNECTION), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(connect(1, HV_PORT_EVENT, HV_PORT_ID_MASK + 1),
                     HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(connect(1, HV_PORT_EVENT, CONNECTION), HV_STATUS_SUCCESS);
    assert_int_equal(connect(1, HV_PORT_EVENT, CONNECTION + 1), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(create(2, HV_PORT_EVENT), HV_STATUS_SUCCESS);
    assert_int_equal(connect(2, HV_PORT_EVENT, CONNECTION), HV_STATUS_INVALID_CONNECTION_ID);
    input = connection_of(3, HV_PORT_DOORBELL, 3);
    input.info.doorbell.flags = HV_DOORBELL_SIZE_8 + 1;
    assert_int_equal(call(HVCALL_CONNECT_PORT, &input, size), HV_STATUS_INVALID_PARAMETER);
}

static void test_disconnect_and_delete(void **state)
{
    (void)state;
    deposit(4, 6);
    open_port(1, HV_PORT_EVENT, CONNECTION);
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_int_equal(disconnect(CONNECTION, HV_DISCONNECT_DOORBELL),
                     HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(disconnect(CONNECTION + 1, 0), HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(disconnect(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_int_equal(disconnect(CONNECTION, 0), HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(connect(1, HV_PORT_EVENT, CONNECTION + 7), HV_STATUS_SUCCESS);
    assert_int_equal(signal_event(CONNECTION + 7, 0), HV_STATUS_SUCCESS);
    const struct hv_input_delete_port wrong = {id, 1, 0};
    assert_int_equal(call(HVCALL_DELETE_PORT, &wrong, sizeof wrong),
                     HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(delete_port(2), HV_STATUS_INVALID_PORT_ID);
    assert_int_equal(delete_port(0), HV_STATUS_INVALID_PORT_ID);
    assert_int_equal(delete_port(1), HV_STATUS_SUCCESS);
    assert_int_equal(delete_port(1), HV_STATUS_INVALID_PORT_ID);
    assert_int_equal(signal_event(CONNECTION + 7, 0), HV_STATUS_INVALID_CONNECTION_ID);
}

/* As many as the pool pays for, in several pages, reached each by its own id. */
static void test_many(void **state)
{
    (void)state;
    deposit(4, 6);
    unsigned made = 0;

    while (create(16 + 16 * made, HV_PORT_EVENT) == HV_STATUS_SUCCESS &&
           connect(16 + 16 * made, HV_PORT_EVENT, CONNECTION + 7 * made) == HV_STATUS_SUCCESS) {
        made++;
    }
    assert_true(made > 200);
    assert_int_equal(create(16 + 16 * made, HV_PORT_EVENT), HV_STATUS_INSUFFICIENT_MEMORY);
    for (unsigned i = 0; i < made; i++) {
        assert_int_equal(signal_event(CONNECTION + 7 * i, 0), HV_STATUS_SUCCESS);
        assert_int_equal(take_ring(), 16 + 16 * i);
        assert_int_equal(take_ring(), 0);
    }
    for (unsigned i = 0; i < made; i++) {
        assert_int_equal(delete_port(16 + 16 * i), HV_STATUS_SUCCESS);
    }
}

static void test_ring_empty_note(void **state)
{
    (void)state;
    bool finished;

    assert_int_equal(dispatch(parent_vp, HVCALL_NOTIFY_PORT_RING_EMPTY | FAST, 15, 0, &finished),
                     HV_STATUS_SUCCESS);
    assert_int_equal(dispatch(parent_vp, HVCALL_NOTIFY_PORT_RING_EMPTY | FAST, 16, 0, &finished),
                     HV_STATUS_INVALID_PARAMETER);
}

/* ---- messages ---- */

static void test_post_faults(void **state)
{
    (void)state;
    deposit(4, 6);
    bool finished;

    assert_int_equal(post(CONNECTION, 1), HV_STATUS_INVALID_CONNECTION_ID);
    open_port(16, HV_PORT_EVENT, CONNECTION);
    assert_int_equal(post(CONNECTION, 1), HV_STATUS_INVALID_CONNECTION_ID);
    open_port(32, HV_PORT_MESSAGE, CONNECTION + 16);
    assert_int_equal(post(CONNECTION + 16, HV_MESSAGE_NONE), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(post(CONNECTION + 16, 0x80000000), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(post_as(CONNECTION + 16, 1, HV_MESSAGE_PAYLOAD_SIZE + 1, &finished),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(take_ring(), 0);
    assert_int_equal(signal_event(CONNECTION + 16, 0), HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(read_messages(16, 1), HV_STATUS_NO_RESOURCES);
    assert_int_equal(read_messages(3, 1), HV_STATUS_INVALID_PORT_ID);
    /* The parent has no connections. */
    struct hv_input_post_message input = {.connection_id = CONNECTION + 16, .message_type = 1};
    assert_int_equal(call(HVCALL_POST_MESSAGE, &input, sizeof input),
                     HV_STATUS_INVALID_CONNECTION_ID);
}

/* The queue takes 64, says so, and gives them in order with nothing of the next page's old data. */
static void test_messages_wait(void **state)
{
    (void)state;
    deposit(4, 6);
    open_port(7, HV_PORT_MESSAGE, 4);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < QUEUE_MESSAGES; i++) {
            assert_int_equal(post(4, 1 + i), HV_STATUS_SUCCESS);
        }
        assert_int_equal(post(4, 1), HV_STATUS_INSUFFICIENT_BUFFERS);
        assert_int_equal(take_ring(), 7); /* told once */
        assert_int_equal(take_ring(), 0);
        for (unsigned i = 0; i < QUEUE_MESSAGES; i += BH_READ_MESSAGES_MAX) {
            assert_int_equal(read_messages(7, BH_READ_MESSAGES_MAX), HV_STATUS_SUCCESS);
            for (unsigned at = 0; at < BH_READ_MESSAGES_MAX; at++) {
                struct hv_message message;
                host_guest_read(OUTPUT + at * sizeof message, &message, sizeof message);
                assert_int_equal(message.type, 1 + i + at);
                assert_int_equal(message.payload_size, 8);
                assert_int_equal(message.sender, id);
                assert_int_equal(message.payload[7], (uint8_t)message.type);
                assert_int_equal(message.payload[8], 0);
            }
        }
        assert_int_equal(read_messages(7, 1), HV_STATUS_NO_RESOURCES);
    }
}

/* Each window costs more time than a call may take. */
static void let_time_pass(void)
{
    host.now += 1000;
}

/* A call that is cut short goes on where it was, and ends only when all are read. */
static void test_read_in_pieces(void **state)
{
    (void)state;
    deposit(4, 6);
    open_port(7, HV_PORT_MESSAGE, 4);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(post(4, 1 + i), HV_STATUS_SUCCESS);
    }
    host_window_hook = let_time_pass;
    const enum hv_status status = read_messages(7, BH_READ_MESSAGES_MAX);
    host_window_hook = NULL;
    assert_int_equal(status, HV_STATUS_NO_RESOURCES);
    assert_int_equal(parent_vp->registers.rax >> HV_RESULT_REPS_SHIFT, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(host_guest_read32(OUTPUT + (uint64_t)i * HV_MESSAGE_SIZE), 1 + i);
    }
    assert_int_equal(post(4, 9), HV_STATUS_SUCCESS);
    assert_int_equal(take_ring(), 7);
    assert_int_equal(take_ring(), 7); /* the queue had been empty */
}

/* ---- events and the ring ---- */

static void test_signal_faults(void **state)
{
    (void)state;
    deposit(4, 6);
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_INVALID_CONNECTION_ID);
    open_port(1, HV_PORT_EVENT, CONNECTION);
    assert_int_equal(signal_event(CONNECTION, 1), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(signal_event(CONNECTION | 1u << 24, 0), HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(signal_event(0, 0), HV_STATUS_INVALID_CONNECTION_ID);
}

/* The parent is told once until it asks again, through its slot 0, after what is in it. */
static void test_ring_tells(void **state)
{
    (void)state;
    deposit(4, 6);
    open_port(9, HV_PORT_EVENT, CONNECTION);
    host_guest_write32(MESSAGES, 1); /* the slot is busy */
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_int_equal(take_slot(), 1);
    struct hv_message message;
    host_guest_read(MESSAGES, &message, sizeof message);
    assert_int_equal(message.type, HV_MESSAGE_SINT_INTERCEPT);
    assert_int_equal(message.payload[0], PORT_SINT);
    assert_int_equal(take_slot(), HV_MESSAGE_SINT_INTERCEPT);
    assert_int_equal(take_slot(), HV_MESSAGE_NONE);
    assert_int_equal(take_ring(), 9);
    assert_int_equal(take_ring(), 9);
    assert_int_equal(take_ring(), 0);
    assert_true(ring_head().signal_masked);
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_int_equal(take_slot(), HV_MESSAGE_NONE);
    unmask_ring();
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_int_equal(take_slot(), HV_MESSAGE_SINT_INTERCEPT);
}

/* The parent may be told of a signal after others, unless it has other news already. */
static void test_ring_is_patient(void **state)
{
    (void)state;
    deposit(4, 6);
    open_port(9, HV_PORT_EVENT, CONNECTION);
    parent_vp->notified = 0;
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_true(parent_vp->sched.patient);
    parent_vp->sched.patient = false;
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS); /* of which nobody is told */
    assert_false(parent_vp->sched.patient);
    unmask_ring();
    parent_vp->notified = 1;
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_false(parent_vp->sched.patient);
}

/* A full ring, or none: the child makes its call again, and nothing is lost. */
static void test_full_ring(void **state)
{
    (void)state;
    deposit(4, 6);
    bool finished;
    open_port(16, HV_PORT_EVENT, CONNECTION);
    open_port(32, HV_PORT_MESSAGE, 64);
    for (unsigned i = 0; i < HV_EVENT_RING_ENTRIES; i++) {
        assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    }
    assert_false(ring_head().ring_full);
    dispatch(child_vp, HVCALL_SIGNAL_EVENT | FAST, CONNECTION, 0, &finished);
    assert_false(finished);
    assert_true(ring_head().ring_full);
    post_as(64, 1, 8, &finished);
    assert_false(finished);
    assert_int_equal(take_ring(), 16);
    post_as(64, 1, 8, &finished);
    assert_true(finished);
    for (unsigned i = 1; i < HV_EVENT_RING_ENTRIES; i++) {
        assert_int_equal(take_ring(), 16);
    }
    assert_int_equal(take_ring(), 32);
    assert_int_equal(take_ring(), 0);
    assert_int_equal(read_messages(32, 1), HV_STATUS_SUCCESS);
    assert_int_equal(read_messages(32, 1), HV_STATUS_NO_RESOURCES);
    assert_true(msr_write(parent_vp, HV_MSR_SIRBP, 0));
    dispatch(child_vp, HVCALL_SIGNAL_EVENT | FAST, CONNECTION, 0, &finished);
    assert_false(finished);
    assert_true(msr_write(parent_vp, HV_MSR_SIRBP, RINGS | 1)); /* begins at entry 0 again */
    ring_tail = 0;
    assert_int_equal(signal_event(CONNECTION, 0), HV_STATUS_SUCCESS);
    assert_int_equal(take_ring(), 16);
}

/* ---- doorbells ---- */

static void open_doorbell(uint32_t port_id, uint64_t gpa, uint64_t flags, uint64_t value)
{
    struct hv_input_connect_port input = connection_of(port_id, HV_PORT_DOORBELL, port_id);

    input.info.doorbell.gpa = gpa;
    input.info.doorbell.flags = flags;
    input.info.doorbell.trigger_value = value;
    assert_int_equal(create(port_id, HV_PORT_DOORBELL), HV_STATUS_SUCCESS);
    assert_int_equal(call(HVCALL_CONNECT_PORT, &input, sizeof input), HV_STATUS_SUCCESS);
}

static uint32_t rung(uint64_t gpa, unsigned size, uint64_t value)
{
    const enum port_result result = port_ring_doorbell(child_vp, gpa_make(gpa), size, value);

    assert_true(host_windows_closed());
    assert_int_not_equal(result, PORT_AGAIN);
    const uint32_t entry = take_ring();
    assert_int_equal(result == PORT_DONE, entry != 0);
    assert_int_equal(take_ring(), 0);
    return entry;
}

static void test_doorbells(void **state)
{
    (void)state;
    deposit(4, 6);
    assert_false(child->ports.has_doorbells);
    open_doorbell(16 * 1, DOORBELL_AT, HV_DOORBELL_SIZE_ANY | HV_DOORBELL_ANY_VALUE, 0);
    open_doorbell(16 * 2, DOORBELL_AT + 4, HV_DOORBELL_SIZE_2, 5);
    open_doorbell(16 * 3, DOORBELL_AT + 4, HV_DOORBELL_SIZE_2, 6);
    open_doorbell(16 * 4, DOORBELL_AT + 4, HV_DOORBELL_SIZE_4 | HV_DOORBELL_ANY_VALUE, 6);
    open_doorbell(16 * 5, DOORBELL_AT + 8, HV_DOORBELL_SIZE_8, UINT64_MAX);
    open_doorbell(16 * 6, DOORBELL_AT + 9, HV_DOORBELL_SIZE_1, 0);
    assert_true(child->ports.has_doorbells);
    for (unsigned size = 1; size <= 8; size *= 2) {
        assert_int_equal(rung(DOORBELL_AT, size, 77), 16);
        assert_int_equal(rung(DOORBELL_AT + 4, size, 5), size == 2 ? 32 : size == 4 ? 64 : 0);
        assert_int_equal(rung(DOORBELL_AT + 4, size, 6), size == 2 ? 48 : size == 4 ? 64 : 0);
        assert_int_equal(rung(DOORBELL_AT + 8, size, UINT64_MAX), size == 8 ? 80 : 0);
        assert_int_equal(rung(DOORBELL_AT + 9, size, 0), size == 1 ? 96 : 0);
        assert_int_equal(rung(DOORBELL_AT + 1, size, 0), 0);
        assert_int_equal(rung(DOORBELL_AT + (1ull << 32), size, 0), 0);
    }
    /* A doorbell's id is not a connection that one can signal. */
    assert_int_equal(signal_event(16, 0), HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(disconnect(16, 0), HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(disconnect(16, HV_DISCONNECT_DOORBELL), HV_STATUS_SUCCESS);
    assert_int_equal(rung(DOORBELL_AT, 4, 0), 0);
    assert_int_equal(delete_port(16), HV_STATUS_SUCCESS);
}

static void expect_store(const char *bytes, size_t count, bool is_64bit, unsigned length,
                         unsigned size, unsigned general)
{
    struct store store = {0};

    for (size_t cut = 0; cut < length; cut++) {
        assert_false(decode_store((const uint8_t *)bytes, cut, is_64bit, &store));
    }
    assert_true(decode_store((const uint8_t *)bytes, count, is_64bit, &store));
    assert_int_equal(store.length, length);
    assert_int_equal(store.size, size);
    assert_int_equal(store.general, general);
}

static void expect_no_store(const char *bytes, size_t count, bool is_64bit)
{
    struct store store;

    assert_false(decode_store((const uint8_t *)bytes, count, is_64bit, &store));
}

static void test_stores(void **state)
{
    (void)state;
    expect_store("\x89\x02\x90", 3, true, 2, 4, 0);                     /* mov [rdx], eax */
    expect_store("\x89\x02\x90", 3, false, 2, 4, 0);                    /* mov [edx], eax */
    expect_store("\x66\x89\x4a\x08", 4, true, 4, 2, 1);                 /* mov [rdx+8], cx */
    expect_store("\x88\x1f", 2, true, 2, 1, 3);                         /* mov [rdi], bl */
    expect_store("\x40\x88\x37", 3, true, 3, 1, 6);                     /* mov [rdi], sil */
    expect_store("\x4c\x89\x84\x8a\x01\x02\x03\x04", 8, true, 8, 8, 8); /* mov [rdx+rcx*4+..], r8 */
    expect_store("\x89\x05\x01\x02\x03\x04", 6, true, 6, 4, 0);         /* mov [rip+..], eax */
    expect_store("\x89\x04\x25\x01\x02\x03\x04", 7, true, 7, 4, 0);     /* mov [..], eax */
    expect_store("\x65\x67\x89\x10", 4, true, 4, 4, 2);                 /* mov gs:[eax], edx */
    expect_store("\x45\x89\x3c\x24", 4, true, 4, 4, 15);                /* mov [r12], r15d */
    expect_no_store("\x89\xc2", 2, true);                               /* mov edx, eax */
    expect_no_store("\x88\x27", 2, true);                               /* mov [rdi], ah */
    expect_no_store("\xf0\x89\x02", 3, true);                           /* no such thing */
    expect_no_store("\x48\x89\x02", 3, false);                          /* dec eax; mov */
    expect_no_store("\xc7\x02\x01\x02\x03\x04", 6, true);               /* mov [rdx], imm */
    expect_no_store("\x87\x02", 2, true);                               /* xchg */
    expect_no_store("\x66\x66\x66", 3, true);
}

/* ---- to the child ---- */

#define CHILD_SLOTS 0u /* the child's page is its message page */

static enum hv_status post_direct(uint32_t type)
{
    struct hv_input_post_message_direct input = {.partition_id = id, .sint = SINT};
    const struct hv_message message = {.type = type, .payload_size = 1};

    memcpy(input.message, &message, sizeof message);
    return call(HVCALL_POST_MESSAGE_DIRECT, &input, sizeof input);
}

static struct hv_message child_slot(void)
{
    struct hv_message message;

    host_guest_read((CHILD_PAGE << PAGE_SHIFT) + SINT * sizeof message, &message, sizeof message);
    return message;
}

static void child_frees_slot(void)
{
    host_guest_write32((CHILD_PAGE << PAGE_SHIFT) + SINT * HV_MESSAGE_SIZE, HV_MESSAGE_NONE);
}

static void test_queue_to_child(void **state)
{
    (void)state;
    assert_int_equal(post_direct(1), HV_STATUS_INVALID_SYNIC_STATE);
    assert_true(msr_write(child_vp, HV_MSR_SIMP, CHILD_SLOTS | 1));
    assert_true(msr_write(child_vp, HV_MSR_SCONTROL, 1));
    assert_int_equal(post_direct(HV_MESSAGE_NONE), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(post_direct(1), HV_STATUS_SUCCESS);
    assert_false(child_slot().flags & HV_MESSAGE_FLAG_PENDING);
    while (child->pool.free_pages > 0) {
        assert_int_equal(create((uint32_t)child->pool.free_pages, HV_PORT_EVENT),
                         HV_STATUS_SUCCESS);
    }
    assert_int_equal(post_direct(2), HV_STATUS_INSUFFICIENT_MEMORY);
    deposit(4, QUEUE_PAGES);
    for (unsigned i = 0; i < QUEUE_MESSAGES; i++) {
        assert_int_equal(post_direct(2 + i), HV_STATUS_SUCCESS);
    }
    assert_true(child_slot().flags & HV_MESSAGE_FLAG_PENDING);
    assert_int_equal(post_direct(1000), HV_STATUS_INSUFFICIENT_BUFFERS);
    host_guest_write32(MESSAGES, HV_MESSAGE_NONE);
    for (unsigned i = 0; i <= QUEUE_MESSAGES; i++) {
        assert_int_equal(child_slot().type, 1 + i);
        assert_int_equal(child_slot().reserved, 0);
        assert_int_equal(child_slot().flags & HV_MESSAGE_FLAG_PENDING, i < QUEUE_MESSAGES);
        /* The parent hears of room when half of the queue is free, once. */
        assert_int_equal(take_slot(),
                         i == QUEUE_MESSAGES / 2 ? HV_MESSAGE_SINT_DELIVERABLE : HV_MESSAGE_NONE);
        child_frees_slot();
        assert_true(msr_write(child_vp, HV_MSR_EOM, 0));
    }
    assert_int_equal(child_slot().type, HV_MESSAGE_NONE);
    /* What waits is gone with a reset. */
    assert_int_equal(post_direct(1), HV_STATUS_SUCCESS);
    assert_int_equal(post_direct(2), HV_STATUS_SUCCESS);
    synic_reset(child_vp);
    assert_int_equal(child_vp->synic.queue.count, 0);
    assert_true(child->pool.free_pages >= QUEUE_PAGES);
}

/* A finalized partition takes no port, and its own go with it: see teardown. */
static void test_end(void **state)
{
    (void)state;
    const struct hv_input_partition input = {id};

    deposit(4, 6);
    open_port(1, HV_PORT_MESSAGE, 4);
    assert_int_equal(post(4, 1), HV_STATUS_SUCCESS);
    assert_int_equal(call(HVCALL_FINALIZE_PARTITION, &input, sizeof input), HV_STATUS_SUCCESS);
    assert_int_equal(child->pool.used_pages, 0);
    assert_int_equal(create(2, HV_PORT_EVENT), HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(connect(1, HV_PORT_MESSAGE, 5), HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(delete_port(1), HV_STATUS_INVALID_PORT_ID);
    assert_int_equal(read_messages(1, 1), HV_STATUS_INVALID_PARTITION_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_the_childs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connect_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disconnect_and_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_empty_note, setup, teardown),
        cmocka_unit_test_setup_teardown(test_post_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signal_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_is_patient, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_doorbells, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue_to_child, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
    };

    return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
