/* SPDX-License-Identifier: MIT */
#include "parent/worker/guest_bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "parent/partition/port.h"
#include "vsp/protocol/vmbus.h"

#define MESSAGES_AT_ONCE 16u
#define PORTS            2u

/* Guests of version 5.0 and later post to the second, others to the first. */
static const uint32_t connections[PORTS] = {VMBUS_CONNECTION_OLD, VMBUS_CONNECTION};

struct message_port {
    struct bh_guest_bus *bus;
    struct bh_watch watch; /* fd -1: closed */
    bool stopped;          /* the bus has no room for more */
};

struct bh_guest_bus {
    const struct bh_guest_memory *memory;
    struct bh_partition *partition; /* NULL: detached */
    bool resuming;
    struct bh_loop *loop;
    struct bh_vmbus *vmbus;
    struct bh_vmbus_host host;
    struct message_port port[PORTS];
    struct bh_kept *kept;
    struct bh_watch room; /* eventfd: a VP takes messages again */
};

/* --- what the bus asks for ---------------------------------------------------------------- */

static enum bh_vmbus_post on_post(void *context, uint32_t vp, const void *payload, size_t size)
{
    struct bh_guest_bus *bus = context;
    struct hv_message message = {.type = VMBUS_MESSAGE_TYPE, .payload_size = (uint8_t)size};
    struct bh_error error;

    memcpy(message.payload, payload, size);
    if (bus->partition == NULL)
        return BH_VMBUS_POST_LOST;
    if (bh_partition_post_message(bus->partition, vp, VMBUS_SINT, &message, &error))
        return BH_VMBUS_POSTED;
    return error.number == EAGAIN ? BH_VMBUS_POST_FULL : BH_VMBUS_POST_LOST;
}

static void on_signal(void *context, uint32_t vp, uint32_t flag)
{
    struct bh_guest_bus *bus = context;
    struct bh_error error;

    /* A VP whose SynIC is off gets nothing: a guest that switches it on looks at its rings. */
    if (bus->partition != NULL)
        (void)bh_partition_signal_event(bus->partition, vp, VMBUS_SINT, flag, &error);
}

