/* SPDX-License-Identifier: MIT */
/* SCSI commands as requests of a storage client, and what their answers say. */
#ifndef VSC_STORAGE_SCSI_H
#define VSC_STORAGE_SCSI_H

#include "vsc/storage/storage.h"
#include "vsp/protocol/scsi.h"

/* Where a request works: blocks of a disk, and the bytes in memory. */
struct vsc_extent {
    uint64_t block;
    uint32_t count;
    void *data;
    uint32_t size; /* bytes */
};

/* READ and WRITE with 16 bytes of CDB. */
void vsc_scsi_read(struct vsc_request *request, uint8_t lun, const struct vsc_extent *extent);
void vsc_scsi_write(struct vsc_request *request, uint8_t lun, const struct vsc_extent *extent);

void vsc_scsi_flush(struct vsc_request *request, uint8_t lun);
void vsc_scsi_inquiry(struct vsc_request *request, uint8_t lun, void *data, uint8_t size);
void vsc_scsi_report_luns(struct vsc_request *request, void *data, uint32_t size);
void vsc_scsi_read_capacity(struct vsc_request *request, uint8_t lun, void *data, uint32_t size);

/* A command without data: operation code and zeros. */
void vsc_scsi_plain(struct vsc_request *request, uint8_t lun, uint8_t operation);

/* Takes the news that a disk has (it was switched on, it was changed); true when it is ready then.
 */
bool vsc_scsi_make_ready(struct vsc_storage *storage, uint8_t lun);

/* Did the command succeed, or what do its sense data say? */
bool vsc_scsi_is_good(const struct vsc_request *request);
bool vsc_scsi_has_sense(const struct vsc_request *request, enum scsi_sense_key key, uint32_t code);

/* Big-endian numbers in answers. */
uint32_t vsc_scsi_get32(const uint8_t *at);
uint64_t vsc_scsi_get64(const uint8_t *at);

#endif
