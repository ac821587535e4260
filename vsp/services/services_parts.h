/* SPDX-License-Identifier: MIT */
/* Inside of the services: the four components, each in its own file, and services.c around them. */
#ifndef VSP_SERVICES_SERVICES_PARTS_H
#define VSP_SERVICES_SERVICES_PARTS_H

#include "vsp/services/component.h"
#include "vsp/services/services.h"

#define BH_SECOND UINT64_C(1000000000) /* ns */

struct bh_shutdown {
    struct bh_component component;
    bool wanted;
    bool reboot;
    char reason[512];
};

struct bh_heartbeat_service {
    struct bh_component component;
    uint64_t next; /* when to ask, ns */
    uint64_t sequence;
    uint64_t heard; /* when the last answer came, ns */
};

struct bh_time_sync {
    struct bh_component component;
    uint64_t next;
    bool set;                        /* the next one sets the clock */
    struct ic_time_reference sample; /* the last one */
};

struct bh_kvp {
    struct bh_component component;
    uint64_t next;
    uint32_t index;             /* of the pair that is asked for */
    struct bh_guest_info found; /* in this round */
    char os_name[64];
    char os_version[64];
};

struct bh_services {
    struct bh_services_host host;
    struct bh_vmbus *bus;
    struct bh_watch timer;
    bool paused;
    struct bh_guest_info guest;
    struct bh_shutdown shutdown;
    struct bh_heartbeat_service heartbeat;
    struct bh_time_sync time_sync;
    struct bh_kvp kvp;
};

extern const struct bh_component_kind bh_shutdown_kind;
extern const struct bh_component_kind bh_heartbeat_kind;
extern const struct bh_component_kind bh_time_sync_kind;
extern const struct bh_component_kind bh_kvp_kind;

/* Of any component: the services it belongs to. */
struct bh_services *bh_services_of(const struct bh_component *component);

/* heartbeat.c: when an answer will be overdue, ns; and the check. */
uint64_t bh_heartbeat_overdue(const struct bh_heartbeat_service *heartbeat);
void bh_heartbeat_check(struct bh_heartbeat_service *heartbeat, uint64_t now);

/* Tells the host when `info` differs from what is known. */
void bh_services_note(struct bh_services *services, const struct bh_guest_info *info);

#endif
