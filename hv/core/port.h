/* SPDX-License-Identifier: MIT */
/*
 * Ports (TLFS, "Inter-partition communication"): how a child reaches its parent
 * without an intercept. All ports are the parent's; children make none.
 *
 * A port and its one connection are one entry, kept with the child that may
 * connect and paid from its pool: one of a few pages of entries, which are looked
 * through.
 *
 * Whatever the kind, the parent is told by the port's id in the event ring of its VP
 * on the same LP. A full ring loses nothing: the child's VP does its access again, and
 * the parent, which has precedence, empties the ring meanwhile.
 *
 * Locks: ports.lock, then the queue's pool, or the parent's synic.lock.
 */
#ifndef HV_CORE_PORT_H
#define HV_CORE_PORT_H

#include "hv/abi/port.h"
#include "hv/core/queue.h"
#include "hv/core/spinlock.h"

#define PORT_PAGES 16u

struct hypercall;
struct partition;
struct vp;

struct ports {
    struct spinlock lock;
    bool has_doorbells;     /* there was one */
    spa_t page[PORT_PAGES]; /* those in use come first */
};

enum port_result {
    PORT_NONE, /* no port is there */
    PORT_DONE,
    PORT_AGAIN, /* the ring is full: nothing happened, the guest shall try again */
};

/* ---- the parent's calls, well formed, for this child; under ports.lock ---- */

/* INVALID_PORT_ID (0, too large, in use), INSUFFICIENT_MEMORY, NO_RESOURCES (no place is left). */
enum hv_status port_create(struct partition *child, struct hypercall *call);
/* INVALID_CONNECTION_ID (too large, in use), INVALID_PORT_ID, INVALID_PARAMETER (another type, or
 * connected already). */
enum hv_status port_connect(struct partition *child, struct hypercall *call);
/* INVALID_CONNECTION_ID. */
enum hv_status port_disconnect(struct partition *child, struct hypercall *call);
/* Also disconnects; messages in it are lost. INVALID_PORT_ID. */
enum hv_status port_delete(struct partition *child, struct hypercall *call);
/* Takes the oldest messages; INVALID_PORT_ID, NO_RESOURCES when there is none left. */
enum hv_status port_read(struct partition *child, struct hypercall *call);

/* A finalized child's ports go, a bounded piece at a time; true when done. */
bool port_release_all(struct partition *child);

/* ---- the child, on its VP's LP; PORT_NONE means INVALID_CONNECTION_ID ---- */

/* *status: SUCCESS or INSUFFICIENT_BUFFERS. */
enum port_result port_post(struct vp *vp, uint32_t connection_id, const struct hv_message *message,
                           enum hv_status *status);
enum port_result port_signal(struct vp *vp, uint32_t connection_id);
/* A store of `size` bytes at gpa. */
enum port_result port_ring_doorbell(struct vp *vp, gpa_t gpa, unsigned size, uint64_t value);

#endif
