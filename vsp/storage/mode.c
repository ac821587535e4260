/* SPDX-License-Identifier: MIT */
/* MODE SENSE (SPC-4, 6.11 and 6.12) and READ CAPACITY (SBC-3, 5.15 and 5.16). */
#include <string.h>

#include "vsp/storage/parts.h"

#define PAGE_CACHING 0x08u
#define PAGE_CONTROL 0x0au
#define PAGE_ALL     0x3fu

#define WRITE_PROTECTED 0x80u
#define HAS_FUA         0x10u

/* A page's values that can be changed are all zero: none can. */
static size_t add_page(uint8_t *at, const uint8_t *page, size_t size, bool changeable)
{
    memcpy(at, page, size);
    if (changeable)
        memset(at + 2, 0, size - 2);
    return size;
}

static size_t add_pages(uint8_t *at, uint8_t code, bool changeable)
{
    static const uint8_t caching[20] = {PAGE_CACHING, 18, 0x04}; /* a write cache: flush it */
    static const uint8_t control[12] = {PAGE_CONTROL, 10, 0x00, 0x10};
    size_t size = 0;

    if (code == PAGE_CACHING || code == PAGE_ALL)
        size += add_page(at, caching, sizeof(caching), changeable);
    if (code == PAGE_CONTROL || code == PAGE_ALL)
        size += add_page(at + size, control, sizeof(control), changeable);
    return size;
}

void bh_disk_mode_sense(struct bh_disk *disk, struct bh_scsi_request *request)
{
    bool is_long = request->cdb[0] == SCSI_MODE_SENSE_10;
    size_t header = is_long ? 8 : 4;
    uint8_t data[64] = {0};
    uint8_t code = request->cdb[2] & 0x3fu;
    unsigned control = request->cdb[2] >> 6; /* current, changeable, default, saved */
    size_t size = add_pages(data + header, code, control == 1);
    uint8_t flags = HAS_FUA;

    if (control == 3 || (size == 0 && code != PAGE_ALL) ||
        (request->cdb[3] != 0 && request->cdb[3] != 0xff)) {
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    if (disk->store == NULL || disk->store->read_only)
        flags = WRITE_PROTECTED;
    size += header;
    if (is_long) {
        bh_scsi_put16(data, (uint32_t)size - 2);
        data[3] = flags;
        bh_scsi_reply(request, data, size, bh_scsi_get16(request->cdb + 7));
    } else {
        data[0] = (uint8_t)(size - 1);
        data[2] = flags;
        bh_scsi_reply(request, data, size, request->cdb[4]);
    }
}

static uint64_t last_block(const struct bh_disk *disk)
{
    uint64_t blocks = disk->store->size / disk->block;

    return blocks > 0 ? blocks - 1 : 0;
}

void bh_disk_read_capacity_10(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint64_t last = last_block(disk);
    uint8_t data[8];

    bh_scsi_put32(data, last < UINT32_MAX ? (uint32_t)last : UINT32_MAX);
    bh_scsi_put32(data + 4, disk->block);
    bh_scsi_reply(request, data, sizeof(data), sizeof(data));
}

void bh_disk_read_capacity_16(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint8_t data[32] = {0};

    if ((request->cdb[1] & 0x1fu) != SCSI_ACTION_READ_CAPACITY_16) {
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    bh_scsi_put64(data, last_block(disk));
    bh_scsi_put32(data + 8, disk->block);
    if (!disk->options.is_cd) {
        data[13] = 3;    /* 2^3 blocks in what the host writes at once */
        data[14] = 0x80; /* blocks can be unmapped */
    }
    bh_scsi_reply(request, data, sizeof(data), bh_scsi_get32(request->cdb + 10));
}
