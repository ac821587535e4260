/* SPDX-License-Identifier: MIT */
/* What the files of a disk share. */
#ifndef VSP_STORAGE_PARTS_H
#define VSP_STORAGE_PARTS_H

#include "vsp/storage/disk.h"
#include "vsp/storage/limit.h"

#define DISK_BLOCK 512u
#define CD_BLOCK   2048u

struct bh_disk {
    struct bh_disk_options options;
    char id[32];
    char vm[64];
    struct bh_store *store;   /* NULL: an empty drive */
    struct bh_store *leaving; /* a disc that was taken out while I/O ran */
    uint32_t block;           /* bytes */
    uint32_t attention;       /* additional sense code of a unit attention to report; 0: none */
    bool locked;              /* the tray, by the guest */
    bool destroyed;
    uint32_t running;    /* requests that are with the store */
    uint64_t complained; /* ns: the last sentence in the log */
    struct bh_limit limit;
    struct bh_disk_stats stats;
};

/* inquiry.c */
void bh_disk_inquiry(struct bh_disk *disk, struct bh_scsi_request *request);

/* mode.c */
void bh_disk_mode_sense(struct bh_disk *disk, struct bh_scsi_request *request);
void bh_disk_read_capacity_10(struct bh_disk *disk, struct bh_scsi_request *request);
void bh_disk_read_capacity_16(struct bh_disk *disk, struct bh_scsi_request *request);

/* block.c: commands that the store executes */
void bh_disk_transfer(struct bh_disk *disk, struct bh_scsi_request *request);
void bh_disk_verify(struct bh_disk *disk, struct bh_scsi_request *request);
void bh_disk_flush(struct bh_disk *disk, struct bh_scsi_request *request);
void bh_disk_unmap(struct bh_disk *disk, struct bh_scsi_request *request);
void bh_disk_write_same(struct bh_disk *disk, struct bh_scsi_request *request);

/* cd.c; false: not a command of a CD-ROM drive */
bool bh_cd_execute(struct bh_disk *disk, struct bh_scsi_request *request);

/* disk.c: gives request->io to the store; its `done` ends with bh_disk_io_ended or goes on */
void bh_disk_submit(struct bh_disk *disk, struct bh_scsi_request *request);

/* Ends the request, 0 or a negative errno, which is reported here. */
void bh_disk_io_ended(struct bh_scsi_request *request, int result);

#endif
