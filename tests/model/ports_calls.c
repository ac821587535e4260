/* SPDX-License-Identifier: MIT */
#include "tests/model/ports.h"

#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/intercept.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"

/* ---- who and where ---- */

uint32_t port_id(unsigned port)
{
    return port + 1;
}

uint64_t child_id(unsigned child)
{
    return MACHINE_FIRST_CHILD + child;
}

uint64_t child_page(unsigned child)
{
    return (CHILD_FRAME + child) * PAGE_SIZE;
}

uint64_t pool_of(unsigned child)
{
    const unsigned first = POOL_FRAME + (child == 0 ? 0 : model->pages[0]);

    return ((1ull << model->pages[child]) - 1) << first;
}

struct vp *child_vp(unsigned child)
{
    const struct partition *partition = machine_child((partition_id_t)child_id(child));

    return partition != NULL ? partition->vp[0] : NULL;
}

/* The oldest of `count` messages, of which the next will be `next`. */
uint8_t oldest(uint8_t count, uint8_t next)
{
    return (uint8_t)((next - count) & (NUMBERS - 1));
}

static bool is_doorbell(unsigned port)
{
    return model->port[port].type == HV_PORT_DOORBELL;
}

/* The port that the child reaches by the connection of this one; PORTS: none. Doorbells have
 * connection ids of their own. */
unsigned reached(unsigned port)
{
    unsigned i = 0;

    while (i < PORTS &&
           !(now.port[i].connected && model->port[i].child == model->port[port].child &&
             model->port[i].connection == model->port[port].connection &&
             is_doorbell(i) == is_doorbell(port))) {
        i++;
    }
    return i;
}

bool told_of_room(unsigned number)
{
    struct hv_message slot;

    host_guest_read(MESSAGES, &slot, sizeof slot);
    return slot.type == HV_MESSAGE_SINT_DELIVERABLE && slot.sender == child_id(number);
}

/* ---- calls ---- */

bool granted(struct machine_answer answer)
{
    return answer.finished && answer.status == HV_STATUS_SUCCESS;
}

static struct machine_answer call(uint64_t control, const void *input, size_t size)
{
    return machine_call(&host.vp[0], control, input, size);
}

struct machine_answer call_create(uint64_t id, uint32_t port, uint32_t type)
{
    struct hv_input_create_port input = {.port_partition = HV_PARTITION_ID_SELF,
                                         .port_id = port,
                                         .connection_partition = id,
                                         .info = {.type = type}};

    input.info.message.sint = PORT_SINT;
    input.info.message.vp = HV_ANY_VP;
    input.info.event.flag_count = type == HV_PORT_EVENT;
    return call(HVCALL_CREATE_PORT, &input, sizeof input);
}

struct machine_answer call_connect(uint64_t id, uint32_t port, uint32_t type, uint32_t connection)
{
    const struct hv_input_connect_port input = {
        .connection_partition = id,
        .connection_id = connection,
        .port_partition = HV_PARTITION_ID_SELF,
        .port_id = port,
        .info = {.type = type,
                 .doorbell = {DOORBELL_AT, 0, HV_DOORBELL_SIZE_4 | HV_DOORBELL_ANY_VALUE}}};

    return call(HVCALL_CONNECT_PORT, &input, sizeof input);
}

struct machine_answer call_disconnect(uint64_t id, uint32_t type, uint32_t connection)
{
    const uint64_t kind = type == HV_PORT_DOORBELL ? HV_DISCONNECT_DOORBELL : 0;

    return machine_call_fast(&host.vp[0], HVCALL_DISCONNECT_PORT | HV_CONTROL_FAST, id,
                             connection | kind << 32);
}

struct machine_answer call_delete(uint32_t port)
{
    return machine_call_fast(&host.vp[0], HVCALL_DELETE_PORT | HV_CONTROL_FAST,
                             HV_PARTITION_ID_SELF, port);
}

struct machine_answer call_read(uint64_t id, uint32_t port, uint32_t most)
{
    const struct bh_read_messages_input input = {id, port, 0};

    return call(BH_CALL_READ_MESSAGES | (uint64_t)most << HV_CONTROL_REP_COUNT_SHIFT, &input,
                sizeof input);
}

