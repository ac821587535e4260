/* SPDX-License-Identifier: MIT */
#include "hv/core/port.h"

#include "hv/abi/bulkhead.h"
#include "hv/arch.h"
#include "hv/core/event_ring.h"
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

struct port {
    uint32_t id; /* 0: the place is free */
    uint32_t connection_id;
    uint8_t type; /* enum hv_port_type */
    uint8_t sint;
    bool connected;
    union {
        struct message_queue queue;
        struct {
            uint64_t gpa, value, flags;
        } doorbell;
    };
};

#define PORTS_A_PAGE ((unsigned)(PAGE_SIZE / sizeof(struct port)))
#define TYPE(type)   (1u << (type))
#define CONNECTIONS  (TYPE(HV_PORT_MESSAGE) | TYPE(HV_PORT_EVENT))
#define DOORBELLS    TYPE(HV_PORT_DOORBELL)

/* A connection of one of these types, or, with none, a port; id 0 is a free place. */
struct wanted {
    uint32_t types;
    uint32_t id;
    unsigned size; /* not 0: instead of an id, the doorbell for this store */
    uint64_t gpa, value;
};

static bool is_rung(const struct port *port, const struct wanted *wanted)
{
    const uint64_t flags = port->doorbell.flags;
    const uint64_t size = flags & ~HV_DOORBELL_ANY_VALUE;
    return port->doorbell.gpa == wanted->gpa &&
           (size == HV_DOORBELL_SIZE_ANY || 1u << (size - HV_DOORBELL_SIZE_1) == wanted->size) &&
           ((flags & HV_DOORBELL_ANY_VALUE) || port->doorbell.value == wanted->value);
}

static bool matches(const struct port *port, const struct wanted *wanted)
{
    if (wanted->types == 0)
        return port->id == wanted->id;
    return port->connected && (wanted->types & TYPE(port->type)) &&
           (wanted->size != 0 ? is_rung(port, wanted) : port->connection_id == wanted->id);
}

/* ---- the table; under ports.lock ---- */

static void close_port(const struct port *port)
{
    arch_window_unmap((void *)ALIGN_DOWN((uintptr_t)port, PAGE_SIZE));
}

/* The entry in a window, until close_port; NULL: there is none. */
static struct port *open_port(const struct ports *table, const struct wanted *wanted)
{
    for (unsigned i = 0; i < PORT_PAGES && table->page[i].raw != 0; i++) {
        struct port *ports = arch_window_map(table->page[i]);
        for (unsigned at = 0; at < PORTS_A_PAGE; at++)
            if (matches(&ports[at], wanted))
                return &ports[at];
        arch_window_unmap(ports);
    }
    return NULL;
}

/* types: 0 for a port by its id. */
static struct port *open_by_id(const struct ports *table, uint32_t types, uint32_t id)
{
    return types == 0 && id == 0 ? NULL : open_port(table, &(struct wanted){types, id, 0, 0, 0});
}

static bool exists(const struct ports *table, uint32_t types, uint32_t id)
{
    const struct port *port = open_by_id(table, types, id);
    if (port != NULL)
        close_port(port);
    return port != NULL;
}

static struct port *open_free(struct partition *child, enum hv_status *status)
{
    struct ports *table = &child->ports;
    unsigned pages = 0;
    struct port *port = open_port(table, &(struct wanted){0});
    *status = HV_STATUS_NO_RESOURCES;
    while (pages < PORT_PAGES && table->page[pages].raw != 0)
        pages++;
    if (port != NULL || pages == PORT_PAGES)
        return port;
    *status = HV_STATUS_INSUFFICIENT_MEMORY;
    return pool_take(&child->pool, &table->page[pages]) ? arch_window_map(table->page[pages])
                                                        : NULL;
}

static void erase(struct partition *child, struct port *port)
{
    if (port->type == HV_PORT_MESSAGE)
        queue_release(&port->queue, &child->pool);
    *port = (struct port){0};
}

/* ---- the parent's calls ---- */

enum hv_status port_create(struct partition *child, struct hypercall *call)
{
    const struct hv_input_create_port *input = call->input;
    const struct hv_port_info *info = &input->info;
    struct port made = {
        .id = input->port_id, .type = (uint8_t)info->type, .sint = (uint8_t)info->message.sint};
    enum hv_status status;
    if (made.id == 0 || made.id > HV_PORT_ID_MASK || exists(&child->ports, 0, made.id))
        return HV_STATUS_INVALID_PORT_ID;
    struct port *port = open_free(child, &status);
    if (port == NULL)
        return status;
    const bool paid = made.type != HV_PORT_MESSAGE || queue_reserve(&made.queue, &child->pool);
    if (paid)
        *port = made;
    close_port(port);
    return paid ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_MEMORY;
}

