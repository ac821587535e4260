/* SPDX-License-Identifier: MIT */
/* The life of a channel: open, doorbells, modify, close. */
#include "vsp/bus/channel.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vsp/bus/parts.h"

#define ROUND_PACKETS 64u /* of one channel before others have their turn */

struct bh_vmbus_channel *bh_channel_find(struct bh_vmbus *bus, uint32_t relid)
{
    return relid >= 1 && relid <= BH_VMBUS_CHANNELS_MAX &&
                   bus->channel[relid - 1].state.phase != CHANNEL_FREE
               ? &bus->channel[relid - 1]
               : NULL;
}

/* --- doorbells ---------------------------------------------------------------------------- */

static void serve(struct bh_vmbus_channel *channel)
{
    struct bh_ring_memory memory;

    if (channel->state.phase != CHANNEL_OPEN || channel->state.broken)
        return;
    memory = bh_channel_memory(channel);
    bh_ring_mask(&channel->state.in, &memory);
    channel->budget = ROUND_PACKETS;
    bh_round_begin(channel->bus);
    channel->device->provider->ready(channel->device->context, channel);
    bh_vmbus_channel_flush(channel);
    bh_round_end(channel->bus);
}

/* The eventfd is watched for its edges, so nobody needs to read it. */
static void on_doorbell(void *context, uint32_t events)
{
    (void)events;
    serve(context);
}

void bh_vmbus_channel_kick(struct bh_vmbus_channel *channel)
{
    uint64_t one = 1;

    channel->kicked = true;
    (void)!write(channel->bus->again.fd, &one, sizeof(one));
}

void bh_channels_serve_kicked(void *context, uint32_t events)
{
    struct bh_vmbus *bus = context;

    (void)events;
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++) {
        if (!bus->channel[i].kicked)
            continue;
        bus->channel[i].kicked = false;
        serve(&bus->channel[i]);
    }
}

/* --- open and close ----------------------------------------------------------------------- */

static void answer_open(struct bh_vmbus *bus, const struct vmbus_open *request, uint32_t status)
{
    const struct vmbus_open_result message = {.header = {.type = VMBUS_OPEN_RESULT},
                                              .relid = request->relid,
                                              .open_id = request->open_id,
                                              .status = status};

    bh_outbox_post(bus, &message, sizeof(message));
}

/* Checks what the guest asks for and sets up both rings. */
static bool lay_out(struct bh_vmbus_channel *channel, const struct vmbus_open *request)
{
    const struct bh_gpadl *pages = bh_gpadl_find(channel->bus, request->relid, request->ring_gpadl);

    if (channel->state.phase != CHANNEL_OFFERED || channel->holds != 0 || pages == NULL ||
        pages->byte_offset != 0 || request->target_vp >= channel->bus->host->vp_count ||
        request->downstream_page >= pages->pages)
        return false;
    channel->pages = pages;
    channel->state.gpadl = pages->id;
    channel->state.target_vp = request->target_vp;
    return bh_ring_begin(&channel->state.in, 0, request->downstream_page, 0) &&
           bh_ring_begin(&channel->state.out, request->downstream_page,
                         pages->pages - request->downstream_page, 0);
}

static bool listen(struct bh_vmbus_channel *channel)
{
    const struct bh_vmbus_host *host = channel->bus->host;
    uint32_t connection = bh_channel_connection(channel);
    int fd = host->bind(host->context, connection);

    channel->doorbell = (struct bh_watch){on_doorbell, channel, fd};
    if (fd < 0)
        return false;
    if (bh_loop_add(channel->bus->loop, &channel->doorbell, EPOLLIN | EPOLLET))
        return true;
    host->unbind(host->context, connection, fd);
    channel->doorbell.fd = -1;
    return false;
}

static void stop_listening(struct bh_vmbus_channel *channel)
{
    const struct bh_vmbus_host *host = channel->bus->host;

    if (channel->doorbell.fd < 0)
        return;
    bh_loop_remove(channel->bus->loop, &channel->doorbell);
    host->unbind(host->context, bh_channel_connection(channel), channel->doorbell.fd);
    channel->doorbell.fd = -1;
}

void bh_channel_open(struct bh_vmbus *bus, const struct vmbus_open *request)
{
    struct bh_vmbus_channel *channel = bh_channel_find(bus, request->relid);

    if (channel == NULL || !lay_out(channel, request) || !listen(channel)) {
        answer_open(bus, request, STATUS_FAILED);
        return;
    }
    channel->state.broken = false;
    channel->user = NULL;
    channel->state.phase = CHANNEL_OPEN;
    if (!channel->device->provider->opened(channel->device->context, channel, request->user)) {
        stop_listening(channel);
        channel->state.phase = CHANNEL_OFFERED;
        channel->pages = NULL;
        answer_open(bus, request, STATUS_FAILED);
        return;
    }
    answer_open(bus, request, STATUS_OK);
    bh_vmbus_channel_kick(channel); /* for what was written before the doorbell was there */
}

static void close_one(struct bh_vmbus_channel *channel)
{
    if (channel->state.phase != CHANNEL_OPEN)
        return;
    stop_listening(channel);
    channel->state.phase = CHANNEL_OFFERED;
    channel->pages = NULL;
    channel->kicked = false;
    channel->bus->changed = true;
    channel->device->provider->closed(channel->device->context, channel);
}

