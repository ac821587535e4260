/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share. What a guest and the bus agreed on
 * is plain data (journal.h), without pointers into guest memory: addresses
 * are looked up at each use.
 */
#ifndef VSP_BUS_PARTS_H
#define VSP_BUS_PARTS_H

#include "vsp/bus/channel.h"
#include "vsp/bus/journal.h"
#include "vsp/bus/ring.h"

#define STATUS_OK     0u
#define STATUS_FAILED 0xc0000001u

/* --- channels ----------------------------------------------------------------------------- */

struct bh_vmbus_channel {
    struct bh_channel_state state;
    struct bh_vmbus *bus;
    struct bh_vmbus_device *device; /* NULL once it was removed */
    const struct bh_gpadl *pages;   /* of the rings, while open */
    struct bh_watch doorbell;
    uint32_t holds;
    uint32_t budget; /* packets it may still read in this round */
    bool kicked;
    bool drained;   /* signals again when the guest sees that all is read */
    bool unflushed; /* something was written in this round */
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

#define OUTBOX_FULL 256u /* from here on no more requests are taken */

/* The messages are in the journal. */
struct bh_outbox {
    uint32_t first;
    uint32_t count;
};

/* --- the bus ------------------------------------------------------------------------------ */

struct bh_vmbus {
    const struct bh_vmbus_host *host;
    struct bh_loop *loop;
    struct bh_journal *journal;
    bool resuming;      /* taken up from another process; not all devices are there yet */
    bool changed;       /* what a struct bh_journal_control holds */
    uint32_t busy;      /* in the middle of a round */
    uint32_t unflushed; /* channels */
    uint64_t received;
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

/* vmbus.c: a round; at its end it is committed, and what was written is shown to the guest */
void bh_round_begin(struct bh_vmbus *bus);
void bh_round_end(struct bh_vmbus *bus);

/* packet.c: shows the guest what was written before the last commit */
void bh_channel_show(struct bh_vmbus_channel *channel);

/* channel.c: after all devices were added again */
bool bh_channels_resume(struct bh_vmbus *bus);

/* outbox.c */
void bh_outbox_deliver(struct bh_vmbus *bus);
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
