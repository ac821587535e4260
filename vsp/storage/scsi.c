/* SPDX-License-Identifier: MIT */
#include "vsp/storage/scsi.h"

#include <string.h>

#define SENSE_CURRENT 0x70u

void bh_scsi_good(struct bh_scsi_request *request, uint32_t transferred)
{
    request->status = SCSI_GOOD;
    request->transferred = transferred;
    request->done(request);
}

void bh_scsi_sense(uint8_t sense[BH_SCSI_SENSE_SIZE], enum scsi_sense_key key, uint32_t code)
{
    memset(sense, 0, BH_SCSI_SENSE_SIZE);
    sense[0] = SENSE_CURRENT;
    sense[2] = (uint8_t)key;
    sense[7] = BH_SCSI_SENSE_SIZE - 8;
    bh_scsi_put16(sense + 12, code);
}

void bh_scsi_fail(struct bh_scsi_request *request, enum scsi_sense_key key, uint32_t code)
{
    bh_scsi_sense(request->sense, key, code);
    request->status = SCSI_CHECK_CONDITION;
    request->transferred = 0;
    request->done(request);
}

uint32_t bh_scsi_copy_in(const struct bh_scsi_request *request, void *to, size_t size)
{
    size_t done = 0;

    for (int i = 0; i < request->count && done < size; i++) {
        size_t length = request->pieces[i].iov_len;

        length = length < size - done ? length : size - done;
        memcpy((uint8_t *)to + done, request->pieces[i].iov_base, length);
        done += length;
    }
    return (uint32_t)done;
}

uint32_t bh_scsi_copy_out(const struct bh_scsi_request *request, const void *from, size_t size)
{
    size_t done = 0;

    for (int i = 0; i < request->count && done < size; i++) {
        size_t length = request->pieces[i].iov_len;

        length = length < size - done ? length : size - done;
        memcpy(request->pieces[i].iov_base, (const uint8_t *)from + done, length);
        done += length;
    }
    return (uint32_t)done;
}

void bh_scsi_reply(struct bh_scsi_request *request, const void *data, size_t size,
                   uint32_t allocated)
{
    size_t length = size < allocated ? size : allocated;

    if (request->direction == BH_SCSI_WRITE)
        length = 0;
    bh_scsi_good(request, bh_scsi_copy_out(request, data, length));
}
