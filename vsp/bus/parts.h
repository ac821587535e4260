/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share. What a guest and the bus agreed on
 * (struct bh_channel_state, struct bh_gpadl with its PFNs, struct
 * bh_contact) is plain data, without pointers into guest memory: addresses
 * are looked up at each use, so the state can be written down and taken up
 * again by another process.
 */
#ifndef VSP_BUS_PARTS_H
#define VSP_BUS_PARTS_H

#include "vsp/bus/channel.h"
#include "vsp/bus/ring.h"

#define STATUS_OK     0u
#define STATUS_FAILED 0xc0000001u

/* --- GPADLs ------------------------------------------------------------------------------- */

struct bh_gpadl {
    uint32_t id;
    uint32_t relid; /* 0: the slot is free */
    uint32_t byte_count;
    uint32_t byte_offset;
    uint32_t pages;
    uint32_t received; /* PFNs so far; all of them: it is created */
    bool doomed;       /* torn down; TORNDOWN follows when no I/O uses it */
    uint64_t *pfn;
};

/* --- channels ----------------------------------------------------------------------------- */

enum bh_channel_phase {
    CHANNEL_FREE,
    CHANNEL_IDLE, /* of a device; this guest was not told */
    CHANNEL_OFFERED,
    CHANNEL_OPEN,
    CHANNEL_RESCINDED, /* until the guest releases the relid */
};

struct bh_channel_state {
    enum bh_channel_phase phase;
    uint32_t relid; /* its place in the table, plus 1 */
    uint16_t index; /* 0: primary */
    struct vmbus_guid instance;
    uint32_t target_vp;
    uint32_t gpadl;
    struct bh_ring in;
    struct bh_ring out;
};

struct bh_vmbus_channel {
    struct bh_channel_state state;
    struct bh_vmbus *bus;
    struct bh_vmbus_device *device; /* NULL once it was removed */
    const struct bh_gpadl *pages;   /* of the rings, while open */
    struct bh_watch doorbell;
    uint32_t holds;
    uint32_t budget; /* packets it may still read in this round */
    bool broken;     /* the guest broke the protocol: nothing is read or written */
    bool kicked;
    void *user;
};

struct bh_vmbus_device {
    struct bh_vmbus *bus; /* NULL: the slot is free */
    struct bh_vmbus_identity identity;
    const struct bh_vmbus_provider *provider;
    void *context;
    struct bh_vmbus_channel *primary;
};

/* --- messages to the guest ---------------------------------------------------------------- */

#define OUTBOX_SIZE 1024u /* a burst of offers and rescinds for all channels, and answers */
#define OUTBOX_FULL 256u  /* from here on no more requests are taken */

struct bh_outbox_message {
    uint8_t payload[VMBUS_MESSAGE_SIZE_MAX];
    uint8_t size;
};

struct bh_outbox {
    uint32_t first;
    uint32_t count;
    struct bh_outbox_message message[OUTBOX_SIZE];
};

/* --- the bus ------------------------------------------------------------------------------ */

struct bh_contact {
    bool connected;
    bool offering; /* the guest asked for offers */
    uint32_t version;
    uint32_t target_vp;
};

/* What is answered when no I/O uses the memory of the guest before. */
enum bh_farewell { FAREWELL_NONE, FAREWELL_UNLOAD, FAREWELL_CONTACT };

struct bh_vmbus {
    const struct bh_vmbus_host *host;
    struct bh_loop *loop;
    struct bh_contact contact;
    enum bh_farewell farewell;
    struct vmbus_initiate_contact request; /* for FAREWELL_CONTACT */
    struct bh_outbox outbox;
    struct bh_watch again; /* eventfd: channels that were kicked */
    void (*on_room)(void *context);
    void *on_room_context;
    bool room_wanted;
    uint32_t holds; /* of all channels */
    uint32_t gpadl_pages;
    uint32_t gpadl_doomed;
    struct bh_gpadl gpadl[BH_VMBUS_GPADLS_MAX];
    struct bh_vmbus_device device[BH_VMBUS_DEVICES_MAX];
    struct bh_vmbus_channel channel[BH_VMBUS_CHANNELS_MAX];
    uint64_t packet[BH_VMBUS_PACKET_MAX / 8]; /* the copy of the packet that was read last */
};

/* outbox.c */
void bh_outbox_post(struct bh_vmbus *bus, const void *payload, size_t size);
void bh_outbox_clear(struct bh_vmbus *bus);

/* gpadl.c: requests of the guest, and looking them up */
void bh_gpadl_header(struct bh_vmbus *bus, const void *payload, size_t size);
void bh_gpadl_body(struct bh_vmbus *bus, const void *payload, size_t size);
void bh_gpadl_teardown(struct bh_vmbus *bus, const struct vmbus_gpadl_teardown *request);
const struct bh_gpadl *bh_gpadl_find(const struct bh_vmbus *bus, uint32_t relid, uint32_t id);
void bh_gpadl_forget(struct bh_vmbus *bus, uint32_t relid); /* 0: all; without an answer */
void bh_gpadl_finish(struct bh_vmbus *bus);                 /* answers for the doomed */

/* device.c: offers */
uint32_t bh_channel_connection(const struct bh_vmbus_channel *channel);
void bh_devices_offer(struct bh_vmbus *bus);
void bh_channel_rescind(struct bh_vmbus_channel *channel);
void bh_channel_released(struct bh_vmbus *bus, uint32_t relid);

/* channel.c: requests of the guest */
struct bh_vmbus_channel *bh_channel_find(struct bh_vmbus *bus, uint32_t relid);
void bh_channel_open(struct bh_vmbus *bus, const struct vmbus_open *request);
void bh_channel_close(struct bh_vmbus_channel *channel);
void bh_channel_modify(struct bh_vmbus *bus, const struct vmbus_modify *request);
void bh_channels_disconnect(struct bh_vmbus *bus);
void bh_channels_serve_kicked(void *context, uint32_t events);

bool bh_channel_may_read(struct bh_vmbus_channel *channel);

/* packet.c */
/* Appends guest memory that lies in one page to a list; false when it is not RAM or too much. */
bool bh_pieces_add(const struct bh_vmbus *bus, struct iovec *pieces, int max, int *count,
                   uint64_t gpa, uint64_t length);
void bh_channel_break(struct bh_vmbus_channel *channel, const char *why);
struct bh_ring_memory bh_channel_memory(const struct bh_vmbus_channel *channel);

/* vmbus.c: I/O of a channel has ended */
void bh_vmbus_holds_changed(struct bh_vmbus *bus);

#endif
