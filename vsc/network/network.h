/* SPDX-License-Identifier: MIT */
/*
 * A client of VMBus's network card: NVSP, RNDIS, frames out by the shared send
 * buffer and in by the shared receive buffer. One channel.
 */
#ifndef VSC_NETWORK_NETWORK_H
#define VSC_NETWORK_NETWORK_H

#include "vsc/bus/channel.h"
#include "vsc/network/rndis.h"
#include "vsp/protocol/nvsp.h"

#define VSC_NETWORK_RING_PAGES    16u
#define VSC_NETWORK_RECEIVE_PAGES 256u
#define VSC_NETWORK_SEND_PAGES    64u
/* Memory of a card, in this order: both rings, receive buffer, send buffer, a page for requests. */
#define VSC_NETWORK_PAGES \
    (2u * VSC_NETWORK_RING_PAGES + VSC_NETWORK_RECEIVE_PAGES + VSC_NETWORK_SEND_PAGES + 1u)

#define VSC_NETWORK_SECTIONS_MAX 64u
#define VSC_NETWORK_OWED_MAX     1024u
#define VSC_NETWORK_FRAME_MAX    1514u

struct vsc_network {
    struct vsc_bus *bus;
    struct vsc_channel channel;
    uint8_t *receive;
    uint8_t *send;
    uint8_t *request; /* one page */
    uint32_t receive_gpadl;
    uint32_t send_gpadl;
    uint32_t version; /* of NVSP; 0: not agreed */
    uint32_t section_size;
    uint32_t section_count;
    bool section_used[VSC_NETWORK_SECTIONS_MAX];
    uint32_t sections_free;
    uint64_t refused; /* frames that the card did not take */
    /* The answers that are waited for. */
    struct nvsp_message reply;
    bool replied;
    uint32_t request_id;
    bool answered;
    uint32_t answer_status;
    uint32_t answer_size;
    uint8_t answer[64]; /* a query's value, as far as it fits */
    /* Receive buffers to give back, which found no room in the ring. */
    uint64_t owed[VSC_NETWORK_OWED_MAX];
    uint32_t owed_count;
    uint8_t mac[6];
    bool link;
    void (*received)(void *context, const uint8_t *frame, uint32_t size);
    void *context;
    uint64_t malformed; /* messages from the card that were none */
};

/*
 * Opens the first card on the bus, in VSC_NETWORK_PAGES pages of memory. `received` is called for
 * each frame; it may send.
 */
bool vsc_network_open(struct vsc_network *network, struct vsc_bus *bus, void *memory,
                      void (*received)(void *context, const uint8_t *frame, uint32_t size),
                      void *context);
bool vsc_network_close(struct vsc_network *network);

/* Copies a frame into the send buffer; false: no room. Goes out with vsc_network_flush. */
bool vsc_network_send(struct vsc_network *network, const void *frame, uint32_t size);
void vsc_network_flush(struct vsc_network *network);

/* Asks for an object, with its answer in network->answer; sets one of 4 bytes. An RNDIS status. */
uint32_t vsc_network_query(struct vsc_network *network, uint32_t oid);
uint32_t vsc_network_set(struct vsc_network *network, uint32_t oid, uint32_t value);

#endif
