/* SPDX-License-Identifier: MIT */
/*
 * A SCSI disk or CD-ROM drive: executes commands on its store. One thread, no
 * locks. Errors of the store reach the guest as sense data and the log as one
 * sentence a second at most.
 */
#ifndef VSP_STORAGE_DISK_H
#define VSP_STORAGE_DISK_H

#include "vsp/bus/loop.h"
#include "vsp/storage/scsi.h"

struct bh_disk_stats {
    uint64_t read_ops, write_ops, flush_ops;
    uint64_t read_bytes, write_bytes;
    uint64_t read_ns, write_ns;
    uint64_t errors;
};

struct bh_disk_options {
    const char *vm; /* for identifiers that are the same after each start */
    const char *id; /* at most 31 bytes */
    bool is_cd;
    uint64_t iops; /* of reads and writes; 0: no limit */
    uint64_t bytes_per_second;
    /* A failed operation, in a sentence. */
    void (*failed)(void *context, const char *id, const char *operation, const char *sentence);
    void *context;
};

/*
 * Takes over `store`; NULL, for a CD-ROM drive only, is an empty drive. NULL when there is no
 * memory or descriptor, and then `store` is closed, too.
 */
struct bh_disk *bh_disk_create(struct bh_loop *loop, const struct bh_disk_options *options,
                               struct bh_store *store);

/* Ends when its I/O has ended; no request may be given to it any more. */
void bh_disk_destroy(struct bh_disk *disk);

/* Executes; request->done may be called from within. */
void bh_disk_execute(struct bh_disk *disk, struct bh_scsi_request *request);

/* Starts what several calls of bh_disk_execute have left to start. */
void bh_disk_kick(struct bh_disk *disk);

/* Ends the requests that wait behind a rate limit: nobody wants them any more. */
void bh_disk_abandon(struct bh_disk *disk);

/*
 * Of a CD-ROM drive: a disc in place of the one there. Takes over `store`. False while I/O on a
 * disc that was taken out before still runs; then `store` is closed.
 */
bool bh_disk_insert(struct bh_disk *disk, struct bh_store *store);

/* False when the guest has locked the tray and `force` is not set, or I/O runs as above. */
bool bh_disk_eject(struct bh_disk *disk, bool force);
bool bh_disk_has_medium(const struct bh_disk *disk);

/* What a guest is told next (an additional sense code; 0: nothing), and whether it locked the tray:
 * for another process that goes on with the disk. */
uint32_t bh_disk_attention(const struct bh_disk *disk, bool *locked);
void bh_disk_set_attention(struct bh_disk *disk, uint32_t attention, bool locked);

const char *bh_disk_id(const struct bh_disk *disk);
const struct bh_disk_stats *bh_disk_get_stats(const struct bh_disk *disk);

#endif
