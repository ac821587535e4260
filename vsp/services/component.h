/* SPDX-License-Identifier: MIT */
/*
 * What shutdown, heartbeat, time synchronisation and key-value exchange have in
 * common: a channel, the negotiation, and one request at a time. Linux reads one
 * packet for each interrupt there, so a second one would be stranded.
 */
#ifndef VSP_SERVICES_COMPONENT_H
#define VSP_SERVICES_COMPONENT_H

#include "vsp/bus/channel.h"
#include "vsp/protocol/ic.h"

#define BH_COMPONENT_BODY_MAX IC_KVP_BODY_SIZE
#define BH_COMPONENT_NEVER    UINT64_MAX

struct bh_component;

struct bh_component_kind {
    const char *name; /* also the device's in its instance GUID */
    struct vmbus_guid class;
    uint16_t type;                     /* enum ic_type */
    const struct ic_version *versions; /* of the messages */
    uint32_t version_count;
    uint32_t body_size;   /* of a request */
    bool answers_anybody; /* an answer means the same to a process that did not ask */
    /* When the next request is due, ns; BH_COMPONENT_NEVER: none. */
    uint64_t (*due)(const struct bh_component *component);
    /* Writes the request's body, of which body_size bytes are zero. */
    void (*ask)(struct bh_component *component, uint64_t now, uint8_t *body);
    /* The guest's answer: its status, and its body of body_size bytes, a private copy. */
    void (*answered)(struct bh_component *component, uint64_t now, uint32_t status,
                     const uint8_t *body);
    /* The guest agreed on a version (`ready`), or has closed the channel. */
    void (*changed)(struct bh_component *component, uint64_t now, bool ready);
};

enum bh_component_phase {
    BH_COMPONENT_CLOSED,
    BH_COMPONENT_NEGOTIATING,
    BH_COMPONENT_READY,
    BH_COMPONENT_REFUSED, /* no version in common; until the channel is opened again */
};

/* Embedded as the first member of each component's own structure. */
struct bh_component {
    const struct bh_component_kind *kind;
    struct bh_vmbus *bus;
    uint64_t (*clock)(void);      /* ns, never goes back */
    void (*moved)(void *context); /* what is due may have changed */
    void *context;
    struct bh_vmbus_device *device;
    struct bh_vmbus_channel *channel; /* NULL: not open */
    enum bh_component_phase phase;
    bool waits;             /* for an answer */
    bool stale;             /* to what another process had asked: see answers_anybody */
    uint64_t transaction;   /* of the last request */
    uint32_t first_version; /* versions before this one are not offered */
    struct ic_version version;
};

/* Offers the device. `kind`, `bus`, `clock`, `moved`, `context` are set. False: no place. */
bool bh_component_start(struct bh_component *component, const char *vm);
void bh_component_stop(struct bh_component *component);

/* Sends the request that is due, if any. */
void bh_component_pump(struct bh_component *component);

/* When pump should be called; BH_COMPONENT_NEVER while an answer is awaited. */
uint64_t bh_component_due(const struct bh_component *component);

#endif
