/* SPDX-License-Identifier: MIT */
/*
 * A channel as a client uses it: packets out, packets in. `ready` of its owner
 * is called when packets have come, and reads until there are none.
 */
#ifndef VSC_BUS_CHANNEL_H
#define VSC_BUS_CHANNEL_H

#include "vsc/bus/bus.h"
#include "vsc/bus/ring.h"

#define VSC_RANGE_PAGES_MAX 257u /* 1 MiB that begins anywhere */

struct vsc_channel {
    struct vsc_bus *bus; /* NULL: not open */
    uint32_t relid;
    uint32_t connection;
    uint32_t gpadl;
    bool broken;
    struct vsc_ring out;
    struct vsc_ring in;
    void (*ready)(void *context, struct vsc_channel *channel);
    void *context;
    uint64_t signals;    /* to the parent */
    uint64_t interrupts; /* event flags from it */
};

/*
 * Opens what is offered under `relid`, with rings of `pages` pages each in `memory`, which is
 * aligned to pages and stays until the channel is closed.
 */
bool vsc_channel_open(struct vsc_channel *channel, struct vsc_bus *bus, uint32_t relid,
                      void *memory, uint32_t pages);

/* Closes it; sub-channels are closed before their primary. True when the memory is ours again. */
bool vsc_channel_close(struct vsc_channel *channel);

/* --- packets out; false: no room. Visible after vsc_channel_flush. --- */

struct vsc_message {
    uint64_t transaction;
    uint16_t type; /* VMBUS_PACKET_INBAND, _COMPLETION */
    uint16_t flags;
    const void *payload;
    uint32_t size;
};

bool vsc_channel_send(struct vsc_channel *channel, const struct vsc_message *message);

/* The same as a GPA-direct packet with `length` bytes of `data`, at most 1 MiB. */
bool vsc_channel_send_range(struct vsc_channel *channel, const struct vsc_message *message,
                            const void *data, uint32_t length);
void vsc_channel_flush(struct vsc_channel *channel);

/* --- packets in --- */

struct vsc_packet {
    struct vmbus_descriptor descriptor;
    uint32_t size;          /* bytes in `buffer`, from the descriptor on */
    const uint8_t *payload; /* in `buffer` */
    uint32_t payload_size;
};

/* Copies the next packet into `buffer`; false: there is none, or the channel is broken. */
bool vsc_channel_read(struct vsc_channel *channel, void *buffer, uint32_t capacity,
                      struct vsc_packet *packet);

/* --- for the bus --- */

void vsc_channel_serve(struct vsc_channel *channel);
void vsc_channel_lost(struct vsc_channel *channel);

#endif
