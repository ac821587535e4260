/* SPDX-License-Identifier: MIT */
/* The connection: requests and their answers, version, offers, unload. */
#include "vsc/bus/bus.h"

#include <string.h>

#include "vsc/bus/channel.h"

#define FIRST_GPADL 0xe1e10u

static const uint32_t versions[] = {VMBUS_VERSION_5_3, VMBUS_VERSION_5_2, VMBUS_VERSION_5_1,
                                    VMBUS_VERSION_5_0, VMBUS_VERSION_4_1, VMBUS_VERSION_4_0};

void vsc_bus_begin(struct vsc_bus *bus, const struct vsc_platform *platform, uint32_t target_vp)
{
    memset(bus, 0, sizeof(*bus));
    bus->platform = platform;
    bus->target_vp = target_vp;
    bus->next_gpadl = FIRST_GPADL;
}

/* --- waiting ------------------------------------------------------------------------------ */

static uint64_t now(const struct vsc_bus *bus)
{
    return bus->platform->clock(bus->platform->context);
}

uint64_t vsc_bus_deadline(const struct vsc_bus *bus, uint64_t from_now)
{
    return now(bus) + from_now;
}

bool vsc_bus_wait(struct vsc_bus *bus, uint64_t deadline)
{
    bus->platform->serve(bus->platform->context, true);
    return now(bus) < deadline;
}

bool vsc_bus_post(struct vsc_bus *bus, const void *payload, size_t size)
{
    const struct vsc_platform *platform = bus->platform;
    uint64_t deadline = vsc_bus_deadline(bus, VSC_PATIENCE);

    while (!platform->post(platform->context, bus->connection, payload, size)) {
        platform->serve(platform->context, false);
        if (now(bus) >= deadline)
            return false;
    }
    return true;
}

static bool await(struct vsc_bus *bus)
{
    uint64_t deadline = vsc_bus_deadline(bus, VSC_PATIENCE);

    while (bus->awaited != 0)
        if (!vsc_bus_wait(bus, deadline) && bus->awaited != 0)
            break;
    return bus->awaited == 0;
}

bool vsc_bus_ask(struct vsc_bus *bus, const void *payload, size_t size, uint32_t type, uint32_t key)
{
    bool answered;

    bus->awaited = type;
    bus->key = key;
    answered = vsc_bus_post(bus, payload, size) && await(bus);
    bus->awaited = 0;
    return answered;
}

/* --- what comes --------------------------------------------------------------------------- */

static uint32_t word_at(const void *payload, size_t size, size_t offset)
{
    uint32_t word = 0;

    if (offset + sizeof(word) <= size)
        memcpy(&word, (const uint8_t *)payload + offset, sizeof(word));
    return word;
}

/* What an answer is about, and how it ended: offsets in its message; 0: it says nothing of that. */
struct answer_shape {
    uint32_t type;
    uint8_t key;
    uint8_t status;
};

static const struct answer_shape shapes[] = {
    {VMBUS_ALL_OFFERS_DELIVERED, 0, 0},
    {VMBUS_OPEN_RESULT, offsetof(struct vmbus_open_result, relid),
     offsetof(struct vmbus_open_result, status)},
    {VMBUS_GPADL_CREATED, offsetof(struct vmbus_gpadl_created, gpadl),
     offsetof(struct vmbus_gpadl_created, status)},
    {VMBUS_GPADL_TORN_DOWN, offsetof(struct vmbus_gpadl_torn_down, gpadl), 0},
    {VMBUS_VERSION_RESPONSE, 0, 0},
    {VMBUS_UNLOAD_RESPONSE, 0, 0},
    {VMBUS_MODIFY_RESPONSE, offsetof(struct vmbus_modify_response, relid),
     offsetof(struct vmbus_modify_response, status)},
};

static void take_answer(struct vsc_bus *bus, uint32_t type, const void *payload, size_t size)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const struct answer_shape *shape = &shapes[i];

        if (shape->type != type || bus->awaited != type ||
            (shape->key != 0 && word_at(payload, size, shape->key) != bus->key))
            continue;
        bus->status = shape->status != 0 ? word_at(payload, size, shape->status) : 0;
        memcpy(bus->answer.bytes, payload, size);
        bus->awaited = 0;
    }
}

