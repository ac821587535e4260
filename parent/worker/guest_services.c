/* SPDX-License-Identifier: MIT */
#include "parent/worker/guest_services.h"

#include <stdlib.h>
#include <time.h>

struct bh_guest_services {
    struct bh_guest_services_host host;
    struct bh_services *services;
};

static uint64_t utc(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool reference(void *context, uint64_t *time)
{
    const struct bh_guest_services *services = context;

    return services->host.reference(services->host.context, time);
}

static void set_text(json_t *object, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(object, name, json_string(text));
}

static json_t *info_json(const struct bh_guest_info *info)
{
    json_t *addresses = json_array();
    json_t *object = json_object();

    if (info->heartbeat != BH_HEARTBEAT_NONE)
        set_text(object, "heartbeat", info->heartbeat == BH_HEARTBEAT_OK ? "ok" : "lost");
    set_text(object, "os", info->os);
    set_text(object, "host_name", info->host_name);
    for (uint32_t i = 0; i < info->address_count; i++)
        json_array_append_new(addresses, json_string(info->address[i]));
    if (info->address_count != 0)
        json_object_set(object, "addresses", addresses);
    json_decref(addresses);
    return object;
}

static void changed(void *context, const struct bh_guest_info *info)
{
    const struct bh_guest_services *services = context;

    services->host.told(services->host.context, info_json(info));
}

static void shutdown_answered(void *context, bool accepted)
{
    const struct bh_guest_services *services = context;

    services->host.shutdown_answered(services->host.context, accepted);
}

struct bh_guest_services *bh_guest_services_create(struct bh_vmbus *vmbus, const char *vm,
                                                   const struct bh_guest_services_host *host)
{
    struct bh_guest_services *services = calloc(1, sizeof(*services));
    const struct bh_services_host behind = {.context = services,
                                            .clock = bh_loop_now,
                                            .utc = utc,
                                            .reference = reference,
                                            .changed = changed,
                                            .shutdown_answered = shutdown_answered};

    if (services == NULL)
        return NULL;
    services->host = *host;
    services->services = bh_services_create(vmbus, vm, &behind);
    if (services->services != NULL)
        return services;
    free(services);
    return NULL;
}

void bh_guest_services_destroy(struct bh_guest_services *services)
{
    if (services == NULL)
        return;
    bh_services_destroy(services->services);
    free(services);
}

struct bh_services *bh_guest_services_bus(const struct bh_guest_services *services)
{
    return services->services;
}

json_t *bh_guest_services_status(const struct bh_guest_services *services)
{
    return info_json(bh_services_guest(services->services));
}
