/* SPDX-License-Identifier: MIT */
/* port_disconnect leaves the connection. */
#include "hv/core/port.h"

#define port_disconnect port_disconnect_checked
enum hv_status port_disconnect(struct partition *child, struct hypercall *call);
#include "hv/core/port.c"
#undef port_disconnect

enum hv_status port_disconnect(struct partition *child, struct hypercall *call)
{
    const struct hv_input_disconnect_port *input = call->input;
    const uint32_t types = input->is_doorbell & HV_DISCONNECT_DOORBELL ? DOORBELLS : CONNECTIONS;
    return exists(&child->ports, types, input->connection_id) ? HV_STATUS_SUCCESS
                                                              : HV_STATUS_INVALID_CONNECTION_ID;
}
