/* SPDX-License-Identifier: MIT */
/*
 * One direction of a channel: a control page and data pages of the guest.
 * The bus's own index is kept here and only shown to the guest; the guest's
 * index is read once for each use and checked.
 */
#ifndef VSP_BUS_RING_H
#define VSP_BUS_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "vsp/bus/host.h"
#include "vsp/protocol/vmbus.h"

struct bh_ring {
    uint32_t first_page; /* in the GPADL: the control page */
    uint32_t size;       /* of the data, in bytes */
    uint32_t position;   /* reader: what is consumed up to here; writer: written up to here */
    uint32_t shown;      /* the position at the last flush */
};

/* The pages a ring lives in: frame numbers, all checked to be RAM. */
struct bh_ring_memory {
    const struct bh_vmbus_host *host;
    const uint64_t *pfn;
};

enum bh_ring_status {
    BH_RING_OK,
    BH_RING_EMPTY, /* or full, for a writer */
    BH_RING_BROKEN,
};

/* Sets up a ring of `pages` pages, at least 2; takes its position from `index`. */
bool bh_ring_begin(struct bh_ring *ring, uint32_t first_page, uint32_t pages, uint32_t index);

struct vmbus_ring_control *bh_ring_control(const struct bh_ring *ring,
                                           const struct bh_ring_memory *memory);

/*
 * Reader. Copies the next packet, without its trailer, to `packet` of `capacity` bytes (a multiple
 * of 8), and consumes it; the guest sees its room at the next flush. *size is its length.
 */
enum bh_ring_status bh_ring_read(struct bh_ring *ring, const struct bh_ring_memory *memory,
                                 void *packet, uint32_t capacity, uint32_t *size);

/* No signals while the ring is drained. */
void bh_ring_mask(const struct bh_ring *ring, const struct bh_ring_memory *memory);

/* Signals again; false when there is something to read, and then they stay masked. */
bool bh_ring_unmask(const struct bh_ring *ring, const struct bh_ring_memory *memory);

/* Shows the guest what was consumed; true when it waits for the room made since the last call. */
bool bh_ring_reader_flush(struct bh_ring *ring, const struct bh_ring_memory *memory);

struct bh_ring_part {
    const void *data;
    uint32_t size;
};

/*
 * Writer. Appends one packet of these parts, padded to 8 bytes, with its trailer. EMPTY: no room;
 * the guest is asked to signal when there is.
 */
enum bh_ring_status bh_ring_write(struct bh_ring *ring, const struct bh_ring_memory *memory,
                                  const struct bh_ring_part *parts, unsigned count);

/* Shows the guest what was written; true when it wants a signal for that. */
bool bh_ring_writer_flush(struct bh_ring *ring, const struct bh_ring_memory *memory);

/* Shows the guest a position that was taken up, of a reader or of a writer. */
void bh_ring_show_reader(const struct bh_ring *ring, const struct bh_ring_memory *memory);
void bh_ring_show_writer(const struct bh_ring *ring, const struct bh_ring_memory *memory);

#endif
