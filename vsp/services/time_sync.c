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
 * middle counts. False: it could not be read.
 */
static bool read_sample(struct bh_time_sync *sync, const struct bh_services *services)
{
    const struct bh_services_host *host = &services->host;
    uint64_t before;
    uint64_t after;
    uint64_t time;

    if (!host->reference(host->context, &before))
        return false;
    time = parent_time(services);
    if (!host->reference(host->context, &after))
        return false;
    sync->sample.parent_time = time;
    sync->sample.reference_time = before + (after - before) / 2;
    return true;
}

/*
 * When the times can not be read, the last sample is sent again, and no clock is set by it: in a
 * pause the guest's time stands still, and the parent's does not.
 */
static void write_sample(struct bh_time_sync *sync, const struct bh_services *services,
                         uint8_t *body)
{
    const bool read = read_sample(sync, services);

    sync->sample.flags = read && sync->set ? IC_TIME_SYNC_SET : IC_TIME_SYNC_SAMPLE;
    sync->set = sync->set && !read;
    memcpy(body, &sync->sample, sizeof(sync->sample));
}

static void write_plain(struct bh_time_sync *sync, const struct bh_services *services,
                        uint8_t *body)
{
    const struct ic_time time = {.parent_time = parent_time(services),
                                 .flags = sync->set ? IC_TIME_SYNC_SET : IC_TIME_SYNC_SAMPLE};

    sync->set = false;
    memcpy(body, &time, sizeof(time));
}

static void ask(struct bh_component *component, uint64_t now, uint8_t *body)
{
    struct bh_time_sync *sync = time_sync_of(component);
    const struct bh_services *services = bh_services_of(component);

    if (component->version.major >= 4)
        write_sample(sync, services, body);
    else
        write_plain(sync, services, body);
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
