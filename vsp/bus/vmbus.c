/* SPDX-License-Identifier: MIT */
/* The connection to a guest: version, requests, unload. */
#include "vsp/bus/vmbus.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vsp/bus/parts.h"

#define MILLISECOND UINT64_C(1000000)

void bh_vmbus_log(const struct bh_vmbus *bus, const char *format, ...)
{
    char sentence[256];
    va_list arguments;

    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    bus->host->log(bus->host->context, sentence);
}

/* --- rounds ------------------------------------------------------------------------------- */

void bh_round_begin(struct bh_vmbus *bus)
{
    bus->busy++;
}

void bh_round_end(struct bh_vmbus *bus)
{
    if (--bus->busy > 0 || bus->resuming)
        return;
    bh_journal_commit(bus);
    for (uint32_t i = 0; bus->unflushed > 0 && i < BH_VMBUS_CHANNELS_MAX; i++)
        if (bus->channel[i].unflushed)
            bh_channel_show(&bus->channel[i]);
    if (bus->outbox.count == 0)
        return;
    bh_outbox_deliver(bus);
    bh_journal_commit(bus);
}

void bh_vmbus_commit(struct bh_vmbus *bus)
{
    bh_round_begin(bus);
    bh_round_end(bus);
}

/* --- contact ------------------------------------------------------------------------------ */

static bool speaks(uint32_t version)
{
    return version == VMBUS_VERSION_4_0 || version == VMBUS_VERSION_4_1 ||
           (version >= VMBUS_VERSION_5_0 && version <= VMBUS_VERSION_5_3);
}

/* Everything the guest had is over; what answers it waits for the I/O in its memory. */
static void disconnect(struct bh_vmbus *bus, enum bh_farewell farewell)
{
    bh_outbox_clear(bus);
    bus->contact.connected = false;
    bus->contact.offering = false;
    bh_channels_disconnect(bus);
    bus->farewell = farewell;
}

static void answer_contact(struct bh_vmbus *bus)
{
    const struct vmbus_initiate_contact *request = &bus->request;
    bool supported = speaks(request->version);
    const struct vmbus_version_response message = {
        .header = {.type = VMBUS_VERSION_RESPONSE},
        .supported = supported,
        .connection_id =
            request->version >= VMBUS_VERSION_5_0 ? VMBUS_CONNECTION : VMBUS_CONNECTION_OLD};

    bus->contact = (struct bh_contact){
        .connected = supported, .version = request->version, .target_vp = request->target_vp};
    bh_outbox_post(bus, &message, sizeof(message));
}

static void say_farewell(struct bh_vmbus *bus)
{
    const struct vmbus_header message = {.type = VMBUS_UNLOAD_RESPONSE};
    enum bh_farewell farewell = bus->farewell;

    if (farewell == FAREWELL_NONE || bus->holds != 0)
        return;
    bus->farewell = FAREWELL_NONE;
    if (farewell == FAREWELL_UNLOAD)
        bh_outbox_post(bus, &message, sizeof(message));
    else
        answer_contact(bus);
    if (bus->room_wanted) {
        bus->room_wanted = false;
        bus->on_room(bus->on_room_context);
    }
}

void bh_vmbus_holds_changed(struct bh_vmbus *bus)
{
    if (bus->gpadl_doomed == 0 && bus->farewell == FAREWELL_NONE)
        return;
    bh_round_begin(bus);
    bh_gpadl_finish(bus);
    say_farewell(bus);
    bh_round_end(bus);
}

static void initiate_contact(struct bh_vmbus *bus, const struct vmbus_initiate_contact *request)
{
    if (request->target_vp >= bus->host->vp_count)
        return; /* there is nobody to answer */
    bus->request = *request;
    disconnect(bus, FAREWELL_CONTACT);
    say_farewell(bus);
}

static void unload(struct bh_vmbus *bus)
{
    disconnect(bus, FAREWELL_UNLOAD);
    say_farewell(bus);
}

static void request_offers(struct bh_vmbus *bus)
{
    const struct vmbus_header message = {.type = VMBUS_ALL_OFFERS_DELIVERED};

    if (bus->contact.offering)
        return;
    bus->contact.offering = true;
    bh_devices_offer(bus);
    bh_outbox_post(bus, &message, sizeof(message));
}

/* --- requests ----------------------------------------------------------------------------- */

static void close_channel(struct bh_vmbus *bus, uint32_t relid)
{
    struct bh_vmbus_channel *channel = bh_channel_find(bus, relid);

    if (channel != NULL)
        bh_channel_close(channel);
}

