/* SPDX-License-Identifier: MIT */
/* Asking the guest to end its run in order. */
#include <string.h>

#include "vsp/services/services_parts.h"

#define TIMEOUT_SECONDS 120u
/* "Operating system: planned", as administrators of the protocol's home know it. */
#define REASON          0x80020000u

static struct bh_shutdown *shutdown_of(struct bh_component *component)
{
    return (struct bh_shutdown *)component;
}

static uint64_t due(const struct bh_component *component)
{
    return ((const struct bh_shutdown *)component)->wanted ? 0 : BH_COMPONENT_NEVER;
}

/* The text goes as UTF-16; what is not ASCII is left out. */
static void ask(struct bh_component *component, uint64_t now, uint8_t *body)
{
    struct bh_shutdown *shutdown = shutdown_of(component);
    struct ic_shutdown request = {
        .reason = REASON,
        .timeout_seconds = TIMEOUT_SECONDS,
        .flags =
            IC_SHUTDOWN_FORCE | (shutdown->reboot ? IC_SHUTDOWN_REBOOT : IC_SHUTDOWN_POWER_OFF),
    };
    size_t at = 0;

    (void)now;
    for (const char *c = shutdown->reason; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            continue;
        request.message[at] = (uint8_t)*c;
        at += 2;
    }
    memcpy(body, &request, sizeof(request));
    shutdown->wanted = false;
}

static void answered(struct bh_component *component, uint64_t now, uint32_t status,
                     const uint8_t *body)
{
    struct bh_services *services = bh_services_of(component);

    (void)now;
    (void)body;
    services->host.shutdown_answered(services->host.context, status == IC_STATUS_OK);
}

static void changed(struct bh_component *component, uint64_t now, bool ready)
{
    (void)now;
    (void)ready;
    shutdown_of(component)->wanted = false;
}

static const struct ic_version versions[] = {{3, 2}, {3, 1}, {3, 0}, {1, 0}};

const struct bh_component_kind bh_shutdown_kind = {
    .name = "shutdown",
    .class = VMBUS_CLASS_SHUTDOWN,
    .type = IC_SHUTDOWN,
    .versions = versions,
    .version_count = sizeof(versions) / sizeof(versions[0]),
    .body_size = sizeof(struct ic_shutdown),
    .answers_anybody = true,
    .due = due,
    .ask = ask,
    .answered = answered,
    .changed = changed,
};
