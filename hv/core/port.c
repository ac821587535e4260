/* SPDX-License-Identifier: MIT */
#include "hv/core/port.h"

#include "hv/arch.h"
#include "hv/core/event_ring.h"
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

static uint32_t doorbell_key(uint64_t gpa)
{
    return (uint32_t)(gpa >> 2 ^ gpa >> 12);
}

static void close_port(const struct port *port)
{
    arch_window_unmap((void *)ALIGN_DOWN((uintptr_t)port, PAGE_SIZE));
}

/* The entry in a window, until close_port; NULL: there is none. */
static struct port *open_in(spa_t page, uint32_t first, const struct wanted *wanted)
{
    if (page.raw == 0)
        return NULL;
    struct port *ports = arch_window_map(page);
    for (unsigned i = 0, at = first % PORTS_A_PAGE; i < PORTS_A_PAGE; i++) {
        if (matches(&ports[at], wanted))
            return &ports[at];
        at = at + 1 < PORTS_A_PAGE ? at + 1 : 0;
    }
    arch_window_unmap(ports);
    return NULL;
}

static struct port *open_by_key(const struct ports *ports, uint32_t key,
                                const struct wanted *wanted)
{
    return open_in(ports->page[key % PORT_PAGES], key / PORT_PAGES, wanted);
}

static struct port *open_any(const struct ports *ports, uint32_t types, uint32_t id)
{
    const struct wanted wanted = {.types = types, .id = id};
    struct port *port = NULL;
    for (unsigned i = 0; i < PORT_PAGES && port == NULL && (types | id) != 0; i++)
        port = open_in(ports->page[i], 0, &wanted);
    return port;
}

static bool exists(const struct ports *ports, uint32_t types, uint32_t id)
{
    const struct port *port = open_any(ports, types, id);
    if (port != NULL)
        close_port(port);
    return port != NULL;
}

/* A free place for a key. */
static struct port *open_free(struct partition *child, uint32_t key, enum hv_status *status)
{
    const struct wanted nobody = {0};
    spa_t *page = &child->ports.page[key % PORT_PAGES];
    *status = HV_STATUS_INSUFFICIENT_MEMORY;
    if (page->raw == 0 && !pool_take(&child->pool, page))
        return NULL;
    struct port *port = open_by_key(&child->ports, key, &nobody);
    *status = port != NULL ? HV_STATUS_SUCCESS : HV_STATUS_NO_RESOURCES;
    return port;
}

static void erase(struct partition *child, struct port *port)
{
    if (port->type == HV_PORT_MESSAGE)
        queue_release(&port->queue, &child->pool);
    *port = (struct port){0};
}

/* ---- the parent's calls ---- */

enum hv_status port_create(struct partition *child, uint32_t id, const struct hv_port_info *info)
{
    struct port made = {.id = id, .type = (uint8_t)info->type, .sint = (uint8_t)info->message.sint};
    enum hv_status status;
    if (id == 0 || id > HV_PORT_ID_MASK || exists(&child->ports, 0, id))
        return HV_STATUS_INVALID_PORT_ID;
    struct port *port = open_free(child, id, &status);
    if (port == NULL)
        return status;
    if (made.type != HV_PORT_MESSAGE || queue_reserve(&made.queue, &child->pool))
        *port = made;
    else
        status = HV_STATUS_INSUFFICIENT_MEMORY;
    close_port(port);
    return status;
}

static enum hv_status check_connection(const struct ports *ports, uint32_t id,
                                       const struct port *made, struct port *from)
{
    const uint32_t types = made->type == HV_PORT_DOORBELL ? DOORBELLS : CONNECTIONS;
    const struct port *port = open_any(ports, 0, id);
    if (port == NULL)
        return HV_STATUS_INVALID_PORT_ID;
    *from = *port;
    close_port(port);
    if (from->connected || from->type != made->type)
        return HV_STATUS_INVALID_PARAMETER;
    if (made->connection_id > HV_PORT_ID_MASK || exists(ports, types, made->connection_id))
        return HV_STATUS_INVALID_CONNECTION_ID;
    return HV_STATUS_SUCCESS;
}

