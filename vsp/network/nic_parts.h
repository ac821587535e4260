/* SPDX-License-Identifier: MIT */
/*
 * Inside of a network card. nic.c is its life, nvsp.c what its guest and it agree
 * on, transmit.c takes frames from the guest, receive.c brings frames and answers
 * to it, saved.c takes it up in another process.
 *
 * A queue that finds its ring full keeps what it could not write (a completion,
 * an answer, a batch of frames) and reads nothing more until that is written; so
 * there is never more than one of each.
 *
 * Under a send rate queues that have something to send take turns: next is the
 * one that has sent the fewest bytes. A queue that was idle begins where the
 * others are, so it gets nothing for that time.
 */
#ifndef VSP_NETWORK_NIC_PARTS_H
#define VSP_NETWORK_NIC_PARTS_H

#include "vsp/bus/bucket.h"
#include "vsp/bus/channel.h"
#include "vsp/network/loans.h"
#include "vsp/network/nic.h"
#include "vsp/network/rndis.h"
#include "vsp/network/shared.h"
#include "vsp/protocol/nvsp.h"

#define BH_SEND_SECTION       6144u /* bytes */
#define BH_RECEIVE_ALLOCATION 1728u /* bytes; more with a large MTU */
#define BH_RECEIVE_RESERVE    16u   /* allocations kept for answers */
#define BH_RECEIVE_PARTS_MAX  64u   /* allocations of one frame */
#define BH_RECEIVE_BATCH      64u   /* ranges in one packet to the guest */
#define BH_READY_FRAMES       64    /* from a tap before others get their turn */

struct bh_nic_queue {
    struct bh_vmbus_channel *channel; /* NULL: not open */
    bool waits;                       /* reads nothing until its turn at the rate */
    uint64_t sent;                    /* bytes charged; whose is the least is next */
    /* What waits for room in the ring. */
    bool completion_waits;
    uint64_t completion_transaction;
    struct nvsp_message completion;
    uint32_t completion_size;
    struct bh_loan_chain answer; /* one allocation; empty: none waits */
    uint32_t answer_size;
    struct bh_loan_chain batch; /* frames collected for one packet */
    uint32_t batch_count;
    struct vmbus_transfer_range batch_range[BH_RECEIVE_BATCH];
};

struct bh_nic_tap {
    struct bh_nic *nic;
    struct bh_watch watch;
    uint32_t events; /* that are watched */
    bool gone;
};

struct bh_nic {
    struct bh_nic_options options;
    struct bh_nic_state state;
    struct bh_nic_stats stats;
    struct bh_vmbus *bus;
    struct bh_vmbus_device *device;
    uint64_t (*clock)(void);
    bool link_up;
    bool link_waits; /* the guest is to be told of the link */
    bool sub_channels_offered;
    bool listening;   /* the taps are watched */
    unsigned offload; /* bits that the taps have */
    uint16_t part_id; /* of the last frame that went in parts */
    struct bh_nic_queue queue[BH_NIC_QUEUES_MAX];
    struct bh_nic_tap tap[BH_NIC_QUEUES_MAX];
    uint32_t tap_count;
    struct bh_shared send;
    struct bh_shared receive;
    uint32_t send_gpadl;
    uint32_t receive_gpadl;
    struct bh_loans loans;
    struct bh_bucket transmit_bucket;
    uint64_t sent; /* of the queue that sent last, before it did */
    struct bh_bucket receive_bucket;
    struct bh_watch timer;       /* when a bucket has something again */
    uint8_t frame[BH_FRAME_MAX]; /* on its way to the guest */
};

/* The state of a card is its primary channel's. */
static inline bool bh_nic_is_primary(const struct bh_nic *nic, const struct bh_nic_queue *queue)
{
    return queue == &nic->queue[0];
}

/* nic.c */

/* Is everything written that waited? */
bool bh_nic_queue_flush(struct bh_nic *nic, struct bh_nic_queue *queue);

/* After anything has changed: watches the taps or not, and sets the timer. */
void bh_nic_look(struct bh_nic *nic);

/* Completes a packet of the guest, now or when there is room. `size` 0: without a message. */
void bh_nic_complete(struct bh_nic_queue *queue, uint64_t transaction,
                     const struct nvsp_message *message, uint32_t size);

/* nvsp.c */

void bh_nic_serve_packet(struct bh_nic *nic, struct bh_nic_queue *queue,
                         const struct bh_vmbus_packet *packet);

/* What waits to be brought to the guest goes with the buffer it is in. */
void bh_nic_close_receive_buffer(struct bh_nic *nic, struct bh_vmbus_channel *channel);
void bh_nic_close_send_buffer(struct bh_nic *nic, struct bh_vmbus_channel *channel);

/* saved.c: of struct bh_vmbus_provider */
void bh_nic_save(void *context, void *to);
bool bh_nic_resumed(void *context, struct bh_vmbus_channel *channel);

/* transmit.c */

/* An RNDIS message or several from the guest; an enum nvsp_status for the completion. */
uint32_t bh_nic_transmit(struct bh_nic *nic, struct bh_nic_queue *queue,
                         const struct bh_vmbus_packet *packet, const struct nvsp_message *message);

/* receive.c */

/* May frames be taken from the taps now? */
bool bh_nic_can_receive(const struct bh_nic *nic);

/* Takes frames from a tap to the guest. */
void bh_nic_receive(struct bh_nic *nic, struct bh_nic_tap *tap);

/* Forgets the frames that have piled up while nobody listened. */
void bh_nic_drain(struct bh_nic *nic, struct bh_nic_tap *tap);

/* Sends a queue's collected frames; false when there was no room, and they wait. */
bool bh_nic_send_batch(struct bh_nic *nic, struct bh_nic_queue *queue);

/*
 * An RNDIS control message for the guest; bh_nic_queue_flush sends it, behind the completion of
 * what it answers. False when one waits already, or there is no allocation.
 */
bool bh_nic_answer(struct bh_nic *nic, const uint8_t *message, uint32_t size);
bool bh_nic_send_answer(struct bh_nic *nic, struct bh_nic_queue *queue);

#endif
