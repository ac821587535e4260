/* SPDX-License-Identifier: MIT */
/*
 * An open channel as its provider uses it: packets from the guest, packets to
 * the guest, and the guest's memory that packets name.
 *
 * A packet is copied out of the ring once, into memory of the bus, and checked
 * there: the guest can not change it any more. What is written becomes visible
 * to the guest, with an interrupt when it needs one, when the provider returns
 * to the loop from `ready`; a provider that writes at another time calls
 * `bh_vmbus_channel_flush` after its last packet.
 */
#ifndef VSP_BUS_CHANNEL_H
#define VSP_BUS_CHANNEL_H

#include <sys/uio.h>

#include "vsp/bus/device.h"
#include "vsp/protocol/vmbus.h"

#define BH_VMBUS_PACKET_MAX 65536u /* bytes; a longer one breaks the channel */

struct bh_vmbus_packet {
    uint64_t transaction;
    uint16_t type; /* VMBUS_PACKET_INBAND, _GPA_DIRECT or _COMPLETION */
    bool wants_completion;
    uint32_t size; /* of the payload, a multiple of 8 */
    const uint8_t *payload;
    uint32_t range_count; /* of a GPA-direct packet: well formed, but not looked up yet */
    uint32_t range_bytes; /* in all ranges together */
    const uint8_t *ranges;
};

/*
 * Takes the next packet; its pointers are valid until the next read of any channel of the bus.
 * False when there is none now: `ready` is called when there is. A provider that stops before
 * that calls `bh_vmbus_channel_kick` when it can go on.
 */
bool bh_vmbus_channel_read(struct bh_vmbus_channel *channel, struct bh_vmbus_packet *packet);

/* Has `ready` called soon, from the loop. */
void bh_vmbus_channel_kick(struct bh_vmbus_channel *channel);

/* Bytes at packet->ranges. */
uint32_t bh_vmbus_packet_ranges_size(const struct bh_vmbus_packet *packet);

/*
 * The memory that a packet's ranges name, one after the other, as few pieces as possible. Returns
 * the number of pieces, or -1 when not all is RAM or `max` are not enough. The guest can change
 * the bytes at any time: read them once.
 */
int bh_vmbus_packet_memory(const struct bh_vmbus_channel *channel,
                           const struct bh_vmbus_packet *packet, struct iovec *pieces, int max);

/* The same for a part of a GPADL that the guest made for this channel's device. */
int bh_vmbus_gpadl_memory(const struct bh_vmbus_channel *channel, uint32_t gpadl, uint64_t offset,
                          uint64_t size, struct iovec *pieces, int max);

/* The bytes in a GPADL of this channel's device; 0 when there is none of that id. */
uint64_t bh_vmbus_gpadl_size(const struct bh_vmbus_channel *channel, uint32_t gpadl);

/*
 * Write one packet; payloads are padded with zeros to 8 bytes. False when there is no room: then
 * `ready` is called when there is. Nothing is written to a channel that is not open (true).
 */
bool bh_vmbus_channel_send(struct bh_vmbus_channel *channel, uint64_t transaction, uint16_t flags,
                           const void *payload, uint32_t size);
bool bh_vmbus_channel_complete(struct bh_vmbus_channel *channel, uint64_t transaction,
                               const void *payload, uint32_t size);

/* A packet of type VMBUS_PACKET_TRANSFER_PAGES. */
bool bh_vmbus_channel_send_pages(struct bh_vmbus_channel *channel, uint64_t transaction,
                                 uint16_t flags, uint16_t page_set,
                                 const struct vmbus_transfer_range *ranges, uint32_t range_count,
                                 const void *payload, uint32_t size);

/* Shows the guest what was written and interrupts it when it asked for that. */
void bh_vmbus_channel_flush(struct bh_vmbus_channel *channel);

/*
 * While a channel is held, I/O may use the guest's memory: GPADLs are not given back, and neither
 * an unload nor a reset is finished. A channel that is held stays valid after it was closed.
 */
void bh_vmbus_channel_hold(struct bh_vmbus_channel *channel);
void bh_vmbus_channel_release(struct bh_vmbus_channel *channel);

bool bh_vmbus_channel_is_open(const struct bh_vmbus_channel *channel);
uint16_t bh_vmbus_channel_index(const struct bh_vmbus_channel *channel); /* 0: the primary */
uint32_t bh_vmbus_channel_target_vp(const struct bh_vmbus_channel *channel);
struct bh_vmbus *bh_vmbus_channel_bus(const struct bh_vmbus_channel *channel);

/* A provider's own pointer, NULL when the channel is opened. */
void bh_vmbus_channel_set_user(struct bh_vmbus_channel *channel, void *user);
void *bh_vmbus_channel_user(const struct bh_vmbus_channel *channel);

#endif
