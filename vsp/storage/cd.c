/* SPDX-License-Identifier: MIT */
/* What a CD-ROM drive has beyond a disk (MMC-6): a tray, a table of contents, a profile. */
#include <string.h>

#include "vsp/storage/parts.h"

#define PROFILE_CD_ROM  0x0008u
#define PROFILE_DVD_ROM 0x0010u
#define CD_MAX          (UINT64_C(900) << 20) /* more does not fit on a CD */

#define LEAD_OUT   0xaau
#define DATA_TRACK 0x14u

#define FRAMES_PER_SECOND 75u

#define START_LOAD_EJECT 0x02u
#define START            0x01u

static void put_address(uint8_t *at, uint64_t block, bool minutes)
{
    uint64_t frame = block + 150; /* two seconds before the first block */

    if (!minutes) {
        bh_scsi_put32(at, (uint32_t)block);
        return;
    }
    at[0] = 0;
    at[1] = (uint8_t)(frame / FRAMES_PER_SECOND / 60);
    at[2] = (uint8_t)(frame / FRAMES_PER_SECOND % 60);
    at[3] = (uint8_t)(frame % FRAMES_PER_SECOND);
}

/* One session with one data track. */
static void read_toc(struct bh_disk *disk, struct bh_scsi_request *request)
{
    unsigned format = request->cdb[2] & 0x0fu;
    bool minutes = (request->cdb[1] & 0x02u) != 0;
    uint8_t first = request->cdb[6];
    uint8_t data[20] = {0, 0, 1, 1};
    size_t size = 4;

    if (format > 1 || (format == 0 && first > 1 && first != LEAD_OUT)) {
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    if (format == 1 || first <= 1) {
        data[size + 1] = DATA_TRACK;
        data[size + 2] = 1;
        put_address(data + size + 4, 0, minutes);
        size += 8;
    }
    if (format == 0) {
        data[size + 1] = DATA_TRACK;
        data[size + 2] = LEAD_OUT;
        put_address(data + size + 4, disk->store->size / CD_BLOCK, minutes);
        size += 8;
    }
    bh_scsi_put16(data, (uint32_t)size - 2);
    bh_scsi_reply(request, data, size, bh_scsi_get16(request->cdb + 7));
}

/* The list of profiles and the core feature; an empty drive has no current profile. */
static void get_configuration(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint8_t data[32] = {0};
    uint32_t profile = 0;

    if (disk->store != NULL)
        profile = disk->store->size > CD_MAX ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
    bh_scsi_put32(data, sizeof(data) - 4);
    bh_scsi_put16(data + 6, profile);
    data[10] = 0x03; /* feature 0: profiles, persistent and current */
    data[11] = 8;
    bh_scsi_put16(data + 12, PROFILE_DVD_ROM);
    data[14] = profile == PROFILE_DVD_ROM;
    bh_scsi_put16(data + 16, PROFILE_CD_ROM);
    data[18] = profile == PROFILE_CD_ROM;
    bh_scsi_put16(data + 20, 1); /* feature 1: core */
    data[22] = 0x0b;
    data[23] = 8;
    bh_scsi_put32(data + 24, 1); /* a SCSI interface */
    bh_scsi_reply(request, data, sizeof(data), bh_scsi_get16(request->cdb + 7));
}

/* Polled, of the class "media": whether there is a disc. News come as unit attentions. */
static void get_event_status(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint8_t data[8] = {0, 6, 0x04, 0x10, 0, 0, 0, 0};
    uint32_t size = sizeof(data);

    if ((request->cdb[1] & 1u) == 0) {
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    data[5] = disk->store != NULL ? 0x02 : 0x00;
    if ((request->cdb[4] & 0x10u) == 0) { /* of another class: there are no events */
        data[1] = 2;
        data[2] = 0x80;
        size = 4;
    }
    bh_scsi_reply(request, data, size, bh_scsi_get16(request->cdb + 7));
}

static void read_disc_information(struct bh_scsi_request *request)
{
    static const uint8_t data[34] = {0, 32, 0x0e, 1, 1, 1, 1};

    bh_scsi_reply(request, data, sizeof(data), bh_scsi_get16(request->cdb + 7));
}

static void start_stop(struct bh_disk *disk, struct bh_scsi_request *request)
{
    bool eject = (request->cdb[4] & (START_LOAD_EJECT | START)) == START_LOAD_EJECT;

    if (eject && !bh_disk_eject(disk, false))
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_REMOVAL_PREVENTED);
    else
        bh_scsi_good(request, 0);
}

static bool needs_disc(uint8_t operation)
{
    return operation == SCSI_READ_TOC || operation == SCSI_READ_DISC_INFORMATION;
}

bool bh_cd_execute(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint8_t operation = request->cdb[0];

    if (needs_disc(operation) && disk->store == NULL) {
        bh_scsi_fail(request, SCSI_NOT_READY, SCSI_ASC_MEDIUM_NOT_PRESENT);
        return true;
    }
    switch (operation) {
    case SCSI_READ_TOC:
        read_toc(disk, request);
        return true;
    case SCSI_GET_CONFIGURATION:
        get_configuration(disk, request);
        return true;
    case SCSI_GET_EVENT_STATUS:
        get_event_status(disk, request);
        return true;
    case SCSI_READ_DISC_INFORMATION:
        read_disc_information(request);
        return true;
    case SCSI_START_STOP_UNIT:
        start_stop(disk, request);
        return true;
    case SCSI_PREVENT_ALLOW:
        disk->locked = (request->cdb[4] & 1u) != 0;
        bh_scsi_good(request, 0);
        return true;
    default:
        return false;
    }
}