/* The shortest message of a type; 0: the guest does not send it. */
static size_t least_size(uint32_t type)
{
    switch (type) {
    case VMBUS_REQUEST_OFFERS:
    case VMBUS_UNLOAD:
        return sizeof(struct vmbus_header);
    case VMBUS_OPEN_CHANNEL:
        return sizeof(struct vmbus_open);
    case VMBUS_CLOSE_CHANNEL:
    case VMBUS_RELID_RELEASED:
        return sizeof(struct vmbus_relid_message);
    case VMBUS_GPADL_HEADER:
        return sizeof(struct vmbus_gpadl_header);
    case VMBUS_GPADL_BODY:
        return sizeof(struct vmbus_gpadl_body);
    case VMBUS_GPADL_TEARDOWN:
        return sizeof(struct vmbus_gpadl_teardown);
    case VMBUS_INITIATE_CONTACT:
        return sizeof(struct vmbus_initiate_contact);
    case VMBUS_MODIFY_CHANNEL:
        return sizeof(struct vmbus_modify);
    default:
        return 0;
    }
}

/* A request that has its least size, of a guest that is connected. */
static void serve(struct bh_vmbus *bus, uint32_t type, const void *message, size_t size)
{
    const struct vmbus_relid_message *named = message;

    switch (type) {
    case VMBUS_REQUEST_OFFERS:
        request_offers(bus);
        break;
    case VMBUS_OPEN_CHANNEL:
        bh_channel_open(bus, message);
        break;
    case VMBUS_CLOSE_CHANNEL:
        close_channel(bus, named->relid);
        break;
    case VMBUS_RELID_RELEASED:
        bh_channel_released(bus, named->relid);
        break;
    case VMBUS_GPADL_HEADER:
        bh_gpadl_header(bus, message, size);
        break;
    case VMBUS_GPADL_BODY:
        bh_gpadl_body(bus, message, size);
        break;
    case VMBUS_GPADL_TEARDOWN:
        bh_gpadl_teardown(bus, message);
        break;
    default:
        bh_channel_modify(bus, message);
        break;
    }
}

void bh_vmbus_receive(struct bh_vmbus *bus, const void *payload, size_t size)
{
    union { /* the copy, aligned */
        struct vmbus_header header;
        uint64_t words[VMBUS_MESSAGE_SIZE_MAX / sizeof(uint64_t)];
    } message = {.words = {0}};
    size_t least;

    if (size < sizeof(message.header) || size > sizeof(message))
        return;
    memcpy(&message, payload, size);
    least = least_size(message.header.type);
    if (least == 0 || size < least)
        return;
    bh_round_begin(bus);
    bus->received++;
    bus->changed = true;
    if (message.header.type == VMBUS_INITIATE_CONTACT)
        initiate_contact(bus, (const void *)&message);
    else if (message.header.type == VMBUS_UNLOAD)
        unload(bus);
    else if (bus->contact.connected)
        serve(bus, message.header.type, &message, size);
    bh_round_end(bus);
}

bool bh_vmbus_has_room(const struct bh_vmbus *bus)
{
    return bus->outbox.count < OUTBOX_FULL && bus->farewell == FAREWELL_NONE;
}

void bh_vmbus_on_room(struct bh_vmbus *bus, void (*again)(void *context), void *context)
{
    bus->on_room = again;
    bus->on_room_context = context;
    bus->room_wanted = true;
}

/* --- life --------------------------------------------------------------------------------- */

struct bh_vmbus *bh_vmbus_create(const struct bh_vmbus_host *host, struct bh_loop *loop)
{
    struct bh_vmbus *bus = calloc(1, sizeof(*bus));

    if (bus == NULL)
        return NULL;
    bus->host = host;
    bus->loop = loop;
    bus->again =
        (struct bh_watch){bh_channels_serve_kicked, bus, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (bh_journal_open(bus) && bus->again.fd >= 0 &&
        bh_loop_add(loop, &bus->again, EPOLLIN | EPOLLET))
        return bus;
    bh_vmbus_destroy(bus);
    return NULL;
}

void bh_vmbus_destroy(struct bh_vmbus *bus)
{
    if (bus == NULL)
        return;
    bh_journal_close(bus);
    if (bus->again.fd >= 0) {
        bh_loop_remove(bus->loop, &bus->again);
        (void)close(bus->again.fd);
    }
    free(bus);
}

bool bh_vmbus_resume(struct bh_vmbus *bus)
{
    bool resumed;

    bh_round_begin(bus);
    resumed = bh_channels_resume(bus);
    bus->resuming = false;
    if (resumed)
        bh_vmbus_holds_changed(bus);
    bh_round_end(bus);
    return resumed;
}

bool bh_vmbus_reset(struct bh_vmbus *bus, int patience)
{
    const uint64_t end = bh_loop_now() + (uint64_t)patience * MILLISECOND;
    struct pollfd wait = {.fd = bh_loop_fd(bus->loop), .events = POLLIN};

    bh_round_begin(bus);
    disconnect(bus, FAREWELL_NONE);
    bus->contact = (struct bh_contact){0};
    bus->room_wanted = false;
    bh_round_end(bus);
    while (bus->holds > 0) {
        uint64_t now = bh_loop_now();

        if (patience >= 0 && now >= end)
            return false;
        (void)poll(&wait, 1, patience < 0 ? -1 : (int)((end - now) / MILLISECOND) + 1);
        bh_loop_serve(bus->loop);
    }
    return true;
}

struct bh_loop *bh_vmbus_loop(const struct bh_vmbus *bus)
{
    return bus->loop;
}
