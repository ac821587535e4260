/* SPDX-License-Identifier: MIT */
/*
 * A card on a bench: a driver as simple as can be in the simulated guest, and a
 * socket that stands for the tap. One bench at a time; what must hold is asserted.
 */
#ifndef TESTS_UNIT_VSP_NIC_BENCH_H
#define TESTS_UNIT_VSP_NIC_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#include "tests/unit/vsp/guest.h"
#include "vsp/network/nic.h"
#include "vsp/network/nic_parts.h"
#include "vsp/protocol/nvsp.h"

/* Pages of the guest's memory. */
#define RING_PAGES    8u
#define RING_AT(n)    (16u + 16u * (n)) /* first page of the rings of channel n */
#define RECEIVE_AT    200u
#define RECEIVE_PAGES 256u
#define SEND_AT       480u
#define SEND_PAGES    30u
#define SCRATCH_AT    600u

#define SECOND UINT64_C(1000000000)

struct nic_bench {
    struct guest *guest;
    struct bh_nic *nic;
    int tap;          /* the other end of the tap's queue that is used */
    int taps[2];      /* of all its queues */
    int card_ends[2]; /* the card's own */
    unsigned queues;  /* of the tap */
    struct bh_nic_options options;
    bool link_down; /* of the next card */
    uint64_t now;   /* the card's clock, ns */
    uint32_t relid[4];
    struct guest_ring ring[4];
    uint32_t allocation; /* bytes */
    uint32_t request;
};

/* A packet of received frames or answers. */
struct nic_received {
    struct vmbus_descriptor descriptor;
    struct vmbus_transfer_header transfer;
    struct vmbus_transfer_range range[64];
    uint8_t rest[512];
};

extern struct nic_bench bench;
extern const uint8_t bench_own[6]; /* the card's address */
extern const uint8_t bench_other[6];

/* --- life --------------------------------------------------------------------------------- */

/* On a tap of `queues` queues, at most 2. */
void bench_add_card_on(struct bh_nic_options options, unsigned queues);
void bench_add_card(struct bh_nic_options options);
void bench_open_channel(unsigned n);
void bench_bring_up_nvsp(void);

/* All three, RNDIS and a filter: frames go both ways. */
void bench_begin(struct bh_nic_options options);
void bench_begin_on(struct bh_nic_options options, unsigned queues);
void bench_end(void);

/* The process of the card falls, and another one goes on. */
void bench_fall(void);

/* --- NVSP and RNDIS ----------------------------------------------------------------------- */

struct nvsp_message bench_take_completion(uint64_t transaction);
struct nvsp_message bench_ask(const struct nvsp_message *message);

/* A message to which no reply is due: its completion is empty. */
void bench_tell(const struct nvsp_message *message);

/* What came on a channel; the number of ranges, 0: nothing. */
uint32_t bench_take_pages(unsigned channel, struct nic_received *received);
void bench_give_back(unsigned channel, uint64_t transaction);
const uint8_t *bench_received_at(const struct vmbus_transfer_range *range);

uint8_t *bench_page_at(size_t page);
uint8_t *bench_scratch(void);

/* Sends bytes at `page` of the guest as RNDIS, by GPA-direct. */
bool bench_send_direct(unsigned channel, uint32_t type, uint32_t page, uint32_t offset,
                       uint32_t size);
uint32_t bench_send_scratch(uint32_t type, uint32_t size); /* the completion's status */

/* An RNDIS request; the answer's status word at `status_at`. */
uint32_t bench_control(const uint32_t *words, uint32_t count, unsigned status_at);
void bench_set_filter(uint32_t filter);
void bench_set_offload(uint8_t tcp, uint8_t rsc);

/* --- frames ------------------------------------------------------------------------------- */

uint32_t bench_make_frame(uint8_t *frame, const uint8_t *to, const uint8_t *from, uint32_t size);

/* The RNDIS message of a frame of the guest, at `at`; its size. */
uint32_t bench_wrap(uint8_t *at, const uint8_t *frame, uint32_t size);

/* What has come out at the tap; the frame's size, 0: nothing. */
long bench_take_tap(struct virtio_net_hdr *header, uint8_t *frame);
void bench_put_tap(const struct virtio_net_hdr *header, const uint8_t *frame, size_t size);
void bench_put_plain(const uint8_t *to, uint32_t size);

/* A frame from the tap to that address reaches the guest. */
bool bench_hears(const uint8_t *to);

#endif
