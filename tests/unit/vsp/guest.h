/* SPDX-License-Identifier: MIT */
/*
 * A simulated guest: memory, the messages it was sent, its event flags, and
 * the guest's side of rings. Each test begins with `guest_begin`.
 */
#ifndef TESTS_UNIT_VSP_GUEST_H
#define TESTS_UNIT_VSP_GUEST_H

#include "vsp/bus/channel.h"

#define GUEST_PAGES    1024u
#define GUEST_VPS      2u
#define GUEST_MESSAGES 1024u

struct guest_message {
    uint32_t vp;
    size_t size;
    union {
        struct vmbus_header header;
        struct vmbus_offer offer;
        struct vmbus_relid_message relid;
        struct vmbus_open_result open;
        struct vmbus_gpadl_created created;
        struct vmbus_gpadl_torn_down torn;
        struct vmbus_version_response version;
        struct vmbus_modify_response modify;
    };
};

struct guest {
    uint8_t *memory;
    struct bh_vmbus_host host;
    struct bh_loop *loop;
    struct bh_vmbus *bus;
    uint32_t count; /* of messages that were posted and not taken */
    struct guest_message message[GUEST_MESSAGES];
    uint32_t room; /* messages it still takes before it is full */
    uint32_t signals[GUEST_VPS][2048];
    int doorbell[0x4000]; /* by connection id; -1: none */
    uint32_t logged;
    void *journal; /* its own, or NULL */
};

static inline uint8_t *guest_page(const struct guest *guest, uint32_t page)
{
    return guest->memory + (size_t)page * VMBUS_PAGE_SIZE;
}

struct guest *guest_begin(void);

/* One that another process can take over. */
struct guest *guest_begin_kept(void);

/* With a journal of bh_vmbus_journal_size bytes, which outlives the bus. */
struct guest *guest_begin_with_journal(void *journal);
void guest_end(struct guest *guest);

/*
 * Another process goes on with the guest as it is now, and the one before is over: the guest and
 * its journal are copied, and what still happens to the old ones nobody sees. It has its bus; the
 * devices are still to be added, and the bus to be resumed.
 */
struct guest *guest_take_over(const struct guest *fallen);

/* Lets the loop do everything there is. */
void guest_run(struct guest *guest);

void guest_post(struct guest *guest, const void *message, size_t size);

/* Takes the oldest message, which must be of this type. */
struct guest_message guest_take(struct guest *guest, enum vmbus_message_type type);

/* Version 5.3, offers asked for; the offers stay to be taken. */
void guest_connect(struct guest *guest);

/* A GPADL of `pages` pages from `first` on; the status of the answer. */
uint32_t guest_gpadl(struct guest *guest, uint32_t relid, uint32_t id, uint32_t first,
                     uint32_t pages);

/* Both rings of `pages` pages each, from page `first` on, with GPADL id `relid` + 100. */
uint32_t guest_open(struct guest *guest, uint32_t relid, uint32_t first, uint32_t pages);
void guest_close(struct guest *guest, uint32_t relid);

/* The guest's side of an open channel. */
struct guest_ring {
    struct guest *guest;
    uint32_t relid;
    uint8_t *out; /* control page of the ring to the host; data follows */
    uint8_t *in;
    uint32_t size;
};

struct guest_ring guest_ring_of(struct guest *guest, uint32_t relid, uint32_t first,
                                uint32_t pages);

/* Writes `size` bytes, a packet without its trailer, and rings the doorbell when it has to. */
bool guest_ring_write(struct guest_ring *ring, const void *packet, uint32_t size);

/* Reads a packet without its trailer; its size, 0 when there is none. */
uint32_t guest_ring_read(struct guest_ring *ring, void *packet, uint32_t capacity);

/* An inband packet. */
bool guest_send(struct guest_ring *ring, uint64_t transaction, const void *payload, uint32_t size);

#endif
