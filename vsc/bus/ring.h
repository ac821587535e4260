/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of a ring, in consecutive memory: a control page and data.
 * One reader, one writer. Packets are written one after the other and become
 * visible together, by `vsc_ring_publish`.
 */
#ifndef VSC_BUS_RING_H
#define VSC_BUS_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "vsp/protocol/vmbus.h"

struct vsc_ring {
    struct vmbus_ring_control *control;
    uint8_t *data;
    uint32_t size;     /* bytes of data */
    uint32_t position; /* ours: where the next packet is written or read */
    uint32_t shown;    /* what the other side sees of it */
};

struct vsc_part {
    const void *data; /* NULL: zeros */
    uint32_t size;
};

enum vsc_ring_status {
    VSC_RING_OK,
    VSC_RING_EMPTY,  /* nothing to read */
    VSC_RING_BROKEN, /* the other side wrote what can not be */
};

/* `pages` of at least two, zeroed here. */
void vsc_ring_begin(struct vsc_ring *ring, void *memory, uint32_t pages);

/* --- writer --- */

/* A packet of these parts, padded to 8 bytes, and its trailer. False when there is no room. */
bool vsc_ring_write(struct vsc_ring *ring, const struct vsc_part *parts, unsigned count);

/* Shows what was written; true when the other side waits for a signal. */
bool vsc_ring_publish(struct vsc_ring *ring);

/* --- reader --- */

/*
 * Copies the next packet, without its trailer. *size is its length, of which `capacity` bytes are
 * copied at most.
 */
enum vsc_ring_status vsc_ring_read(struct vsc_ring *ring, void *packet, uint32_t capacity,
                                   uint32_t *size);

/* Shows what was read; true when the other side waits for the room that this made. */
bool vsc_ring_release(struct vsc_ring *ring);

/* No signals while this side reads anyway. */
void vsc_ring_mask(const struct vsc_ring *ring);

/* Signals again. False, and still masked, when something came meanwhile. */
bool vsc_ring_unmask(const struct vsc_ring *ring);

#endif