static void take_offer(struct vsc_bus *bus, const void *payload)
{
    struct vmbus_offer offer;

    memcpy(&offer, payload, sizeof(offer));
    if (offer.relid == 0 || offer.relid >= VSC_RELIDS)
        return;
    bus->slot[offer.relid] = (struct vsc_slot){.offered = true, .offer = offer};
}

static void take_rescind(struct vsc_bus *bus, uint32_t relid)
{
    if (relid == 0 || relid >= VSC_RELIDS || !bus->slot[relid].offered)
        return;
    bus->slot[relid].rescinded = true;
    if (bus->slot[relid].channel != NULL)
        vsc_channel_lost(bus->slot[relid].channel);
}

void vsc_bus_message(struct vsc_bus *bus, const void *payload, size_t size)
{
    uint32_t type = word_at(payload, size, 0);

    if (size < sizeof(struct vmbus_header) || size > VMBUS_MESSAGE_SIZE_MAX)
        return;
    if (type == VMBUS_OFFER_CHANNEL && size >= sizeof(struct vmbus_offer))
        take_offer(bus, payload);
    else if (type == VMBUS_RESCIND_OFFER)
        take_rescind(bus, word_at(payload, size, offsetof(struct vmbus_relid_message, relid)));
    else
        take_answer(bus, type, payload, size);
}

void vsc_bus_event(struct vsc_bus *bus, uint32_t relid)
{
    if (relid < VSC_RELIDS && bus->slot[relid].channel != NULL)
        vsc_channel_serve(bus->slot[relid].channel);
}

/* --- requests ----------------------------------------------------------------------------- */

static void forget(struct vsc_bus *bus)
{
    for (uint32_t i = 0; i < VSC_RELIDS; i++) {
        if (bus->slot[i].channel != NULL)
            vsc_channel_lost(bus->slot[i].channel);
        bus->slot[i] = (struct vsc_slot){0};
    }
    bus->version = 0;
}

bool vsc_bus_contact(struct vsc_bus *bus, uint32_t version)
{
    const struct vmbus_initiate_contact request = {.header = {.type = VMBUS_INITIATE_CONTACT},
                                                   .version = version,
                                                   .target_vp = bus->target_vp,
                                                   .interrupt_page = VMBUS_SINT};

    forget(bus);
    bus->connection = version >= VMBUS_VERSION_5_0 ? VMBUS_CONNECTION : VMBUS_CONNECTION_OLD;
    if (!vsc_bus_ask(bus, &request, sizeof(request), VMBUS_VERSION_RESPONSE, 0) ||
        bus->answer.version.supported == 0)
        return false;
    if (version >= VMBUS_VERSION_5_0)
        bus->connection = bus->answer.version.connection_id;
    bus->version = version;
    return true;
}

bool vsc_bus_connect(struct vsc_bus *bus, uint32_t newest)
{
    const struct vmbus_header offers = {.type = VMBUS_REQUEST_OFFERS};

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (versions[i] <= newest && vsc_bus_contact(bus, versions[i]))
            break;
    return bus->version != 0 &&
           vsc_bus_ask(bus, &offers, sizeof(offers), VMBUS_ALL_OFFERS_DELIVERED, 0);
}

bool vsc_bus_unload(struct vsc_bus *bus)
{
    const struct vmbus_header request = {.type = VMBUS_UNLOAD};
    bool done = vsc_bus_ask(bus, &request, sizeof(request), VMBUS_UNLOAD_RESPONSE, 0);

    forget(bus);
    return done;
}

uint32_t vsc_bus_find(const struct vsc_bus *bus, const struct vmbus_guid *class, uint16_t index,
                      uint32_t after)
{
    for (uint32_t i = after + 1; i < VSC_RELIDS; i++) {
        const struct vsc_slot *slot = &bus->slot[i];

        if (slot->offered && !slot->rescinded && slot->offer.sub_channel_index == index &&
            memcmp(&slot->offer.class, class, sizeof(*class)) == 0)
            return i;
    }
    return 0;
}

bool vsc_bus_release(struct vsc_bus *bus, uint32_t relid)
{
    const struct vmbus_relid_message request = {.header = {.type = VMBUS_RELID_RELEASED},
                                                .relid = relid};

    if (relid >= VSC_RELIDS || !bus->slot[relid].rescinded)
        return false;
    bus->slot[relid] = (struct vsc_slot){0};
    return vsc_bus_post(bus, &request, sizeof(request));
}
