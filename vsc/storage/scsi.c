/* SPDX-License-Identifier: MIT */
#include "vsc/storage/scsi.h"

#include <string.h>

#define NEWS_MAX 8 /* unit attentions one after the other */

uint32_t vsc_scsi_get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint64_t vsc_scsi_get64(const uint8_t *at)
{
    return (uint64_t)vsc_scsi_get32(at) << 32 | vsc_scsi_get32(at + 4);
}

static void put32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put64(uint8_t *at, uint64_t value)
{
    put32(at, (uint32_t)(value >> 32));
    put32(at + 4, (uint32_t)value);
}

/* --- commands ----------------------------------------------------------------------------- */

void vsc_scsi_plain(struct vsc_request *request, uint8_t lun, uint8_t operation)
{
    memset(request->cdb, 0, sizeof(request->cdb));
    request->cdb[0] = operation;
    request->cdb_length = STORVSC_CDB_SIZE;
    request->path = 0;
    request->target = 0;
    request->lun = lun;
    request->direction = STORVSC_NO_DATA;
    request->data = NULL;
    request->size = 0;
}

static void receive(struct vsc_request *request, void *data, uint32_t size)
{
    request->direction = STORVSC_READ;
    request->data = data;
    request->size = size;
}

static void transfer(struct vsc_request *request, const struct vsc_extent *extent,
                     enum storvsc_direction direction)
{
    put64(request->cdb + 2, extent->block);
    put32(request->cdb + 10, extent->count);
    request->direction = direction;
    request->data = extent->data;
    request->size = extent->size;
}

void vsc_scsi_read(struct vsc_request *request, uint8_t lun, const struct vsc_extent *extent)
{
    vsc_scsi_plain(request, lun, SCSI_READ_16);
    transfer(request, extent, STORVSC_READ);
}

void vsc_scsi_write(struct vsc_request *request, uint8_t lun, const struct vsc_extent *extent)
{
    vsc_scsi_plain(request, lun, SCSI_WRITE_16);
    transfer(request, extent, STORVSC_WRITE);
}

void vsc_scsi_flush(struct vsc_request *request, uint8_t lun)
{
    vsc_scsi_plain(request, lun, SCSI_SYNCHRONIZE_CACHE_10);
}

void vsc_scsi_inquiry(struct vsc_request *request, uint8_t lun, void *data, uint8_t size)
{
    vsc_scsi_plain(request, lun, SCSI_INQUIRY);
    request->cdb[4] = size;
    receive(request, data, size);
}

void vsc_scsi_report_luns(struct vsc_request *request, void *data, uint32_t size)
{
    vsc_scsi_plain(request, 0, SCSI_REPORT_LUNS);
    put32(request->cdb + 6, size);
    receive(request, data, size);
}

void vsc_scsi_read_capacity(struct vsc_request *request, uint8_t lun, void *data, uint32_t size)
{
    vsc_scsi_plain(request, lun, SCSI_SERVICE_ACTION_IN_16);
    request->cdb[1] = SCSI_ACTION_READ_CAPACITY_16;
    put32(request->cdb + 10, size);
    receive(request, data, size);
}

/* --- answers ------------------------------------------------------------------------------ */

bool vsc_scsi_is_good(const struct vsc_request *request)
{
    return request->finished && request->srb_status == SRB_SUCCESS &&
           request->scsi_status == SCSI_GOOD;
}

bool vsc_scsi_has_sense(const struct vsc_request *request, enum scsi_sense_key key, uint32_t code)
{
    return request->finished && request->scsi_status == SCSI_CHECK_CONDITION &&
           request->srb_status == (SRB_ERROR | SRB_AUTOSENSE_VALID) &&
           request->sense_length >= 14 && (request->sense[2] & 0xfu) == (unsigned)key &&
           ((uint32_t)request->sense[12] << 8 | request->sense[13]) == code;
}

bool vsc_scsi_make_ready(struct vsc_storage *storage, uint8_t lun)
{
    struct vsc_request request = {0};

    for (unsigned i = 0; i < NEWS_MAX; i++) {
        vsc_scsi_plain(&request, lun, SCSI_TEST_UNIT_READY);
        if (!vsc_storage_execute(storage, &request))
            return false;
        if (vsc_scsi_is_good(&request))
            return true;
    }
    return false;
}
