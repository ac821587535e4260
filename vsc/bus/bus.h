/* SPDX-License-Identifier: MIT */
/*
 * The guest's connection to VMBus: version, offers, GPADLs, unload. One thread;
 * calls that ask something wait for the answer, and meanwhile all channels are
 * served. A call returns false when the answer is no, or none came in time.
 */
#ifndef VSC_BUS_BUS_H
#define VSC_BUS_BUS_H

#include "vsc/bus/platform.h"
#include "vsp/protocol/vmbus.h"

#define VSC_RELIDS   256u /* relids are 1 to one less */
#define VSC_PATIENCE (60 * VSC_SECOND)

struct vsc_channel;

/* What stands under one relid. */
struct vsc_slot {
    bool offered;
    bool rescinded;
    struct vmbus_offer offer;
    struct vsc_channel *channel; /* NULL: not open */
};

struct vsc_bus {
    const struct vsc_platform *platform;
    uint32_t version;    /* 0: not connected */
    uint32_t connection; /* where requests are posted */
    uint32_t next_gpadl;
    uint32_t target_vp;
    /* The answer that is waited for. */
    uint32_t awaited; /* its type; 0: it is there */
    uint32_t key;     /* its relid or GPADL; 0: any */
    uint32_t status;
    union {
        struct vmbus_version_response version;
        uint8_t bytes[VMBUS_MESSAGE_SIZE_MAX];
    } answer;
    struct vsc_slot slot[VSC_RELIDS];
};

void vsc_bus_begin(struct vsc_bus *bus, const struct vsc_platform *platform, uint32_t target_vp);

/* Agrees on the newest version that both sides know, but not above `newest`, and gets the offers.
 */
bool vsc_bus_connect(struct vsc_bus *bus, uint32_t newest);

/* Asks for one version and nothing else. */
bool vsc_bus_contact(struct vsc_bus *bus, uint32_t version);

/* Ends the connection; channels that are open are gone. */
bool vsc_bus_unload(struct vsc_bus *bus);

/* The relid of the first offer of a class with this sub-channel index behind `after`; 0: none. */
uint32_t vsc_bus_find(const struct vsc_bus *bus, const struct vmbus_guid *class, uint16_t index,
                      uint32_t after);

/* Gives a rescinded relid back. */
bool vsc_bus_release(struct vsc_bus *bus, uint32_t relid);

/* A list of `pages` from `memory` on for the device of that relid; *id names it afterwards. */
bool vsc_gpadl_create(struct vsc_bus *bus, uint32_t relid, const void *memory, uint32_t pages,
                      uint32_t *id);
bool vsc_gpadl_teardown(struct vsc_bus *bus, uint32_t relid, uint32_t id);

/* --- for the platform --- */

void vsc_bus_message(struct vsc_bus *bus, const void *payload, size_t size);
void vsc_bus_event(struct vsc_bus *bus, uint32_t relid);

/* --- for the parts of the library --- */

/* Posts, again and again while the port is full. */
bool vsc_bus_post(struct vsc_bus *bus, const void *payload, size_t size);

/* Posts and waits for the answer of that type about `key`; its status is in bus->status. */
bool vsc_bus_ask(struct vsc_bus *bus, const void *payload, size_t size, uint32_t type,
                 uint32_t key);

/* Serves once; false when `deadline` has passed. */
bool vsc_bus_wait(struct vsc_bus *bus, uint64_t deadline);
uint64_t vsc_bus_deadline(const struct vsc_bus *bus, uint64_t from_now);

#endif
