/* SPDX-License-Identifier: MIT */
/*
 * Devices and their offers. A relid is free again only when the guest says so,
 * and an instance that is leaving is not offered before that: Linux takes
 * such an offer for the device it still has.
 */
#include "vsp/bus/device.h"

#include <string.h>

#include "vsp/bus/parts.h"

/* Of a channel's connection: beyond those of messages. */
#define CONNECTION_BASE 0x2000u

uint32_t bh_channel_connection(const struct bh_vmbus_channel *channel)
{
    return CONNECTION_BASE + channel->state.relid;
}

static bool same(const struct vmbus_guid *a, const struct vmbus_guid *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static bool is_leaving(const struct bh_vmbus *bus, const struct vmbus_guid *instance)
{
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++)
        if (bus->channel[i].state.phase == CHANNEL_RESCINDED && bus->channel[i].device == NULL &&
            same(&bus->channel[i].state.instance, instance))
            return true;
    return false;
}

static void offer(struct bh_vmbus_channel *channel)
{
    const struct bh_vmbus_identity *identity = &channel->device->identity;
    const struct vmbus_offer message = {
        .header = {.type = VMBUS_OFFER_CHANNEL},
        .class = identity->class,
        .instance = identity->instance,
        .sub_channel_index = channel->state.index,
        .relid = channel->state.relid,
        .dedicated = VMBUS_OFFER_DEDICATED,
        .connection_id = bh_channel_connection(channel),
    };

    channel->state.phase = CHANNEL_OFFERED;
    bh_outbox_post(channel->bus, &message, sizeof(message));
}

void bh_devices_offer(struct bh_vmbus *bus)
{
    if (!bus->contact.offering)
        return;
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++) {
        struct bh_vmbus_channel *channel = &bus->channel[i];

        if (channel->state.phase == CHANNEL_IDLE && !is_leaving(bus, &channel->state.instance))
            offer(channel);
    }
}

void bh_channel_rescind(struct bh_vmbus_channel *channel)
{
    const struct vmbus_relid_message message = {.header = {.type = VMBUS_RESCIND_OFFER},
                                                .relid = channel->state.relid};

    if (channel->state.phase == CHANNEL_OPEN)
        bh_channel_close(channel);
    if (channel->state.phase == CHANNEL_OFFERED) {
        channel->state.phase = CHANNEL_RESCINDED;
        bh_outbox_post(channel->bus, &message, sizeof(message));
    } else if (channel->state.phase == CHANNEL_IDLE) {
        channel->state.phase = CHANNEL_FREE;
    }
}

void bh_channel_released(struct bh_vmbus *bus, uint32_t relid)
{
    struct bh_vmbus_channel *channel = bh_channel_find(bus, relid);

    if (channel == NULL || channel->state.phase != CHANNEL_RESCINDED)
        return;
    bh_gpadl_forget(bus, relid);
    channel->state.phase = CHANNEL_FREE;
    bh_devices_offer(bus);
}

/* A channel that is free but held is still used by the I/O of its last owner. */
static struct bh_vmbus_channel *take_free(struct bh_vmbus_device *device, uint16_t index)
{
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++) {
        struct bh_vmbus_channel *channel = &device->bus->channel[i];

        if (channel->state.phase != CHANNEL_FREE || channel->holds != 0)
            continue;
        *channel = (struct bh_vmbus_channel){
            .state = {.phase = CHANNEL_IDLE,
                      .relid = i + 1,
                      .index = index,
                      .instance = device->identity.instance},
            .bus = device->bus,
            .device = device,
            .doorbell = {.fd = -1},
            .unflushed = channel->unflushed, /* counted */
        };
        return channel;
    }
    return NULL;
}

static uint32_t count_free(const struct bh_vmbus *bus)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++)
        count += bus->channel[i].state.phase == CHANNEL_FREE && bus->channel[i].holds == 0;
    return count;
}

/* --- devices of a process before: they keep their places and their channels --- */

