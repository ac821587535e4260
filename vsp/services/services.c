/* SPDX-License-Identifier: MIT */
#include "vsp/services/services.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vsp/services/services_parts.h"

#define COMPONENTS 4

static void list(struct bh_services *services, struct bh_component *all[COMPONENTS])
{
    all[0] = &services->shutdown.component;
    all[1] = &services->heartbeat.component;
    all[2] = &services->time_sync.component;
    all[3] = &services->kvp.component;
}

struct bh_services *bh_services_of(const struct bh_component *component)
{
    return component->context;
}

void bh_services_note(struct bh_services *services, const struct bh_guest_info *info)
{
    if (memcmp(&services->guest, info, sizeof(*info)) == 0)
        return;
    services->guest = *info;
    services->host.changed(services->host.context, &services->guest);
}

/* --- time --------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void set_timer(struct bh_services *services)
{
    struct bh_component *all[COMPONENTS];
    uint64_t due = bh_heartbeat_overdue(&services->heartbeat);
    struct itimerspec time = {0}; /* off */

    list(services, all);
    for (int i = 0; i < COMPONENTS; i++)
        due = earlier(due, bh_component_due(all[i]));
    if (due != BH_COMPONENT_NEVER && !services->paused) {
        uint64_t now = services->host.clock();
        uint64_t wait = due > now ? due - now : 1;

        time.it_value.tv_sec = (time_t)(wait / BH_SECOND);
        time.it_value.tv_nsec = (long)(wait % BH_SECOND);
    }
    (void)timerfd_settime(services->timer.fd, 0, &time, NULL);
}

static void on_moved(void *context)
{
    set_timer(context);
}

static void pump(struct bh_services *services)
{
    struct bh_component *all[COMPONENTS];

    list(services, all);
    for (int i = 0; i < COMPONENTS; i++)
        bh_component_pump(all[i]);
    bh_heartbeat_check(&services->heartbeat, services->host.clock());
    set_timer(services);
}

static void on_timer(void *context, uint32_t events)
{
    struct bh_services *services = context;
    uint64_t count;

    (void)events;
    if (read(services->timer.fd, &count, sizeof(count)) > 0 && !services->paused)
        pump(services);
}

/* --- requests ----------------------------------------------------------------------------- */

bool bh_services_shutdown(struct bh_services *services, bool reboot, const char *reason)
{
    struct bh_shutdown *shutdown = &services->shutdown;

    if (shutdown->component.phase != BH_COMPONENT_READY || shutdown->component.waits ||
        shutdown->wanted)
        return false;
    shutdown->wanted = true;
    shutdown->reboot = reboot;
    strncpy(shutdown->reason, reason, sizeof(shutdown->reason) - 1);
    pump(services);
    return true;
}

void bh_services_pause(struct bh_services *services)
{
    services->paused = true;
    set_timer(services);
}

void bh_services_resume(struct bh_services *services)
{
    uint64_t now = services->host.clock();

    services->paused = false;
    services->heartbeat.heard = now;
    services->time_sync.set = true;
    services->time_sync.next = 0;
    pump(services);
}

const struct bh_guest_info *bh_services_guest(const struct bh_services *services)
{
    return &services->guest;
}

/* --- life --------------------------------------------------------------------------------- */

static bool start(struct bh_services *services, const char *vm)
{
    const struct bh_component_kind *const kinds[COMPONENTS] = {
        &bh_shutdown_kind, &bh_heartbeat_kind, &bh_time_sync_kind, &bh_kvp_kind};
    struct bh_component *all[COMPONENTS];
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    services->timer = (struct bh_watch){on_timer, services, fd};
    if (fd < 0 || !bh_loop_add(bh_vmbus_loop(services->bus), &services->timer, EPOLLIN))
        return false;
    list(services, all);
    for (int i = 0; i < COMPONENTS; i++) {
        *all[i] = (struct bh_component){.kind = kinds[i],
                                        .bus = services->bus,
                                        .clock = services->host.clock,
                                        .moved = on_moved,
                                        .context = services};
    }
    /* Version 4.0 of time needs it. */
    services->time_sync.component.first_version = services->host.reference != NULL ? 0 : 1;
    for (int i = 0; i < COMPONENTS; i++)
        if (!bh_component_start(all[i], vm))
            return false;
    return true;
}

struct bh_services *bh_services_create(struct bh_vmbus *bus, const char *vm,
                                       const struct bh_services_host *host)
{
    struct bh_services *services = calloc(1, sizeof(*services));

    if (services == NULL)
        return NULL;
    services->host = *host;
    services->bus = bus;
    if (start(services, vm))
        return services;
    bh_services_destroy(services);
    return NULL;
}

/* A device that goes closes its channel, which sets the timer: it goes last. */
void bh_services_destroy(struct bh_services *services)
{
    struct bh_component *all[COMPONENTS];

    if (services == NULL)
        return;
    list(services, all);
    for (int i = 0; i < COMPONENTS; i++)
        bh_component_stop(all[i]);
    if (services->timer.fd >= 0) {
        bh_loop_remove(bh_vmbus_loop(services->bus), &services->timer);
        (void)close(services->timer.fd);
    }
    free(services);
}
