/* SPDX-License-Identifier: MIT */
/* INQUIRY: what the device is, and its vital product data (SPC-4, 6.6 and 7.8). */
#include <stdio.h>
#include <string.h>

#include "vsp/bus/device.h"
#include "vsp/storage/parts.h"

#define TYPE_DISK 0x00u
#define TYPE_CD   0x05u
#define REMOVABLE 0x80u
#define SPC_4     0x06u
#define QUEUEING  0x02u

#define PAGE_SUPPORTED    0x00u
#define PAGE_SERIAL       0x80u
#define PAGE_IDENTIFIERS  0x83u
#define PAGE_LIMITS       0xb0u
#define PAGE_KIND         0xb1u
#define PAGE_PROVISIONING 0xb2u

#define UNMAP_DESCRIPTORS_MAX 256u
#define UNMAP_BLOCKS_MAX      (1u << 22) /* 2 GiB */
#define GRANULE_BYTES         4096u

static uint8_t type_of(const struct bh_disk *disk)
{
    return disk->options.is_cd ? TYPE_CD : TYPE_DISK;
}

/* Texts have no NUL here. */
static size_t put_text(uint8_t *at, const char *text)
{
    size_t length = 0;

    for (; text[length] != '\0'; length++)
        at[length] = (uint8_t)text[length];
    return length;
}

static void standard(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint8_t data[36] = {0};

    data[0] = type_of(disk);
    data[1] = disk->options.is_cd ? REMOVABLE : 0;
    data[2] = SPC_4;
    data[3] = 0x02; /* the format of this data */
    data[4] = sizeof(data) - 5;
    data[7] = QUEUEING;
    (void)put_text(data + 8, "BULKHEAD");
    (void)put_text(data + 16, disk->options.is_cd ? "Virtual CD-ROM  " : "Virtual Disk    ");
    (void)put_text(data + 32, "1.0 ");
    bh_scsi_reply(request, data, sizeof(data), bh_scsi_get16(request->cdb + 3));
}

static size_t fill_supported(const struct bh_disk *disk, uint8_t *body)
{
    static const uint8_t pages[] = {PAGE_SUPPORTED, PAGE_SERIAL, PAGE_IDENTIFIERS,
                                    PAGE_LIMITS,    PAGE_KIND,   PAGE_PROVISIONING};
    size_t count = disk->options.is_cd ? 3 : sizeof(pages);

    memcpy(body, pages, count);
    return count;
}

static size_t fill_serial(const struct bh_disk *disk, uint8_t *body)
{
    return put_text(body, disk->id);
}

/* A text with the vendor's name, and a number that is this host's own (NAA 3). */
static size_t fill_identifiers(const struct bh_disk *disk, uint8_t *body)
{
    struct vmbus_guid guid = bh_vmbus_instance(disk->vm, disk->id);
    size_t length = 8 + strlen(disk->id);
    uint8_t *naa = body + 4 + length;

    body[0] = 0x02; /* ASCII */
    body[1] = 0x01; /* of the logical unit; T10 vendor */
    body[3] = (uint8_t)length;
    (void)put_text(body + 4, "BULKHEAD");
    (void)put_text(body + 12, disk->id);
    naa[0] = 0x01; /* binary */
    naa[1] = 0x03; /* of the logical unit; NAA */
    naa[3] = 8;
    memcpy(naa + 4, &guid, 8);
    naa[4] = (uint8_t)((naa[4] & 0x0fu) | 0x30u);
    return 4 + length + 12;
}

/* SBC-3, 6.6.3 */
static size_t fill_limits(const struct bh_disk *disk, uint8_t *body)
{
    bh_scsi_put32(body + 4, BH_SCSI_TRANSFER_MAX / disk->block);
    bh_scsi_put32(body + 16, UNMAP_BLOCKS_MAX);
    bh_scsi_put32(body + 20, UNMAP_DESCRIPTORS_MAX);
    bh_scsi_put32(body + 24, GRANULE_BYTES / disk->block);
    bh_scsi_put64(body + 32, UNMAP_BLOCKS_MAX);
    return 60;
}

static size_t fill_kind(const struct bh_disk *disk, uint8_t *body)
{
    (void)disk;
    bh_scsi_put16(body, 1); /* does not rotate */
    return 60;
}

static size_t fill_provisioning(const struct bh_disk *disk, uint8_t *body)
{
    (void)disk;
    body[1] = 0x80 | 0x40 | 0x20; /* UNMAP, and WRITE SAME of 16 and 10 bytes unmap */
    body[2] = 0x02;               /* thin */
    return 4;
}

static const struct {
    uint8_t code;
    size_t (*fill)(const struct bh_disk *disk, uint8_t *body);
} pages[] = {
    {PAGE_SUPPORTED, fill_supported},
    {PAGE_SERIAL, fill_serial},
    {PAGE_IDENTIFIERS, fill_identifiers},
    {PAGE_LIMITS, fill_limits},
    {PAGE_KIND, fill_kind},
    {PAGE_PROVISIONING, fill_provisioning},
};

static void vital_data(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint8_t data[128] = {0};
    uint8_t supported[8];
    size_t count = fill_supported(disk, supported);
    size_t length;

    for (size_t i = 0; i < count; i++) {
        if (pages[i].code != request->cdb[2])
            continue;
        length = pages[i].fill(disk, data + 4);
        data[0] = type_of(disk);
        data[1] = pages[i].code;
        bh_scsi_put16(data + 2, (uint32_t)length);
        bh_scsi_reply(request, data, 4 + length, bh_scsi_get16(request->cdb + 3));
        return;
    }
    bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
}

void bh_disk_inquiry(struct bh_disk *disk, struct bh_scsi_request *request)
{
    if ((request->cdb[1] & 1u) != 0)
        vital_data(disk, request);
    else if (request->cdb[2] != 0)
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    else
        standard(disk, request);
}