/* False when it had none: then it is new. */
static bool adopt(struct bh_vmbus_device *device)
{
    struct bh_vmbus *bus = device->bus;

    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++) {
        struct bh_vmbus_channel *channel = &bus->channel[i];

        if (channel->state.phase == CHANNEL_FREE || channel->state.phase == CHANNEL_RESCINDED ||
            !same(&channel->state.instance, &device->identity.instance))
            continue;
        channel->device = device;
        if (channel->state.index == 0)
            device->primary = channel;
    }
    return device->primary != NULL;
}

static struct bh_vmbus_device *find_slot(struct bh_vmbus *bus, const struct vmbus_guid *instance)
{
    struct bh_vmbus_device *slot = NULL;

    for (uint32_t i = 0; bus->resuming && i < BH_VMBUS_DEVICES_MAX; i++)
        if (bus->device[i].bus == NULL && bh_journal_had_device(bus, i, instance))
            return &bus->device[i];
    for (uint32_t i = 0; i < BH_VMBUS_DEVICES_MAX; i++) {
        if (bus->device[i].bus == NULL)
            slot = &bus->device[i];
        else if (same(&bus->device[i].identity.instance, instance))
            return NULL;
    }
    return slot;
}

struct bh_vmbus_device *bh_vmbus_device_add(struct bh_vmbus *bus,
                                            const struct bh_vmbus_identity *identity,
                                            const struct bh_vmbus_provider *provider, void *context)
{
    struct bh_vmbus_device *device = find_slot(bus, &identity->instance);

    if (device == NULL || count_free(bus) == 0)
        return NULL;
    *device = (struct bh_vmbus_device){
        .bus = bus, .identity = *identity, .provider = provider, .context = context};
    bh_round_begin(bus);
    if (!bus->resuming || !adopt(device)) {
        bh_journal_clear_space(bh_vmbus_device_space(device));
        device->primary = take_free(device, 0);
        bh_devices_offer(bus);
    }
    bus->changed = true;
    bh_round_end(bus);
    return device;
}

void bh_vmbus_device_remove(struct bh_vmbus_device *device)
{
    struct bh_vmbus *bus = device->bus;

    bh_round_begin(bus);
    for (uint32_t i = BH_VMBUS_CHANNELS_MAX; i-- > 0;) {
        struct bh_vmbus_channel *channel = &bus->channel[i];

        if (channel->device != device)
            continue;
        bh_channel_rescind(channel);
        channel->device = NULL;
    }
    *device = (struct bh_vmbus_device){0};
    bus->changed = true;
    bh_round_end(bus);
}

bool bh_vmbus_device_offer_sub_channels(struct bh_vmbus_device *device, uint32_t count)
{
    struct bh_vmbus *bus = device->bus;

    if (count > count_free(bus) || device->primary->state.phase != CHANNEL_OPEN)
        return false;
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++)
        if (bus->channel[i].device == device && bus->channel[i].state.index != 0 &&
            bus->channel[i].state.phase != CHANNEL_FREE &&
            bus->channel[i].state.phase != CHANNEL_RESCINDED)
            return false;
    bh_round_begin(bus);
    for (uint32_t i = 1; i <= count; i++)
        (void)take_free(device, (uint16_t)i);
    bh_devices_offer(bus);
    bus->changed = true;
    bh_round_end(bus);
    return true;
}

/* Two rounds of FNV-1a: no secret, only the same for the same names and different for others. */
static uint64_t mix(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

struct vmbus_guid bh_vmbus_instance(const char *vm, const char *device)
{
    uint64_t half[2] = {mix(mix(UINT64_C(0xcbf29ce484222325), vm), device),
                        mix(mix(UINT64_C(0x84222325cbf29ce4), device), vm)};
    struct vmbus_guid guid;

    memcpy(&guid, half, sizeof(guid));
    guid.c = (uint16_t)((guid.c & 0x0fffu) | 0x8000u);  /* a GUID of its own kind, */
    guid.d[0] = (uint8_t)((guid.d[0] & 0x3fu) | 0x80u); /* RFC 9562, version 8 */
    return guid;
}
