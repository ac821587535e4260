/* SPDX-License-Identifier: MIT */
/* Commands to a disk or drive: a byte of options, then 16 of a CDB, 3 of a size, and data. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vsp/memory_store.h"
#include "vsp/storage/disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 20u

static unsigned answered;

static void on_done(struct bh_scsi_request *request)
{
    answered++;
    if (request->transferred > request->size ||
        (request->status != SCSI_GOOD && request->status != SCSI_CHECK_CONDITION) ||
        (request->status != SCSI_GOOD && request->sense[0] != 0x70))
        abort();
}

static void on_failed(void *context, const char *id, const char *operation, const char *sentence)
{
    (void)context;
    if (strlen(id) + strlen(operation) + strlen(sentence) > 512)
        abort();
}

static void run(struct bh_disk *disk, const uint8_t *head, const uint8_t *body, size_t left)
{
    static uint8_t guest[BH_SCSI_TRANSFER_MAX];
    static struct iovec pieces[BH_SCSI_PIECES_MAX];
    struct bh_scsi_request request = {.pieces = pieces, .done = on_done};
    uint32_t half;

    request.direction = (enum bh_scsi_direction)(head[0] % 3u);
    request.size = (head[17] | (uint32_t)head[18] << 8 | (uint32_t)head[19] << 16) %
                   (BH_SCSI_TRANSFER_MAX + 1u);
    memcpy(request.cdb, head + 1, sizeof(request.cdb));
    memcpy(guest, body, left < sizeof(guest) ? left : sizeof(guest));
    half = request.size / 3;
    pieces[0] = (struct iovec){guest, half};
    pieces[1] = (struct iovec){guest + half, request.size - half};
    request.count = request.size > 0 ? 2 : 0;
    answered = 0;
    bh_disk_execute(disk, &request);
    if (answered != 1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_disk_options options = {.vm = "vm", .id = "disk", .failed = on_failed};
    struct bh_disk *disk;

    if (size < HEAD + 1)
        return 0;
    options.is_cd = (data[0] & 1) != 0;
    disk = bh_disk_create(NULL, &options,
                          options.is_cd && (data[0] & 4) != 0
                              ? NULL
                              : memory_store(options.is_cd || (data[0] & 2) != 0, data[0] >> 4));
    for (size_t at = 1; size - at >= HEAD; at += HEAD)
        run(disk, data + at, data + at + HEAD, size - at - HEAD);
    bh_disk_destroy(disk);
    return 0;
}
