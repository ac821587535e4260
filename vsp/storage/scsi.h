/* SPDX-License-Identifier: MIT */
/*
 * A SCSI command as a device serves it (SPC-4, SBC-3, MMC-6). Commands come
 * from the guest: every field of a CDB is checked before it is used.
 */
#ifndef VSP_STORAGE_SCSI_H
#define VSP_STORAGE_SCSI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vsp/protocol/scsi.h"
#include "vsp/storage/store.h"

#define BH_SCSI_TRANSFER_MAX (1u << 20) /* bytes of one command */
#define BH_SCSI_PIECES_MAX   (BH_SCSI_TRANSFER_MAX / 4096u + 1u)
#define BH_SCSI_SENSE_SIZE   18u

enum bh_scsi_direction { BH_SCSI_WRITE, BH_SCSI_READ, BH_SCSI_NO_DATA };

struct bh_disk;

struct bh_scsi_request {
    uint8_t cdb[16];
    enum bh_scsi_direction direction;
    uint32_t size;        /* of the guest's data, at most BH_SCSI_TRANSFER_MAX */
    struct iovec *pieces; /* where that is; BH_SCSI_PIECES_MAX of them may be used */
    int count;
    void (*done)(struct bh_scsi_request *request);
    /* the answer */
    uint8_t status; /* SCSI_GOOD or SCSI_CHECK_CONDITION, then with sense data */
    uint8_t sense[BH_SCSI_SENSE_SIZE];
    uint32_t transferred; /* bytes of the guest's data that were read or written */
    /* the device's own */
    struct bh_disk *disk;
    struct bh_store *store;
    struct bh_store_io io;
    struct iovec filled;           /* WRITE SAME: the buffer that is written again and again */
    uint64_t left;                 /* bytes, or of UNMAP descriptors, after this I/O */
    uint64_t began;                /* ns */
    struct bh_scsi_request *queue; /* behind a rate limit */
};

/* Ends a request. */
void bh_scsi_good(struct bh_scsi_request *request, uint32_t transferred);
void bh_scsi_fail(struct bh_scsi_request *request, enum scsi_sense_key key, uint32_t code);

/* Ends it with data for the guest, cut to `allocated` and to what the guest has room for. */
void bh_scsi_reply(struct bh_scsi_request *request, const void *data, size_t size,
                   uint32_t allocated);

/* Fixed-format sense data. */
void bh_scsi_sense(uint8_t sense[BH_SCSI_SENSE_SIZE], enum scsi_sense_key key, uint32_t code);

/* Copies between a buffer and the guest's data, from its beginning; the bytes that fit. */
uint32_t bh_scsi_copy_in(const struct bh_scsi_request *request, void *to, size_t size);
uint32_t bh_scsi_copy_out(const struct bh_scsi_request *request, const void *from, size_t size);

static inline uint32_t bh_scsi_get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t bh_scsi_get32(const uint8_t *at)
{
    return bh_scsi_get16(at) << 16 | bh_scsi_get16(at + 2);
}

static inline uint64_t bh_scsi_get64(const uint8_t *at)
{
    return (uint64_t)bh_scsi_get32(at) << 32 | bh_scsi_get32(at + 4);
}

static inline void bh_scsi_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void bh_scsi_put32(uint8_t *at, uint32_t value)
{
    bh_scsi_put16(at, value >> 16);
    bh_scsi_put16(at + 2, value);
}

static inline void bh_scsi_put64(uint8_t *at, uint64_t value)
{
    bh_scsi_put32(at, (uint32_t)(value >> 32));
    bh_scsi_put32(at + 4, (uint32_t)value);
}

#endif
