/* SPDX-License-Identifier: MIT */
/*
 * A client of VMBus's SCSI controller: initialization, sub-channels, commands
 * on any of its channels. A request belongs to its caller again when `done` is
 * called, or when the client is closed; its data is in the caller's own pages.
 */
#ifndef VSC_STORAGE_STORAGE_H
#define VSC_STORAGE_STORAGE_H

#include "vsc/bus/channel.h"
#include "vsp/protocol/storvsc.h"

#define VSC_STORAGE_CHANNELS_MAX 8u
#define VSC_STORAGE_DEPTH        256u /* requests at a time */

struct vsc_request {
    uint8_t cdb[STORVSC_CDB_SIZE];
    uint8_t cdb_length;
    uint8_t path;
    uint8_t target;
    uint8_t lun;
    enum storvsc_direction direction;
    void *data; /* `size` bytes; with size 0 none */
    uint32_t size;
    void (*done)(struct vsc_request *request); /* may be NULL */
    void *context;
    /* the answer */
    bool finished;
    uint8_t srb_status;
    uint8_t scsi_status;
    uint8_t sense_length; /* bytes of sense data; 0: none */
    uint8_t sense[STORVSC_SENSE_SIZE];
    uint32_t transferred;
};

struct vsc_storage {
    struct vsc_bus *bus;
    struct vsc_channel channel[VSC_STORAGE_CHANNELS_MAX];
    uint32_t channel_count; /* that are open */
    uint16_t version;       /* major in the upper byte */
    uint32_t transfer_max;  /* bytes of one command */
    uint16_t sub_channels_max;
    struct vsc_request *slot[VSC_STORAGE_DEPTH];
    uint32_t running;
    struct storvsc_packet answer; /* of the initialization */
    bool answered;
    bool rescan_wanted; /* the controller says: look for devices again */
};

/*
 * Opens the first controller on the bus, with `channels` channels of `pages` pages each way, all in
 * `memory`; fewer when the controller has not so many.
 */
bool vsc_storage_open(struct vsc_storage *storage, struct vsc_bus *bus, void *memory,
                      uint32_t pages, uint32_t channels);

/* Closes all channels, also with requests under way: those come back unfinished. */
bool vsc_storage_close(struct vsc_storage *storage);

/* False when neither the ring nor the table has room. Visible after vsc_storage_flush. */
bool vsc_storage_submit(struct vsc_storage *storage, uint32_t channel, struct vsc_request *request);
void vsc_storage_flush(struct vsc_storage *storage, uint32_t channel);

/* Submits on the first channel and waits; false when no answer came. */
bool vsc_storage_execute(struct vsc_storage *storage, struct vsc_request *request);

/* One message of the protocol without a command; false when it is refused. */
bool vsc_storage_control(struct vsc_storage *storage, struct storvsc_packet *packet);

#endif