/* The port moves to where its key is looked for. */
enum hv_status port_connect(struct partition *child, uint32_t id, uint32_t connection_id,
                            const struct hv_connection_info *info)
{
    const bool doorbell = info->type == HV_PORT_DOORBELL;
    struct port made = {.connection_id = connection_id, .type = (uint8_t)info->type}, from;
    enum hv_status status = check_connection(&child->ports, id, &made, &from);
    if (status != HV_STATUS_SUCCESS)
        return status;
    struct port *to =
        open_free(child, doorbell ? doorbell_key(info->doorbell.gpa) : connection_id, &status);
    if (to == NULL)
        return status;
    from.connected = true;
    from.connection_id = connection_id;
    if (doorbell) {
        memcpy(&from.doorbell, &info->doorbell, sizeof from.doorbell);
        child->ports.has_doorbells = true;
    }
    struct port *old = open_any(&child->ports, 0, id);
    *old = (struct port){0};
    close_port(old);
    *to = from;
    close_port(to);
    return HV_STATUS_SUCCESS;
}

enum hv_status port_disconnect(struct partition *child, uint32_t connection_id, bool doorbell)
{
    struct port *port = open_any(&child->ports, doorbell ? DOORBELLS : CONNECTIONS, connection_id);
    if (port == NULL)
        return HV_STATUS_INVALID_CONNECTION_ID;
    port->connected = false;
    close_port(port);
    return HV_STATUS_SUCCESS;
}

enum hv_status port_delete(struct partition *child, uint32_t id)
{
    struct port *port = open_any(&child->ports, 0, id);
    if (port == NULL)
        return HV_STATUS_INVALID_PORT_ID;
    erase(child, port);
    close_port(port);
    return HV_STATUS_SUCCESS;
}

enum hv_status port_read(struct partition *child, uint32_t id, struct hv_message *message)
{
    struct port *port = open_any(&child->ports, 0, id);
    if (port == NULL)
        return HV_STATUS_INVALID_PORT_ID;
    const bool found = port->type == HV_PORT_MESSAGE && queue_peek(&port->queue, message);
    if (found)
        queue_drop(&port->queue);
    close_port(port);
    return found ? HV_STATUS_SUCCESS : HV_STATUS_NO_RESOURCES;
}

bool port_release_all(struct partition *child)
{
    for (unsigned i = 0; i < PORT_PAGES; i++) {
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

static enum port_result reach(struct vp *vp, uint32_t key, const struct wanted *wanted,
                              const struct hv_message *message, enum hv_status *status)
{
    struct ports *ports = &vp->partition->ports;
    enum port_result result = PORT_NONE;
    spinlock_acquire(&ports->lock);
    struct port *port = open_by_key(ports, key, wanted);
    if (port != NULL) {
        result = act(vp, port, message, status);
        close_port(port);
    }
    spinlock_release(&ports->lock);
    return result;
}

enum port_result port_post(struct vp *vp, uint32_t connection_id, const struct hv_message *message,
                           enum hv_status *status)
{
    const struct wanted wanted = {.types = TYPE(HV_PORT_MESSAGE), .id = connection_id};
    return reach(vp, connection_id, &wanted, message, status);
}

enum port_result port_signal(struct vp *vp, uint32_t connection_id)
{
    const struct wanted wanted = {.types = TYPE(HV_PORT_EVENT), .id = connection_id};
    return reach(vp, connection_id, &wanted, NULL, NULL);
}

enum port_result port_ring_doorbell(struct vp *vp, gpa_t gpa, unsigned size, uint64_t value)
{
    const struct wanted wanted = {.types = DOORBELLS, .gpa = gpa.raw, .size = size, .value = value};
    return reach(vp, doorbell_key(gpa.raw), &wanted, NULL, NULL);
}
