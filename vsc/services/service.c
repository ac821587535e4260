/* SPDX-License-Identifier: MIT */
/* What all services share: negotiation, requests, answers. */
#include <string.h>

#include "vsc/services/services.h"

#define HEADER ((uint32_t)sizeof(struct ic_header))

static const struct ic_version frameworks[] = {{3, 0}, {1, 0}};

/* --- negotiation -------------------------------------------------------------------------- */

/* The first of `ours` that is among `theirs`. */
static bool choose(const struct ic_version *ours, uint32_t our_count,
                   const struct ic_version *theirs, uint32_t their_count, struct ic_version *chosen)
{
    for (uint32_t i = 0; i < our_count; i++)
        for (uint32_t j = 0; j < their_count; j++)
            if (ours[i].major == theirs[j].major && ours[i].minor == theirs[j].minor) {
                *chosen = ours[i];
                return true;
            }
    return false;
}

/* The answer has one version of each sort, or none. */
static void negotiate(struct vsc_service *service, uint8_t *body)
{
    const struct vsc_service_kind *kind = service->kind;
    struct ic_version framework;
    struct ic_negotiate message;

    memcpy(&message, body, sizeof(message));
    if (message.framework_count + message.message_count <= IC_VERSIONS_MAX &&
        choose(frameworks, 2, message.version, message.framework_count, &framework) &&
        choose(kind->versions, kind->version_count, message.version + message.framework_count,
               message.message_count, &service->version)) {
        message.framework_count = 1;
        message.message_count = 1;
        message.version[0] = framework;
        message.version[1] = service->version;
    } else {
        message.framework_count = 0;
        message.message_count = 0;
    }
    memcpy(body, &message, sizeof(message));
}

/* --- requests ----------------------------------------------------------------------------- */

static uint32_t serve(struct vsc_service *service, uint16_t type, uint8_t *body, uint32_t size)
{
    if (type == IC_NEGOTIATE && size >= sizeof(struct ic_negotiate)) {
        negotiate(service, body);
        return IC_STATUS_OK;
    }
    if (type != service->kind->type || size < service->kind->body_size)
        return IC_STATUS_FAIL;
    service->requests++;
    return service->kind->serve(service, body, size);
}

static void answer(struct vsc_service *service, const struct vsc_packet *packet)
{
    uint8_t *request = service->buffer + (packet->payload - service->buffer);
    struct ic_header header;
    struct vsc_message message = {.transaction = packet->descriptor.transaction,
                                  .type = VMBUS_PACKET_INBAND,
                                  .payload = request,
                                  .size = packet->payload_size};

    if (packet->payload_size < HEADER)
        return;
    memcpy(&header, request, sizeof(header));
    header.status = serve(service, header.type, request + HEADER, packet->payload_size - HEADER);
    header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
    memcpy(request, &header, sizeof(header));
    (void)vsc_channel_send(&service->channel, &message);
}

static void on_ready(void *context, struct vsc_channel *channel)
{
    struct vsc_service *service = context;
    struct vsc_packet packet;

    while (vsc_channel_read(channel, service->buffer, sizeof(service->buffer), &packet))
        if (packet.descriptor.type == VMBUS_PACKET_INBAND)
            answer(service, &packet);
}

/* --- life --------------------------------------------------------------------------------- */

bool vsc_service_open(struct vsc_service *service, const struct vsc_service_kind *kind, void *state,
                      struct vsc_bus *bus, void *memory)
{
    uint32_t relid = vsc_bus_find(bus, &kind->class, 0, 0);

    memset(service, 0, sizeof(*service));
    service->kind = kind;
    service->state = state;
    service->channel.ready = on_ready;
    service->channel.context = service;
    return relid != 0 && vsc_channel_open(&service->channel, bus, relid, memory, VSC_SERVICE_PAGES);
}

bool vsc_service_close(struct vsc_service *service)
{
    return vsc_channel_close(&service->channel);
}
