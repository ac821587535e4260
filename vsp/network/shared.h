/* SPDX-License-Identifier: MIT */
/*
 * A buffer of guest memory that a client shares for a card's data: the receive
 * buffer, of equal allocations that are lent to the client until it gives them
 * back, or the send buffer, of equal sections that the client fills.
 */
#ifndef VSP_NETWORK_SHARED_H
#define VSP_NETWORK_SHARED_H

#include <sys/uio.h>

#include "vsp/bus/channel.h"

#define BH_SHARED_SIZE_MAX (32u << 20)

/* Pieces of consecutive memory that a range of a shared buffer may be in. */
#define BH_SHARED_PIECES_MAX 20

struct bh_shared {
    uint32_t size; /* bytes; 0: there is none */
    uint32_t unit; /* bytes of an allocation or section */
    uint32_t count;
    uint8_t **page; /* where each page of 4 KiB is mapped */
};

/* Looks the GPADL up and divides it into units of `unit` bytes; false when it does not serve. */
bool bh_shared_open(struct bh_shared *shared, const struct bh_vmbus_channel *channel,
                    uint32_t gpadl, uint32_t unit);
void bh_shared_close(struct bh_shared *shared);

/* The memory of [offset, offset + size), which the caller knows to be in the buffer. */
int bh_shared_pieces(const struct bh_shared *shared, uint32_t offset, uint32_t size,
                     struct iovec pieces[BH_SHARED_PIECES_MAX]);

void bh_shared_write(const struct bh_shared *shared, uint32_t offset, const void *data,
                     uint32_t size);

#endif
