/* SPDX-License-Identifier: MIT */
/*
 * The parent's time for the guest: its clock is set when it boots and when it
 * goes on after a pause; samples in between are for who wants to follow them
 * (in Linux, the PTP device "hyperv").
 */
#include <string.h>

#include "vsp/services/services_parts.h"

#define INTERVAL (5 * BH_SECOND)

static struct bh_time_sync *time_sync_of(struct bh_component *component)
{
    return (struct bh_time_sync *)component;
}

static uint64_t due(const struct bh_component *component)
{
    return ((const struct bh_time_sync *)component)->next;
}

/* In 100 ns since 1601. */
static uint64_t parent_time(const struct bh_services *services)
{
    return services->host.utc() / 100 + IC_TIME_1970;
}

/*
 * The time of the parent, and the reference time at that moment: read before and after, the
 * middle counts. When that fails once, the last sample is as good: both times run alike.
 */
static void write_reference(struct bh_time_sync *sync, const struct bh_services *services,
                            uint8_t flags, uint8_t *body)
{
    const struct bh_services_host *host = &services->host;
    uint64_t before;
    uint64_t after;
    uint64_t time;

    if (host->reference(host->context, &before)) {
        time = parent_time(services);
        if (host->reference(host->context, &after)) {
            sync->sample.parent_time = time;
            sync->sample.reference_time = before + (after - before) / 2;
        }
    }
    sync->sample.flags = flags;
    memcpy(body, &sync->sample, sizeof(sync->sample));
}

static void write_plain(const struct bh_services *services, uint8_t flags, uint8_t *body)
{
    const struct ic_time time = {.parent_time = parent_time(services), .flags = flags};

    memcpy(body, &time, sizeof(time));
}

static void ask(struct bh_component *component, uint64_t now, uint8_t *body)
{
    struct bh_time_sync *sync = time_sync_of(component);
    const struct bh_services *services = bh_services_of(component);
    uint8_t flags = sync->set ? IC_TIME_SYNC_SET : IC_TIME_SYNC_SAMPLE;

    if (component->version.major >= 4)
        write_reference(sync, services, flags, body);
    else
        write_plain(services, flags, body);
    sync->set = false;
    sync->next = now + INTERVAL;
}

static void answered(struct bh_component *component, uint64_t now, uint32_t status,
                     const uint8_t *body)
{
    (void)component;
    (void)now;
    (void)status;
    (void)body;
}

static void changed(struct bh_component *component, uint64_t now, bool ready)
{
    struct bh_time_sync *sync = time_sync_of(component);

    (void)now;
    sync->next = 0;
    sync->set = ready;
}

static const struct ic_version versions[] = {{4, 0}, {3, 0}, {1, 0}};

const struct bh_component_kind bh_time_sync_kind = {
    .name = "time",
    .class = VMBUS_CLASS_TIME,
    .type = IC_TIME_SYNC,
    .versions = versions,
    .version_count = sizeof(versions) / sizeof(versions[0]),
    .body_size = sizeof(struct ic_time), /* the longer of the two */
    .due = due,
    .ask = ask,
    .answered = answered,
    .changed = changed,
};
