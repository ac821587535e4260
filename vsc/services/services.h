/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of the parent's services: shutdown, heartbeat, time and
 * key-value exchange. The parent asks, each answers in place.
 */
#ifndef VSC_SERVICES_SERVICES_H
#define VSC_SERVICES_SERVICES_H

#include "vsc/bus/channel.h"
#include "vsp/protocol/ic.h"

#define VSC_SERVICE_PAGES 4u    /* of each ring of a service: 8 in `memory` */
#define VSC_SERVICE_BYTES 8192u /* of the longest request */
#define VSC_SERVICES      4u

struct vsc_service;

/* One kind of service. */
struct vsc_service_kind {
    const char *name;
    struct vmbus_guid class;
    uint16_t type;                     /* enum ic_type, of its requests */
    uint32_t body_size;                /* of its shortest request */
    const struct ic_version *versions; /* newest first */
    uint32_t version_count;
    /* Answers a request in place; the status of the answer. */
    uint32_t (*serve)(struct vsc_service *service, uint8_t *body, uint32_t size);
};

struct vsc_service {
    const struct vsc_service_kind *kind;
    struct vsc_channel channel;
    struct ic_version version; /* 0.0 until both have agreed */
    uint32_t requests;         /* that were answered, the negotiation not counted */
    void *state;               /* of the kind: below */
    _Alignas(8) uint8_t buffer[VSC_SERVICE_BYTES];
};

/* What the services have learned; all of it is 0 at first. */
struct vsc_shutdown {
    bool wanted;
    uint32_t flags; /* IC_SHUTDOWN_* */
};

struct vsc_time {
    uint32_t samples;
    uint32_t settings;       /* of them: those that set the clock */
    uint64_t parent_time;    /* of the last: UTC, 100 ns since 1601 */
    uint64_t reference_time; /* when it was that; 0: not told */
};

/* What the guest tells of itself. */
struct vsc_pair {
    const char *key; /* ASCII */
    const char *value;
};

struct vsc_pairs {
    const struct vsc_pair *pair;
    uint32_t count;
};

extern const struct vsc_service_kind vsc_shutdown_kind;  /* state: struct vsc_shutdown */
extern const struct vsc_service_kind vsc_heartbeat_kind; /* no state */
extern const struct vsc_service_kind vsc_time_kind;      /* state: struct vsc_time */
extern const struct vsc_service_kind vsc_kvp_kind;       /* state: const struct vsc_pairs */

/* Opens the service that the bus offers; false when there is none. `memory`: 2 rings. */
bool vsc_service_open(struct vsc_service *service, const struct vsc_service_kind *kind, void *state,
                      struct vsc_bus *bus, void *memory);
bool vsc_service_close(struct vsc_service *service);

#endif