static int on_bind(void *context, uint32_t connection)
{
    struct bh_guest_bus *bus = context;
    struct bh_error error;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (bus->resuming && bus->partition != NULL) /* the one of the process before hears nothing */
        (void)bh_event_port_close(bus->partition, connection, &error);
    if (fd >= 0 && bus->partition != NULL &&
        bh_event_port_open(bus->partition, connection, fd, &error))
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static void on_unbind(void *context, uint32_t connection, int fd)
{
    struct bh_guest_bus *bus = context;
    struct bh_error error;

    if (bus->partition != NULL)
        (void)bh_event_port_close(bus->partition, connection, &error);
    (void)close(fd);
}

static void *on_memory(void *context, uint64_t gpa, uint64_t size)
{
    struct bh_guest_bus *bus = context;

    return bh_guest_memory_at(bus->memory, gpa, size);
}

static void on_log(void *context, const char *sentence)
{
    (void)context;
    (void)fprintf(stderr, "bulkhead-worker: %s\n", sentence);
}

/* --- messages from the guest -------------------------------------------------------------- */

static void resume(void *context)
{
    struct bh_guest_bus *bus = context;

    for (unsigned i = 0; i < PORTS; i++) {
        if (!bus->port[i].stopped)
            continue;
        bus->port[i].stopped = false;
        (void)bh_loop_change(bus->loop, &bus->port[i].watch, EPOLLIN);
    }
}

/* In the journal it may still be read when this process has ended. */
static void receive(struct bh_guest_bus *bus, const struct hv_message *message)
{
    if (message->type == VMBUS_MESSAGE_TYPE)
        bh_vmbus_receive(bus->vmbus, message->payload, message->payload_size);
}

/* One at a time: each may be the last there is room for. */
static void on_message(void *context, uint32_t events)
{
    struct message_port *port = context;
    struct bh_guest_bus *bus = port->bus;

    (void)events;
    for (unsigned i = 0; i < MESSAGES_AT_ONCE && bh_vmbus_has_room(bus->vmbus); i++) {
        struct hv_message *message = bh_vmbus_inbox(bus->vmbus);

        if (read(port->watch.fd, message, sizeof(*message)) != (ssize_t)sizeof(*message))
            return;
        receive(bus, message);
    }
    if (bh_vmbus_has_room(bus->vmbus))
        return;
    port->stopped = true;
    (void)bh_loop_change(bus->loop, &port->watch, 0);
    bh_vmbus_on_room(bus->vmbus, resume, bus);
}

static void on_room(void *context, uint32_t events)
{
    struct bh_guest_bus *bus = context;
    uint64_t count;

    (void)events;
    (void)!read(bus->room.fd, &count, sizeof(count));
    bh_vmbus_retry(bus->vmbus);
}

/* --- life --------------------------------------------------------------------------------- */

struct bh_guest_bus *bh_guest_bus_create(const struct bh_guest_memory *memory, uint32_t vps,
                                         void *journal, struct bh_kept *kept)
{
    struct bh_guest_bus *bus = calloc(1, sizeof(*bus));

    if (bus == NULL)
        return NULL;
    bus->memory = memory;
    bus->kept = kept;
    bus->host = (struct bh_vmbus_host){.context = bus,
                                       .vp_count = vps,
                                       .journal = journal,
                                       .post = on_post,
                                       .signal = on_signal,
                                       .bind = on_bind,
                                       .unbind = on_unbind,
                                       .memory = on_memory,
                                       .log = on_log};
    for (unsigned i = 0; i < PORTS; i++)
        bus->port[i] = (struct message_port){.bus = bus, .watch = {on_message, &bus->port[i], -1}};
    bus->room = (struct bh_watch){on_room, bus, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    bus->loop = bh_loop_create();
    if (bus->loop != NULL)
        bus->vmbus = bh_vmbus_create(&bus->host, bus->loop);
    if (bus->vmbus != NULL && bus->room.fd >= 0 && bh_loop_add(bus->loop, &bus->room, EPOLLIN))
        return bus;
    bh_guest_bus_destroy(bus);
    return NULL;
}

void bh_guest_bus_destroy(struct bh_guest_bus *bus)
{
    if (bus == NULL)
        return;
    bh_vmbus_destroy(bus->vmbus);
    bh_loop_destroy(bus->loop);
    if (bus->room.fd >= 0)
        (void)close(bus->room.fd);
    free(bus);
}

static void close_port(struct message_port *port)
{
    if (port->watch.fd < 0)
        return;
    bh_loop_remove(port->bus->loop, &port->watch);
    (void)close(port->watch.fd);
    port->watch.fd = -1;
    port->stopped = false;
}

static int open_port(struct bh_guest_bus *bus, unsigned index, struct bh_error *error)
{
    int fd = bus->resuming ? bh_kept_take(bus->kept, BH_KEPT_PORT + index)
                           : bh_message_port_open(bus->partition, connections[index], error);

    if (fd >= 0 && !bus->resuming && !bh_kept_put(bus->kept, BH_KEPT_PORT + index, fd, error)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool open_ports(struct bh_guest_bus *bus, struct bh_error *error)
{
    for (unsigned i = 0; i < PORTS; i++) {
        struct message_port *port = &bus->port[i];

        port->watch.fd = open_port(bus, i, error);
        if (port->watch.fd < 0)
            return false;
        if (!bh_loop_add(bus->loop, &port->watch, EPOLLIN))
            return bh_error_set(error, errno, "The worker lacks memory: %s.", strerror(errno));
    }
    return bh_partition_watch_room(bus->partition, bus->room.fd, error);
}

bool bh_guest_bus_attach(struct bh_guest_bus *bus, struct bh_partition *partition,
                         struct bh_error *error)
{
    bus->partition = partition;
    if (open_ports(bus, error))
        return true;
    (void)bh_guest_bus_detach(bus, 0);
    return false;
}

bool bh_guest_bus_resume(struct bh_guest_bus *bus, struct bh_partition *partition,
                         struct bh_error *error)
{
    const struct hv_message *left;
    bool resumed;

    bus->resuming = true;
    if (!bh_guest_bus_attach(bus, partition, error))
        return false;
    resumed = bh_vmbus_resume(bus->vmbus);
    bus->resuming = false;
    if (!resumed)
        return bh_error_set(error, EIO, "A device of the guest cannot go on in another worker.");
    left = bh_vmbus_inbox_left(bus->vmbus);
    if (left != NULL)
        receive(bus, left);
    return true;
}

bool bh_guest_bus_detach(struct bh_guest_bus *bus, int patience)
{
    if (bus->partition == NULL)
        return true;
    for (unsigned i = 0; i < PORTS; i++)
        close_port(&bus->port[i]);
    if (!bh_vmbus_reset(bus->vmbus, patience))
        return false;
    bus->partition = NULL;
    return true;
}

struct bh_vmbus *bh_guest_bus_vmbus(const struct bh_guest_bus *bus)
{
    return bus->vmbus;
}
