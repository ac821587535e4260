/* SPDX-License-Identifier: MIT */
/*
 * The synthetic interrupt controller of a VP (TLFS, "Virtual Interrupts"):
 * sixteen sources, each with a message slot and 2048 event flags in guest pages.
 *
 * Anybody may post; the lock guards registers and pages against the guest's own
 * register writes. The guest itself writes its pages whenever it likes, so
 * slots are read and written atomically and nothing in them is believed.
 *
 * Locks: synic.lock, inside it the lock of the pool that pays the queue.
 */
#ifndef HV_CORE_SYNIC_H
#define HV_CORE_SYNIC_H

#include "hv/abi/hypercall.h"
#include "hv/core/overlay.h"
#include "hv/core/queue.h"
#include "hv/core/spinlock.h"

struct vp;

struct synic {
    struct spinlock lock;
    uint64_t control;
    uint64_t sint[HV_SINT_COUNT];
    struct overlay messages, events;
    struct message_queue queue; /* of a child's VP: what waits for its slot to be free */
    bool room_wanted;           /* the queue was full when the parent came */
    struct overlay rings;       /* of a parent's VP: event_ring.h; touched by its LP only */
    uint8_t ring_next[HV_SINT_COUNT];
};

void synic_reset(struct vp *vp);

/* Synthetic MSRs 0x40000080 to 0x4000009f. False: #GP. */
bool synic_read_msr(struct vp *vp, uint32_t index, uint64_t *value);
bool synic_write_msr(struct vp *vp, uint32_t index, uint64_t value);

/*
 * Puts the message in the slot of its SINT and interrupts the VP. The slot busy:
 * INSUFFICIENT_BUFFERS, and the guest is asked to write EOM when it has emptied it.
 * SynIC or message page off: INVALID_SYNIC_STATE.
 */
enum hv_status synic_post_message(struct vp *vp, uint32_t sint, const struct hv_message *message);

/*
 * For a child's VP: the same, but while the slot is busy or others wait, the message waits behind
 * them and follows at EOM. INSUFFICIENT_BUFFERS: too many wait (the parent is told of room);
 * INSUFFICIENT_MEMORY: the partition's pool is empty.
 */
enum hv_status synic_queue_message(struct vp *vp, uint32_t sint, const struct hv_message *message);

/* Sets an event flag; `newly` tells whether it was clear before. Same errors, and a masked SINT. */
enum hv_status synic_signal_event(struct vp *vp, uint32_t sint, uint32_t flag, bool *newly);

/* Is the vector one whose SINT ends the interrupt by its delivery? */
bool synic_is_auto_eoi(const struct vp *vp, uint8_t vector);

#endif
