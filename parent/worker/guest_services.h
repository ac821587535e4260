/* SPDX-License-Identifier: MIT */
/* The services of the guest's bus, with the worker's clocks behind them. */
#ifndef PARENT_WORKER_GUEST_SERVICES_H
#define PARENT_WORKER_GUEST_SERVICES_H

#include <jansson.h>

#include "vsp/services/services.h"

struct bh_guest_services;

/* The guest has told something new of itself. */
typedef void bh_guest_told(void *context, json_t *stolen_guest);
/* It has answered a request to shut down. */
typedef void bh_guest_shutdown_answered(void *context, bool accepted);

struct bh_guest_services_host {
    /* The guest's reference time, 100 ns; false while it has none. */
    bool (*reference)(void *context, uint64_t *time);
    bh_guest_told *told;
    bh_guest_shutdown_answered *shutdown_answered;
    void *context;
};

/* NULL when there is no memory or descriptor. */
struct bh_guest_services *bh_guest_services_create(struct bh_vmbus *vmbus, const char *vm,
                                                   const struct bh_guest_services_host *host);
void bh_guest_services_destroy(struct bh_guest_services *services);

struct bh_services *bh_guest_services_bus(const struct bh_guest_services *services);

/* The member `guest` of status: what the guest has told; a new reference. */
json_t *bh_guest_services_status(const struct bh_guest_services *services);

#endif