enum hv_status port_connect(struct partition *child, struct hypercall *call)
{
    const struct hv_input_connect_port *input = call->input;
    const bool doorbell = input->info.type == HV_PORT_DOORBELL;
    if (input->connection_id > HV_PORT_ID_MASK ||
        exists(&child->ports, doorbell ? DOORBELLS : CONNECTIONS, input->connection_id))
        return HV_STATUS_INVALID_CONNECTION_ID;
    struct port *port = open_by_id(&child->ports, 0, input->port_id);
    if (port == NULL)
        return HV_STATUS_INVALID_PORT_ID;
    const bool fits = !port->connected && port->type == input->info.type;
    if (fits) {
        port->connected = true;
        port->connection_id = input->connection_id;
    }
    if (fits && doorbell) {
        memcpy(&port->doorbell, &input->info.doorbell, sizeof port->doorbell);
        child->ports.has_doorbells = true;
    }
    close_port(port);
    return fits ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

enum hv_status port_disconnect(struct partition *child, struct hypercall *call)
{
    const struct hv_input_disconnect_port *input = call->input;
    const uint32_t types = input->is_doorbell & HV_DISCONNECT_DOORBELL ? DOORBELLS : CONNECTIONS;
    struct port *port = open_by_id(&child->ports, types, input->connection_id);
    if (port == NULL)
        return HV_STATUS_INVALID_CONNECTION_ID;
    port->connected = false;
    close_port(port);
    return HV_STATUS_SUCCESS;
}

enum hv_status port_delete(struct partition *child, struct hypercall *call)
{
    const struct hv_input_delete_port *input = call->input;
    struct port *port = open_by_id(&child->ports, 0, input->port_id);
    if (port == NULL)
        return HV_STATUS_INVALID_PORT_ID;
    erase(child, port);
    close_port(port);
    return HV_STATUS_SUCCESS;
}

enum hv_status port_read(struct partition *child, struct hypercall *call)
{
    const struct bh_read_messages_input *input = call->input;
    struct hv_message *messages = call->output;
    struct port *port = open_by_id(&child->ports, 0, input->port_id);
    if (port == NULL)
        return HV_STATUS_INVALID_PORT_ID;
    bool more = port->type == HV_PORT_MESSAGE;
    while (more && hypercall_next(call)) {
        more = queue_peek(&port->queue, &messages[call->done]);
        if (more) {
            queue_drop(&port->queue);
            call->done++;
        }
    }
    close_port(port);
    return more ? HV_STATUS_SUCCESS : HV_STATUS_NO_RESOURCES;
}

bool port_release_all(struct partition *child)
{
    for (unsigned i = PORT_PAGES; i-- > 0;) {
        spa_t *page = &child->ports.page[i];
        if (page->raw == 0)
            continue;
        struct port *ports = arch_window_map(*page);
        for (unsigned at = 0; at < PORTS_A_PAGE; at++)
            erase(child, &ports[at]);
        arch_window_unmap(ports);
        pool_return(&child->pool, *page);
        *page = spa_make(0);
        return false;
    }
    return true;
}

/* ---- the child ---- */

/* Who has not read all messages yet need not be told of one more. */
static enum port_result act(struct vp *vp, struct port *port, const struct hv_message *message,
                            enum hv_status *status)
{
    if ((message == NULL || port->queue.count == 0) &&
        !event_ring_put(arch_parent_vp(vp), port->sint, port->id))
        return PORT_AGAIN;
    if (message != NULL)
        *status = queue_put(&port->queue, &vp->partition->pool, message);
    return PORT_DONE;
}

static enum port_result reach(struct vp *vp, const struct wanted *wanted,
                              const struct hv_message *message, enum hv_status *status)
{
    struct ports *table = &vp->partition->ports;
    enum port_result result = PORT_NONE;
    spinlock_acquire(&table->lock);
    struct port *port = open_port(table, wanted);
    if (port != NULL) {
        result = act(vp, port, message, status);
        close_port(port);
    }
    spinlock_release(&table->lock);
    return result;
}

enum port_result port_post(struct vp *vp, uint32_t connection_id, const struct hv_message *message,
                           enum hv_status *status)
{
    return reach(vp, &(struct wanted){.types = TYPE(HV_PORT_MESSAGE), .id = connection_id}, message,
                 status);
}

enum port_result port_signal(struct vp *vp, uint32_t connection_id)
{
    return reach(vp, &(struct wanted){.types = TYPE(HV_PORT_EVENT), .id = connection_id}, NULL,
                 NULL);
}

enum port_result port_ring_doorbell(struct vp *vp, gpa_t gpa, unsigned size, uint64_t value)
{
    const struct wanted wanted = {.types = DOORBELLS, .gpa = gpa.raw, .size = size, .value = value};
    return reach(vp, &wanted, NULL, NULL);
}
