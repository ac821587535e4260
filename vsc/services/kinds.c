/* SPDX-License-Identifier: MIT */
/* Shutdown, heartbeat and time: each a few lines. */
#include <string.h>

#include "vsc/services/services.h"

/* --- shutdown: noted; whoever owns the guest ends it -------------------------------------- */

static uint32_t serve_shutdown(struct vsc_service *service, uint8_t *body, uint32_t size)
{
    struct vsc_shutdown *shutdown = service->state;

    (void)size;
    memcpy(&shutdown->flags, body + offsetof(struct ic_shutdown, flags), sizeof(shutdown->flags));
    shutdown->wanted = true;
    return IC_STATUS_OK;
}

static const struct ic_version shutdown_versions[] = {{3, 2}, {3, 1}, {3, 0}, {1, 0}};

const struct vsc_service_kind vsc_shutdown_kind = {.name = "shutdown",
                                                   .class = VMBUS_CLASS_SHUTDOWN,
                                                   .type = IC_SHUTDOWN,
                                                   .body_size =
                                                       offsetof(struct ic_shutdown, message),
                                                   .versions = shutdown_versions,
                                                   .version_count = 4,
                                                   .serve = serve_shutdown};

/* --- heartbeat: the number comes back one higher ------------------------------------------ */

static uint32_t serve_heartbeat(struct vsc_service *service, uint8_t *body, uint32_t size)
{
    uint64_t sequence;

    (void)service;
    (void)size;
    memcpy(&sequence, body, sizeof(sequence));
    sequence++;
    memcpy(body, &sequence, sizeof(sequence));
    return IC_STATUS_OK;
}

static const struct ic_version heartbeat_versions[] = {{3, 0}, {1, 0}};

const struct vsc_service_kind vsc_heartbeat_kind = {.name = "heartbeat",
                                                    .class = VMBUS_CLASS_HEARTBEAT,
                                                    .type = IC_HEARTBEAT,
                                                    .body_size = sizeof(uint64_t),
                                                    .versions = heartbeat_versions,
                                                    .version_count = 2,
                                                    .serve = serve_heartbeat};

/* --- time --------------------------------------------------------------------------------- */

static void note_reference(struct vsc_time *time, const uint8_t *body, uint8_t *flags)
{
    struct ic_time_reference sample;

    memcpy(&sample, body, sizeof(sample));
    time->parent_time = sample.parent_time;
    time->reference_time = sample.reference_time;
    *flags = sample.flags;
}

static void note_plain(struct vsc_time *time, const uint8_t *body, uint8_t *flags)
{
    struct ic_time sample;

    memcpy(&sample, body, sizeof(sample));
    time->parent_time = sample.parent_time;
    time->reference_time = 0;
    *flags = sample.flags;
}

static uint32_t serve_time(struct vsc_service *service, uint8_t *body, uint32_t size)
{
    struct vsc_time *time = service->state;
    uint8_t flags = 0;

    if (service->version.major >= 4)
        note_reference(time, body, &flags);
    else if (size >= sizeof(struct ic_time))
        note_plain(time, body, &flags);
    else
        return IC_STATUS_FAIL;
    time->samples++;
    time->settings += (flags & IC_TIME_SYNC_SET) != 0;
    return IC_STATUS_OK;
}

static const struct ic_version time_versions[] = {{4, 0}, {3, 0}, {1, 0}};

const struct vsc_service_kind vsc_time_kind = {.name = "time",
                                               .class = VMBUS_CLASS_TIME,
                                               .type = IC_TIME_SYNC,
                                               .body_size = sizeof(struct ic_time_reference),
                                               .versions = time_versions,
                                               .version_count = 3,
                                               .serve = serve_time};