struct machine_answer call_post(unsigned child, uint32_t connection, uint32_t type, uint32_t size,
                                uint8_t number)
{
    struct hv_input_post_message input = {
        .connection_id = connection, .message_type = type, .payload_size = size};

    input.payload[0] = (uint8_t)child;
    input.payload[1] = number;
    host_guest_write(child_page(child) + CALL_AT, &input, sizeof input);
    const struct machine_answer answer =
        machine_call_fast(child_vp(child), HVCALL_POST_MESSAGE, CALL_AT, 0);

    memset(&input, 0, sizeof input);
    host_guest_write(child_page(child) + CALL_AT, &input, sizeof input);
    return answer;
}

struct machine_answer call_signal(unsigned child, uint32_t connection)
{
    return machine_call_fast(child_vp(child), HVCALL_SIGNAL_EVENT | HV_CONTROL_FAST, connection, 0);
}

struct machine_answer call_store(unsigned child, uint64_t gpa, unsigned size)
{
    const enum port_result result = port_ring_doorbell(child_vp(child), gpa_make(gpa), size, 1);

    return (struct machine_answer){.finished = result != PORT_AGAIN,
                                   .status = result == PORT_NONE ? HV_STATUS_INVALID_CONNECTION_ID
                                                                 : HV_STATUS_SUCCESS};
}

struct machine_answer call_post_direct(uint64_t id, uint32_t vp, uint32_t sint,
                                       const struct hv_message *message)
{
    struct hv_input_post_message_direct input = {.partition_id = id, .vp_index = vp, .sint = sint};

    memcpy(input.message, message, sizeof input.message);
    return call(HVCALL_POST_MESSAGE_DIRECT, &input, sizeof input);
}

struct machine_answer call_flag(uint64_t id, uint8_t sint, uint16_t flag)
{
    const struct hv_input_signal_event_direct input = {
        .partition_id = id, .sint = sint, .flag_number = flag};

    return call(HVCALL_SIGNAL_EVENT_DIRECT, &input, sizeof input);
}

struct machine_answer call_send(unsigned port)
{
    const struct port_kind *kind = &model->port[port];

    if (kind->type == HV_PORT_MESSAGE) {
        return call_post(kind->child, kind->connection, 1, 2, now.port[port].next);
    }
    return kind->type == HV_PORT_EVENT ? call_signal(kind->child, kind->connection)
                                       : call_store(kind->child, DOORBELL_AT, 4);
}

/* ---- the children's life ---- */

static void must(struct machine_answer answer)
{
    machine_require(granted(answer), "a child can not be made");
}

void make_child(unsigned child)
{
    const struct hv_input_create_partition create = {.flags = HV_CREATE_LAPIC | HV_CREATE_X2APIC};
    const uint64_t id = child_id(child);
    const uint64_t map[] = {id, 0, HV_MAP_READABLE | HV_MAP_WRITABLE, CHILD_FRAME + child};
    const struct hv_input_create_vp vp = {.partition_id = id};

    must(call(HVCALL_CREATE_PARTITION, &create, sizeof create));
    machine_require(machine_output() == id, "a child gets another identifier");
    for (uint64_t left = pool_of(child); left != 0; left &= left - 1) {
        const uint64_t deposit[] = {id, (uint64_t)__builtin_ctzll(left)};

        must(call(HVCALL_DEPOSIT_MEMORY | 1ull << 32, deposit, sizeof deposit));
    }
    must(call(HVCALL_INITIALIZE_PARTITION, &id, sizeof id));
    must(call(HVCALL_MAP_GPA_PAGES | 1ull << 32, map, sizeof map));
    must(call(HVCALL_CREATE_VP, &vp, sizeof vp));
    host_page_fill(spa_make(child_page(child)), 0);
    machine_require(msr_write(child_vp(child), HV_MSR_SIMP, 1) &&
                        msr_write(child_vp(child), HV_MSR_SIEFP, 1) &&
                        msr_write(child_vp(child), HV_MSR_SINT0 + EVENT_SINT, 0x50) &&
                        msr_write(child_vp(child), HV_MSR_SCONTROL, 1),
                    "a child's pages can not be placed");
    now.child[child] = (struct child){.alive = 1, .room_owed = now.child[child].room_owed};
}

void delete_child(unsigned child)
{
    const struct hv_input_withdraw_memory withdraw = {.partition_id = child_id(child)};
    const uint64_t id = child_id(child);
    const struct machine_answer answer =
        call(HVCALL_WITHDRAW_MEMORY | (uint64_t)HOST_GUEST_PAGES << 32, &withdraw, sizeof withdraw);

    machine_require(answer.done == model->pages[child], "a page of a dead child is lost");
    machine_require(granted(call(HVCALL_DELETE_PARTITION, &id, sizeof id)),
                    "a dead child can not be deleted");
}