/* Closing a primary channel takes its sub-channels back. */
void bh_channel_close(struct bh_vmbus_channel *channel)
{
    struct bh_vmbus *bus = channel->bus;

    if (channel->state.phase != CHANNEL_OPEN)
        return;
    for (uint32_t i = 0; channel->state.index == 0 && i < BH_VMBUS_CHANNELS_MAX; i++) {
        struct bh_vmbus_channel *sub = &bus->channel[i];

        if (sub->device == channel->device && sub->state.index != 0)
            bh_channel_rescind(sub);
    }
    close_one(channel);
}

void bh_channel_modify(struct bh_vmbus *bus, const struct vmbus_modify *request)
{
    struct bh_vmbus_channel *channel = bh_channel_find(bus, request->relid);
    struct vmbus_modify_response message = {.header = {.type = VMBUS_MODIFY_RESPONSE},
                                            .relid = request->relid,
                                            .status = STATUS_FAILED};

    if (channel != NULL && channel->state.phase == CHANNEL_OPEN &&
        request->target_vp < bus->host->vp_count) {
        channel->state.target_vp = request->target_vp;
        message.status = STATUS_OK;
        /* What was signalled on the VP before may not have been seen there. */
        bus->host->signal(bus->host->context, request->target_vp, request->relid);
    }
    bh_outbox_post(bus, &message, sizeof(message));
}

/* The guest is gone: nobody is told. Sub-channels were of that guest; primary channels stay. */
void bh_channels_disconnect(struct bh_vmbus *bus)
{
    for (uint32_t i = BH_VMBUS_CHANNELS_MAX; i-- > 0;) {
        struct bh_vmbus_channel *channel = &bus->channel[i];

        close_one(channel);
        if (channel->state.phase == CHANNEL_FREE)
            continue;
        channel->state.phase =
            channel->device != NULL && channel->state.index == 0 ? CHANNEL_IDLE : CHANNEL_FREE;
    }
    bh_gpadl_forget(bus, 0);
}

/* --- going on in another process ---------------------------------------------------------- */

/* The guest may have rung while nobody heard it, and may not have heard what it was told. */
static void show(struct bh_vmbus_channel *channel)
{
    const struct bh_vmbus_host *host = channel->bus->host;
    struct bh_ring_memory memory;

    if (channel->state.broken)
        return;
    memory = bh_channel_memory(channel);
    bh_ring_show_reader(&channel->state.in, &memory);
    bh_ring_show_writer(&channel->state.out, &memory);
    host->signal(host->context, channel->state.target_vp, channel->state.relid);
    bh_vmbus_channel_kick(channel);
}

static bool resume_one(struct bh_vmbus_channel *channel)
{
    const struct bh_vmbus_provider *provider =
        channel->device != NULL ? channel->device->provider : NULL;

    channel->pages = bh_gpadl_find(channel->bus, channel->state.relid, channel->state.gpadl);
    if (provider == NULL || provider->resumed == NULL || channel->pages == NULL || !listen(channel))
        return false;
    show(channel);
    return provider->resumed(channel->device->context, channel);
}

static bool resume_of(struct bh_vmbus *bus, bool primary)
{
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++) {
        struct bh_vmbus_channel *channel = &bus->channel[i];

        if (channel->state.phase == CHANNEL_OPEN && (channel->state.index == 0) == primary &&
            !resume_one(channel))
            return false;
    }
    return true;
}

bool bh_channels_resume(struct bh_vmbus *bus)
{
    return resume_of(bus, true) && resume_of(bus, false);
}

/* --- for providers ------------------------------------------------------------------------ */

bool bh_channel_may_read(struct bh_vmbus_channel *channel)
{
    if (channel->state.phase != CHANNEL_OPEN || channel->state.broken)
        return false;
    if (channel->budget > 0) {
        channel->budget--;
        return true;
    }
    bh_vmbus_channel_kick(channel);
    return false;
}

void bh_vmbus_channel_hold(struct bh_vmbus_channel *channel)
{
    channel->holds++;
    channel->bus->holds++;
}

void bh_vmbus_channel_release(struct bh_vmbus_channel *channel)
{
    channel->bus->holds--;
    if (--channel->holds == 0)
        bh_vmbus_holds_changed(channel->bus);
}

bool bh_vmbus_channel_is_open(const struct bh_vmbus_channel *channel)
{
    return channel->state.phase == CHANNEL_OPEN;
}

uint16_t bh_vmbus_channel_index(const struct bh_vmbus_channel *channel)
{
    return channel->state.index;
}

uint32_t bh_vmbus_channel_target_vp(const struct bh_vmbus_channel *channel)
{
    return channel->state.target_vp;
}

struct bh_vmbus *bh_vmbus_channel_bus(const struct bh_vmbus_channel *channel)
{
    return channel->bus;
}

void bh_vmbus_channel_set_user(struct bh_vmbus_channel *channel, void *user)
{
    channel->user = user;
}

void *bh_vmbus_channel_user(const struct bh_vmbus_channel *channel)
{
    return channel->user;
}
