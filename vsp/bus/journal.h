/* SPDX-License-Identifier: MIT */
/*
 * What has to outlive this process, so that another one can go on where it fell: what the guest
 * and the bus agreed on, how far rings are read and written, and what providers remember.
 *
 * It is memory that somebody else holds too, written in rounds. A round takes packets and messages
 * of the guest, changes state, and writes answers that the guest does not see yet; then it is
 * committed, by one store of its number, and only then shown to the guest. So what is found here
 * is the state after a whole number of rounds, and the guest has seen nothing of the one that was
 * cut off: its packets are still in their rings, and are taken again.
 *
 * All is plain data. There are two halves, for even and odd rounds; the control part, which is
 * long and changes seldom, is copied only when it did.
 */
#ifndef VSP_BUS_JOURNAL_H
#define VSP_BUS_JOURNAL_H

#include "vsp/bus/device.h"
#include "vsp/bus/ring.h"
#include "vsp/bus/vmbus.h"
#include "vsp/protocol/guid.h"
#include "vsp/protocol/vmbus.h"

#define BH_JOURNAL_MAGIC  UINT64_C(0x314e524a48420001)
#define BH_JOURNAL_OUTBOX 1024u /* a burst of offers and rescinds for all channels, and answers */

struct bh_contact {
    bool connected;
    bool offering; /* the guest asked for offers */
    uint32_t version;
    uint32_t target_vp;
};

/* What is answered when no I/O uses the memory of the guest before. */
enum bh_farewell { FAREWELL_NONE, FAREWELL_UNLOAD, FAREWELL_CONTACT };

struct bh_gpadl {
    uint32_t id;
    uint32_t relid; /* 0: the slot is free */
    uint32_t byte_count;
    uint32_t byte_offset;
    uint32_t pages;
    uint32_t received; /* PFNs so far; all of them: it is created */
    uint32_t first;    /* of its PFNs in the journal */
    bool doomed;       /* torn down; TORNDOWN follows when no I/O uses it */
};

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
    bool broken;    /* the guest broke the protocol: nothing is read or written */
    struct vmbus_guid instance;
    uint32_t target_vp;
    uint32_t gpadl;
    struct bh_ring in;
    struct bh_ring out;
};

/* What the connection, offers and GPADLs are. */
struct bh_journal_control {
    struct bh_contact contact;
    enum bh_farewell farewell;
    struct vmbus_initiate_contact request; /* for FAREWELL_CONTACT */
    uint64_t received;                     /* messages of the guest */
    uint32_t outbox_first;
    uint32_t outbox_count;
    uint32_t gpadl_pages;
    uint32_t gpadl_doomed;
    struct bh_gpadl gpadl[BH_VMBUS_GPADLS_MAX];
    struct bh_channel_state channel[BH_VMBUS_CHANNELS_MAX];
};

struct bh_journal_half {
    uint32_t which; /* of the two control parts */
    struct {
        uint32_t in;
        uint32_t out;
    } position[BH_VMBUS_CHANNELS_MAX];
    struct {
        bool used;
        struct vmbus_guid instance;
        uint64_t state[BH_VMBUS_STATE_MAX / 8];
    } device[BH_VMBUS_DEVICES_MAX];
};

struct bh_outbox_message {
    uint8_t payload[VMBUS_MESSAGE_SIZE_MAX];
    uint8_t size;
};

struct bh_journal {
    uint64_t magic;
    uint64_t size;  /* of this structure: the same program wrote it */
    uint64_t round; /* the last one that is whole; 0: none */
    uint64_t inbox_number;
    uint64_t inbox[BH_VMBUS_INBOX_SIZE / 8];
    struct bh_journal_half half[2];
    struct bh_journal_control control[2];
    struct bh_outbox_message outbox[BH_JOURNAL_OUTBOX];
    uint64_t pfn[BH_VMBUS_PAGES_MAX];
    _Alignas(4096) uint8_t space[BH_VMBUS_DEVICES_MAX][BH_VMBUS_SPACE];
};

/* Takes up what is in the host's memory, or begins it; false when there is none. */
bool bh_journal_open(struct bh_vmbus *bus);
void bh_journal_close(struct bh_vmbus *bus);

/* Ends the round that is under way. */
void bh_journal_commit(struct bh_vmbus *bus);

/* Did the process before have this device at this place? */
bool bh_journal_had_device(const struct bh_vmbus *bus, uint32_t place,
                           const struct vmbus_guid *instance);

/* The space of a device becomes zero. */
void bh_journal_clear_space(void *space);

/* The half of the last whole round. */
const struct bh_journal_half *bh_journal_last(const struct bh_journal *journal);

#endif
