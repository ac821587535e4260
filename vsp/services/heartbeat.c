/* SPDX-License-Identifier: MIT */
/* Does the guest's kernel still run? It is asked every two seconds. */
#include <string.h>

#include "vsp/services/services_parts.h"

#define INTERVAL (2 * BH_SECOND)
#define OVERDUE  (10 * BH_SECOND)

static struct bh_heartbeat_service *heartbeat_of(struct bh_component *component)
{
    return (struct bh_heartbeat_service *)component;
}

static void note(struct bh_component *component, enum bh_heartbeat state)
{
    struct bh_services *services = bh_services_of(component);
    struct bh_guest_info info = services->guest;

    info.heartbeat = state;
    bh_services_note(services, &info);
}

static uint64_t due(const struct bh_component *component)
{
    return ((const struct bh_heartbeat_service *)component)->next;
}

static void ask(struct bh_component *component, uint64_t now, uint8_t *body)
{
    struct bh_heartbeat_service *heartbeat = heartbeat_of(component);
    struct ic_heartbeat request = {.sequence = ++heartbeat->sequence};

    memcpy(body, &request, sizeof(request));
    heartbeat->next = now + INTERVAL;
}

static void answered(struct bh_component *component, uint64_t now, uint32_t status,
                     const uint8_t *body)
{
    struct bh_heartbeat_service *heartbeat = heartbeat_of(component);
    struct ic_heartbeat answer;

    memcpy(&answer, body, sizeof(answer));
    if (status != IC_STATUS_OK || answer.sequence != heartbeat->sequence + 1)
        return;
    heartbeat->sequence = answer.sequence;
    heartbeat->heard = now;
    note(component, BH_HEARTBEAT_OK);
}

/* Who has closed the channel is not missed: the guest boots again, or has no such driver. */
static void changed(struct bh_component *component, uint64_t now, bool ready)
{
    struct bh_heartbeat_service *heartbeat = heartbeat_of(component);

    heartbeat->next = 0;
    heartbeat->heard = now;
    if (!ready)
        note(component, BH_HEARTBEAT_NONE);
}

uint64_t bh_heartbeat_overdue(const struct bh_heartbeat_service *heartbeat)
{
    const struct bh_services *services = bh_services_of(&heartbeat->component);

    return services->guest.heartbeat == BH_HEARTBEAT_OK ? heartbeat->heard + OVERDUE
                                                        : BH_COMPONENT_NEVER;
}

void bh_heartbeat_check(struct bh_heartbeat_service *heartbeat, uint64_t now)
{
    if (now >= bh_heartbeat_overdue(heartbeat))
        note(&heartbeat->component, BH_HEARTBEAT_LOST);
}

static const struct ic_version versions[] = {{3, 0}, {1, 0}};

const struct bh_component_kind bh_heartbeat_kind = {
    .name = "heartbeat",
    .class = VMBUS_CLASS_HEARTBEAT,
    .type = IC_HEARTBEAT,
    .versions = versions,
    .version_count = sizeof(versions) / sizeof(versions[0]),
    .body_size = sizeof(struct ic_heartbeat),
    .due = due,
    .ask = ask,
    .answered = answered,
    .changed = changed,
};
