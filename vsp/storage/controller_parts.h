/* SPDX-License-Identifier: MIT */
/*
 * What a controller and its requests share. request.c has a request's life: it is taken from the
 * free ones, written down for a process that may follow, answered in order, and put back.
 * controller.c says what is done for it.
 */
#ifndef VSP_STORAGE_CONTROLLER_PARTS_H
#define VSP_STORAGE_CONTROLLER_PARTS_H

#include "vsp/bus/channel.h"
#include "vsp/protocol/storvsc.h"
#include "vsp/storage/controller.h"
#include "vsp/storage/scsi.h"

#define BH_REQUESTS           512u /* at a time; more stay in the rings */
#define BH_REQUEST_RANGES_MAX 3968u

/*
 * A request as the journal keeps it, from the round that took it until the one that answered it.
 * One that another process had taken and not answered is begun again: what was done of it so far
 * is done again, with the same data, since the guest waits for the answer.
 */
struct bh_slot {
    uint64_t taken;    /* round; 0: never used */
    uint64_t answered; /* round; 0: not yet */
    uint64_t transaction;
    uint32_t channel; /* its index */
    uint32_t type;
    uint32_t range_count;
    uint32_t range_bytes;
    struct storvsc_packet packet;
    uint8_t ranges[BH_REQUEST_RANGES_MAX];
};
_Static_assert(sizeof(struct bh_slot) <= 4096, "a page");
_Static_assert(BH_REQUESTS * 4096u <= BH_VMBUS_SPACE, "the device's space");

/* One packet of the guest, from its arrival until its answer is in the ring. */
struct bh_request {
    struct bh_scsi_request scsi;
    struct bh_controller *controller;
    struct bh_vmbus_channel *channel;
    struct bh_request *next; /* in a list: free, or answers without room */
    struct bh_slot *slot;
    uint64_t transaction;
    struct storvsc_packet packet;
    struct iovec pieces[BH_SCSI_PIECES_MAX];
};

/* Of an open channel, by its index. */
struct bh_queue {
    struct bh_vmbus_channel *channel;
    struct bh_request *first; /* answers that found no room, in order */
    struct bh_request **last;
};

struct bh_controller {
    struct bh_vmbus *bus;
    struct bh_vmbus_device *device;
    struct bh_disk *lun[BH_CONTROLLER_LUNS];
    struct bh_queue queue[1 + BH_CONTROLLER_SUB_CHANNELS];
    bool ready; /* the guest has finished initialization */
    bool rescan_wanted;
    const struct bh_vmbus_channel *serving; /* the bus flushes it afterwards */
    const uint64_t *round;                  /* the last that is whole */
    struct bh_request *free;                /* the one that was put back first, */
    struct bh_request **last_free;
    bool kept;    /* another process may go on from what is written down */
    bool starved; /* a channel stopped because there was no free request */
    struct bh_request request[BH_REQUESTS];
};

static inline struct bh_queue *bh_queue_of(struct bh_controller *controller,
                                           const struct bh_vmbus_channel *channel)
{
    return &controller->queue[bh_vmbus_channel_index(channel)];
}

/* All requests are free; each has a slot of the device's space. */
void bh_request_lay_out(struct bh_controller *controller);

/* Is there one to take now? One whose answer is not committed yet would be lost with its slot. */
bool bh_request_is_free(const struct bh_controller *controller);

/* Takes a free one for a packet, which is at least as long as a struct storvsc_packet. */
struct bh_request *bh_request_take(struct bh_controller *controller,
                                   struct bh_vmbus_channel *channel,
                                   const struct bh_vmbus_packet *packet);

/* Takes those that another process left without an answer on this channel; a list. */
struct bh_request *bh_request_take_open(struct bh_controller *controller,
                                        struct bh_vmbus_channel *channel);

/* Answers keep their order: one that waits for room holds up those behind it. */
void bh_request_answer(struct bh_request *request);

/* Writes the answers that wait; false when there is still no room. */
bool bh_queue_write_waiting(struct bh_queue *queue);

/* Without an answer: its channel is closed. */
void bh_request_put_back(struct bh_request *request);

#endif
