/* SPDX-License-Identifier: MIT */
/* Ports: made, connected and read by the parent; messages and events of children. */
#include "hv/abi/bulkhead.h"
#include "hv/abi/port.h"
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/port.h"
#include "hv/core/vp.h"

#define MESSAGE_TYPE_RESERVED 0x80000000u /* types from here on are the hypervisor's */

/* Every port reports through the event ring of the LP's own parent VP, its number alone. */
static bool is_offered(const struct hv_port_info *info)
{
    switch (info->type) {
    case HV_PORT_EVENT:
        if (info->event.base_flag != 0 || info->event.flag_count != 1)
            return false;
        break;
    case HV_PORT_MESSAGE:
    case HV_PORT_DOORBELL:
        break;
    default:
        return false;
    }
    return info->message.sint < HV_SINT_COUNT && info->message.vp == HV_ANY_VP;
}

/* The port's partition is the caller, the only one that may call. */
static bool is_parents(const struct hypercall *call, uint64_t port_partition)
{
    return port_partition == HV_PARTITION_ID_SELF || port_partition == call->vp->partition->id;
}

/* Calls `act` under the lock of the child's ports. */
static enum hv_status with_ports(struct hypercall *call, uint64_t id,
                                 enum hv_status (*act)(struct partition *, struct hypercall *))
{
    enum hv_status status;
    struct partition *child = hypercall_acquire(call, id, &status);
    if (child == NULL)
        return status;
    spinlock_acquire(&child->ports.lock);
    if (partition_is_parent(child))
        status = HV_STATUS_INVALID_PARTITION_ID;
    else if (child->state == PARTITION_FINALIZED)
        status = HV_STATUS_INVALID_PARTITION_STATE;
    else
        status = act(child, call);
    spinlock_release(&child->ports.lock);
    partition_release(child);
    return status;
}

enum hv_status hypercall_create_port(struct hypercall *call)
{
    const struct hv_input_create_port *input = call->input;
    if (!is_parents(call, input->port_partition))
        return HV_STATUS_INVALID_PARTITION_ID;
    if (!is_offered(&input->info) || input->port_vtl != 0 || input->min_connection_vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    return with_ports(call, input->connection_partition, port_create);
}

enum hv_status hypercall_connect_port(struct hypercall *call)
{
    const struct hv_input_connect_port *input = call->input;
    if (!is_parents(call, input->port_partition))
        return HV_STATUS_INVALID_PARTITION_ID;
    if (input->connection_vtl != 0 ||
        (input->info.type == HV_PORT_DOORBELL &&
         (input->info.doorbell.flags & ~HV_DOORBELL_ANY_VALUE) > HV_DOORBELL_SIZE_8))
        return HV_STATUS_INVALID_PARAMETER;
    return with_ports(call, input->connection_partition, port_connect);
}

enum hv_status hypercall_disconnect_port(struct hypercall *call)
{
    const struct hv_input_disconnect_port *input = call->input;
    return with_ports(call, input->connection_partition, port_disconnect);
}

/* The call does not say whose port it is: the child whose port went last is asked first. */
enum hv_status hypercall_delete_port(struct hypercall *call)
{
    static uint32_t last;
    const struct hv_input_delete_port *input = call->input;
    const uint32_t first = __atomic_load_n(&last, __ATOMIC_RELAXED);
    if (!is_parents(call, input->port_partition))
        return HV_STATUS_INVALID_PARTITION_ID;
    for (uint32_t i = 0; i < PARTITION_MAX; i++) {
        const uint32_t id = (first + i) % PARTITION_MAX;
        const enum hv_status status = with_ports(call, id, port_delete);
        if (status == HV_STATUS_SUCCESS) {
            __atomic_store_n(&last, id, __ATOMIC_RELAXED);
            return status; /* or the child is busy and the call is made again */
        }
    }
    return HV_STATUS_INVALID_PORT_ID;
}

/* Nothing waits for the ring but VPs that try again by themselves. */
enum hv_status hypercall_notify_port_ring_empty(struct hypercall *call)
{
    const uint32_t *sint = call->input;
    return *sint < HV_SINT_COUNT ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

enum hv_status hypercall_read_messages(struct hypercall *call)
{
    const struct bh_read_messages_input *input = call->input;
    return with_ports(call, input->partition_id, port_read);
}

/* ---- calls of children ---- */

static enum hv_status finish(struct hypercall *call, enum port_result result, enum hv_status status)
{
    call->again = result == PORT_AGAIN;
    return result == PORT_NONE ? HV_STATUS_INVALID_CONNECTION_ID : status;
}

enum hv_status hypercall_post_message(struct hypercall *call)
{
    const struct hv_input_post_message *input = call->input;
    enum hv_status status = HV_STATUS_SUCCESS;
    struct hv_message message = {.type = input->message_type,
                                 .payload_size = (uint8_t)input->payload_size,
                                 .sender = call->vp->partition->id};
    if (input->message_type == HV_MESSAGE_NONE || input->message_type >= MESSAGE_TYPE_RESERVED ||
        input->payload_size > HV_MESSAGE_PAYLOAD_SIZE)
        return HV_STATUS_INVALID_PARAMETER;
    memcpy(message.payload, input->payload, input->payload_size);
    const enum port_result result = port_post(call->vp, input->connection_id, &message, &status);
    return finish(call, result, status);
}

enum hv_status hypercall_signal_event(struct hypercall *call)
{
    const struct hv_input_signal_event *input = call->input;
    if (input->flag_number != 0)
        return HV_STATUS_INVALID_PARAMETER;
    return finish(call, port_signal(call->vp, input->connection_id), HV_STATUS_SUCCESS);
}
