/* SPDX-License-Identifier: MIT */
#include "vsp/storage/bounce.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 4096u

bool bh_bounce_begin(struct bh_store_io *io)
{
    uint64_t rounded = (io->size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    uint8_t *at = aligned_alloc(ALIGNMENT, rounded);

    if (at == NULL)
        return false;
    io->bounce = (struct iovec){at, io->size};
    for (int i = 0; io->operation == BH_STORE_WRITE && i < io->count; i++) {
        memcpy(at, io->pieces[i].iov_base, io->pieces[i].iov_len);
        at += io->pieces[i].iov_len;
    }
    return true;
}

void bh_bounce_end(struct bh_store_io *io, bool copy)
{
    const uint8_t *at = io->bounce.iov_base;

    if (at == NULL)
        return;
    for (int i = 0; copy && io->operation == BH_STORE_READ && i < io->count; i++) {
        memcpy(io->pieces[i].iov_base, at, io->pieces[i].iov_len);
        at += io->pieces[i].iov_len;
    }
    free(io->bounce.iov_base);
    io->bounce.iov_base = NULL;
}
