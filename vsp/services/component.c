/* SPDX-License-Identifier: MIT */
#include "vsp/services/component.h"

#include <string.h>

#define HEADER ((uint32_t)sizeof(struct ic_header))

struct request {
    struct ic_header header;
    uint8_t body[BH_COMPONENT_BODY_MAX];
};

/* --- requests ----------------------------------------------------------------------------- */

static bool send_request(struct bh_component *component, struct request *request, uint16_t type,
                         uint32_t size)
{
    uint64_t transaction = component->transaction + 1;

    request->header = (struct ic_header){
        .pipe_flags = IC_PIPE_FLAG,
        .pipe_size = HEADER - 8 + size,
        .framework = {3, 0},
        .type = type,
        .message = component->version,
        .size = (uint16_t)size,
        .transaction = (uint8_t)transaction,
        .flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST,
    };
    if (!bh_vmbus_channel_send(component->channel, transaction, VMBUS_PACKET_WANTS_COMPLETION,
                               request, HEADER + size))
        return false; /* `ready` comes when there is room */
    component->transaction = transaction;
    component->waits = true;
    bh_vmbus_channel_flush(component->channel);
    return true;
}

/* Older guests know framework 1.0 only; both are offered. */
static void negotiate(struct bh_component *component, struct request *request)
{
    const struct bh_component_kind *kind = component->kind;
    uint32_t count = kind->version_count - component->first_version;
    struct ic_negotiate body = {
        .framework_count = 2, .message_count = (uint16_t)count, .version = {{3, 0}, {1, 0}}};

    memcpy(&body.version[2], kind->versions + component->first_version,
           count * sizeof(struct ic_version));
    memcpy(request->body, &body, sizeof(body));
    (void)send_request(component, request, IC_NEGOTIATE, sizeof(body));
}

void bh_component_pump(struct bh_component *component)
{
    const struct bh_component_kind *kind = component->kind;
    uint64_t now = component->clock();
    struct request request;

    if (bh_component_due(component) > now)
        return;
    memset(request.body, 0, sizeof(request.body));
    if (component->phase == BH_COMPONENT_NEGOTIATING) {
        negotiate(component, &request);
        return;
    }
    kind->ask(component, now, request.body);
    (void)send_request(component, &request, kind->type, kind->body_size);
}

uint64_t bh_component_due(const struct bh_component *component)
{
    if (component->waits || component->channel == NULL)
        return BH_COMPONENT_NEVER;
    if (component->phase == BH_COMPONENT_NEGOTIATING)
        return 0;
    return component->phase == BH_COMPONENT_READY ? component->kind->due(component)
                                                  : BH_COMPONENT_NEVER;
}

/* --- answers ------------------------------------------------------------------------------ */

static bool is_offered(const struct bh_component *component, struct ic_version version)
{
    for (uint32_t i = component->first_version; i < component->kind->version_count; i++)
        if (component->kind->versions[i].major == version.major &&
            component->kind->versions[i].minor == version.minor)
            return true;
    return false;
}

/* The guest has put what it chose first, one of each. */
static void agree(struct bh_component *component, const uint8_t *body, uint64_t now)
{
    struct ic_negotiate answer;

    memcpy(&answer, body, sizeof(answer));
    component->phase = BH_COMPONENT_REFUSED;
    if (answer.framework_count != 1 || answer.message_count != 1 ||
        !is_offered(component, answer.version[1])) {
        bh_vmbus_log(component->bus,
                     "The guest's %s service and this one have no version in common.",
                     component->kind->name);
        return;
    }
    component->version = answer.version[1];
    component->phase = BH_COMPONENT_READY;
    component->kind->changed(component, now, true);
}

static void serve_answer(struct bh_component *component, const struct bh_vmbus_packet *packet)
{
    uint16_t type =
        component->phase == BH_COMPONENT_NEGOTIATING ? IC_NEGOTIATE : component->kind->type;
    uint32_t size =
        type == IC_NEGOTIATE ? (uint32_t)sizeof(struct ic_negotiate) : component->kind->body_size;
    struct ic_header header;
    bool heeded;

    if (!component->waits || packet->type != VMBUS_PACKET_INBAND ||
        packet->transaction != component->transaction || packet->size < HEADER + size)
        return;
    memcpy(&header, packet->payload, sizeof(header));
    if ((header.flags & IC_FLAG_RESPONSE) == 0 || header.type != type)
        return;
    heeded = !component->stale || type == IC_NEGOTIATE || component->kind->answers_anybody;
    component->waits = false;
    component->stale = false;
    if (!heeded)
        return;
    if (type == IC_NEGOTIATE)
        agree(component, packet->payload + HEADER, component->clock());
    else
        component->kind->answered(component, component->clock(), header.status,
                                  packet->payload + HEADER);
}

/* --- the bus ------------------------------------------------------------------------------ */

static void on_ready(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_component *component = context;
    struct bh_vmbus_packet packet;

    while (bh_vmbus_channel_read(channel, &packet))
        serve_answer(component, &packet);
    bh_component_pump(component);
    component->moved(component->context);
}

static bool on_opened(void *context, struct bh_vmbus_channel *channel, const uint8_t user[120])
{
    struct bh_component *component = context;

    (void)user;
    component->channel = channel;
    component->phase = BH_COMPONENT_NEGOTIATING;
    component->waits = false;
    component->stale = false;
    component->version = (struct ic_version){0};
    return true;
}

static void on_closed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_component *component = context;

    (void)channel;
    component->channel = NULL;
    component->phase = BH_COMPONENT_CLOSED;
    component->waits = false;
    component->kind->changed(component, component->clock(), false);
    component->moved(component->context);
}

/* What the journal keeps: what was agreed on, and whether an answer is to come. */
struct saved {
    enum bh_component_phase phase;
    bool waits;
    uint64_t transaction;
    struct ic_version version;
};

static void save(void *context, void *state)
{
    const struct bh_component *component = context;
    struct saved *saved = state;

    saved->phase = component->phase;
    saved->waits = component->waits;
    saved->transaction = component->transaction;
    saved->version = component->version;
}

static bool on_resumed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_component *component = context;
    const struct saved *saved = bh_vmbus_device_saved(component->device);

    if (saved == NULL)
        return false;
    component->channel = channel;
    component->phase = saved->phase;
    component->waits = saved->waits;
    component->stale = saved->waits;
    component->transaction = saved->transaction;
    component->version = saved->version;
    component->moved(component->context);
    return true;
}

static const struct bh_vmbus_provider provider = {.opened = on_opened,
                                                  .closed = on_closed,
                                                  .ready = on_ready,
                                                  .save = save,
                                                  .resumed = on_resumed};

bool bh_component_start(struct bh_component *component, const char *vm)
{
    const struct bh_vmbus_identity identity = {component->kind->class,
                                               bh_vmbus_instance(vm, component->kind->name)};

    component->device = bh_vmbus_device_add(component->bus, &identity, &provider, component);
    return component->device != NULL;
}

void bh_component_stop(struct bh_component *component)
{
    if (component->device != NULL)
        bh_vmbus_device_remove(component->device);
    component->device = NULL;
}
