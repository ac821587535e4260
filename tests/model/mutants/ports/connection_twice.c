/* SPDX-License-Identifier: MIT */
/* port_connect does not ask whether the connection id is in use. */
#include "hv/core/port.h"

#define port_connect port_connect_checked
enum hv_status port_connect(struct partition *child, struct hypercall *call);
#include "hv/core/port.c"
#undef port_connect

enum hv_status port_connect(struct partition *child, struct hypercall *call)
{
    const struct hv_input_connect_port *input = call->input;
    struct port *port = open_by_id(&child->ports, 0, input->port_id);
    if (port == NULL)
        return HV_STATUS_INVALID_PORT_ID;
    const bool fits = !port->connected && port->type == input->info.type;
    if (fits) {
        port->connected = true;
        port->connection_id = input->connection_id;
    }
    close_port(port);
    return fits ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}
