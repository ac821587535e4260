/* SPDX-License-Identifier: MIT */
/*
 * The services between a parent and its child: graceful shutdown, heartbeat,
 * time, and what the guest says of itself. They belong to the bus's loop.
 */
#ifndef VSP_SERVICES_SERVICES_H
#define VSP_SERVICES_SERVICES_H

#include "vsp/bus/device.h"

#define BH_GUEST_ADDRESSES_MAX 16u

struct bh_services;

enum bh_heartbeat {
    BH_HEARTBEAT_NONE, /* no guest has answered yet */
    BH_HEARTBEAT_OK,
    BH_HEARTBEAT_LOST,
};

/* Texts are UTF-8 without control characters; empty: not known. */
struct bh_guest_info {
    enum bh_heartbeat heartbeat;
    char os[128];
    char host_name[256];
    uint32_t address_count;
    char address[BH_GUEST_ADDRESSES_MAX][48]; /* IPv4 and IPv6, as inet_ntop writes them */
};

struct bh_services_host {
    void *context;
    uint64_t (*clock)(void); /* ns, never goes back */
    uint64_t (*utc)(void);   /* ns since 1970 */
    /* The partition's reference time, 100 ns, which stands still in a pause; false when it can not
     * be read now. NULL: the guest gets its time less exactly. */
    bool (*reference)(void *context, uint64_t *time);
    /* What the guest says of itself has changed. */
    void (*changed)(void *context, const struct bh_guest_info *info);
    /* The guest has taken the request to shut down, or will not do it. */
    void (*shutdown_answered)(void *context, bool accepted);
};

/* Offers all of them to the VM of that id. NULL when something cannot be had. */
struct bh_services *bh_services_create(struct bh_vmbus *bus, const char *vm,
                                       const struct bh_services_host *host);
void bh_services_destroy(struct bh_services *services);

/*
 * Asks the guest to end or to boot again; `reason` is shown to its users. False
 * when the guest has no such service, or has not answered an earlier request.
 */
bool bh_services_shutdown(struct bh_services *services, bool reboot, const char *reason);

/* A paused guest need not answer. When it goes on, its clock is set. */
void bh_services_pause(struct bh_services *services);
void bh_services_resume(struct bh_services *services);

const struct bh_guest_info *bh_services_guest(const struct bh_services *services);

#endif
