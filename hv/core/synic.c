/* SPDX-License-Identifier: MIT */
/* SynIC registers, message slots and event flags. */
#include "hv/core/synic.h"

#include "hv/abi/msr.h"
#include "hv/abi/port.h"
#include "hv/arch.h"
#include "hv/core/intercept.h"
#include "hv/core/lib.h"
#include "hv/core/named_value.h"
#include "hv/core/partition.h"
#include "hv/core/stimer.h"
#include "hv/core/vp.h"

#define SYNIC_VERSION 1u
#define LOWEST_VECTOR 16u

void synic_reset(struct vp *vp)
{
    struct synic *synic = &vp->synic;
    spinlock_acquire(&synic->lock);
    synic->control = 0;
    for (unsigned i = 0; i < HV_SINT_COUNT; i++)
        synic->sint[i] = HV_SINT_RESET_VALUE;
    overlay_drop(&synic->messages);
    overlay_drop(&synic->events);
    overlay_drop(&synic->rings);
    queue_release(&synic->queue, &vp->partition->pool);
    spinlock_release(&synic->lock);
}

/* ---- delivery ---- */

static void interrupt(struct vp *vp, uint32_t sint)
{
    const uint64_t value = vp->synic.sint[sint];
    if (!(value & (HV_SINT_MASKED | HV_SINT_POLLING)))
        vapic_send_fixed(vp, (uint8_t)(value & HV_SINT_VECTOR_MASK));
}

/*
 * The slot is free when its type is 0. If it is not, the pending flag asks the
 * guest for an EOM; the guest may have emptied the slot just before it could see
 * the flag, so the type is looked at once more.
 */
static bool slot_is_free(struct hv_message *slot)
{
    if (__atomic_load_n(&slot->type, __ATOMIC_ACQUIRE) == HV_MESSAGE_NONE)
        return true;
    __atomic_fetch_or(&slot->flags, HV_MESSAGE_FLAG_PENDING, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) == HV_MESSAGE_NONE;
}

static void fill_slot(struct hv_message *slot, const struct hv_message *message)
{
    slot->payload_size = message->payload_size;
    slot->flags = 0;
    slot->reserved = 0;
    slot->sender = message->sender;
    memcpy(slot->payload, message->payload, sizeof slot->payload);
    __atomic_store_n(&slot->type, message->type, __ATOMIC_RELEASE);
}

static enum hv_status post_locked(struct vp *vp, uint32_t sint, const struct hv_message *message)
{
    struct hv_message_page *page = NULL;
    if (vp->synic.control & HV_SCONTROL_ENABLE)
        page = overlay_map(&vp->synic.messages);
    if (page == NULL)
        return HV_STATUS_INVALID_SYNIC_STATE;
    const bool fits = slot_is_free(&page->sint[sint]);
    if (fits)
        fill_slot(&page->sint[sint], message);
    arch_window_unmap(page);
    if (!fits)
        return HV_STATUS_INSUFFICIENT_BUFFERS;
    vp->stats.messages_delivered++;
    interrupt(vp, sint);
    return HV_STATUS_SUCCESS;
}

static bool is_message(uint32_t sint, const struct hv_message *message)
{
    return sint < HV_SINT_COUNT && message->type != HV_MESSAGE_NONE &&
           message->payload_size <= HV_MESSAGE_PAYLOAD_SIZE;
}

enum hv_status synic_post_message(struct vp *vp, uint32_t sint, const struct hv_message *message)
{
    if (!is_message(sint, message))
        return HV_STATUS_INVALID_PARAMETER;
    spinlock_acquire(&vp->synic.lock);
    const enum hv_status status = post_locked(vp, sint, message);
    spinlock_release(&vp->synic.lock);
    return status;
}

/* A message that waits has its SINT in `reserved`. */
static enum hv_status post_or_queue(struct vp *vp, uint32_t sint, const struct hv_message *message)
{
    struct synic *synic = &vp->synic;
    if (synic->queue.count == 0) {
        const enum hv_status status = post_locked(vp, sint, message);
        if (status != HV_STATUS_INSUFFICIENT_BUFFERS)
            return status;
    }
    struct hv_message waiting = *message;
    waiting.reserved = (uint16_t)sint;
    const enum hv_status status = queue_put(&synic->queue, &vp->partition->pool, &waiting);
    synic->room_wanted = synic->room_wanted || status == HV_STATUS_INSUFFICIENT_BUFFERS;
    return status;
}

enum hv_status synic_queue_message(struct vp *vp, uint32_t sint, const struct hv_message *message)
{
    if (!is_message(sint, message))
        return HV_STATUS_INVALID_PARAMETER;
    spinlock_acquire(&vp->synic.lock);
    const enum hv_status status = post_or_queue(vp, sint, message);
    spinlock_release(&vp->synic.lock);
    return status;
}

/* The attempt that finds the slot busy asks the guest for the next EOM. True: the parent waits
 * for the room that there is now. */
static bool deliver_queue_of(struct vp *vp)
{
    struct synic *synic = &vp->synic;
    struct hv_message message;
    spinlock_acquire(&synic->lock);
    while (queue_peek(&synic->queue, &message) &&
           post_locked(vp, message.reserved, &message) == HV_STATUS_SUCCESS)
        queue_drop(&synic->queue);
    const bool room = synic->room_wanted && synic->queue.count <= QUEUE_MESSAGES / 2;
    synic->room_wanted = synic->room_wanted && !room;
    spinlock_release(&synic->lock);
    return room;
}

/* Of all VPs: a guest that crashes empties all its slots from one VP. */
static void deliver_queued(struct vp *vp)
{
    const struct partition *partition = vp->partition;
    bool room = false;
    for (uint32_t i = 0; i < partition->vp_count && !partition_is_parent(partition); i++) {
        struct vp *other = partition_vp(partition, i);
        room = (other != NULL && deliver_queue_of(other)) || room;
    }
    if (room)
        intercept_tell_room(vp);
}

/* ---- registers ---- */

bool synic_read_msr(struct vp *vp, uint32_t index, uint64_t *value)
{
    const struct synic *synic = &vp->synic;
    const struct named_value table[] = {
        {HV_MSR_SCONTROL, synic->control}, {HV_MSR_SVERSION, SYNIC_VERSION},
        {HV_MSR_SIEFP, synic->events.msr}, {HV_MSR_SIMP, synic->messages.msr},
        {HV_MSR_SIRBP, synic->rings.msr},  {HV_MSR_EOM, 0},
    };
    if (index >= HV_MSR_SINT0 && index <= HV_MSR_SINT15) {
        *value = synic->sint[index - HV_MSR_SINT0];
        return true;
    }
    return (index != HV_MSR_SIRBP || partition_is_parent(vp->partition)) &&
           named_value_find(table, ARRAY_COUNT(table), index, value);
}

static bool write_sint(struct synic *synic, uint32_t sint, uint64_t value)
{
    if (!(value & HV_SINT_MASKED) && (value & HV_SINT_VECTOR_MASK) < LOWEST_VECTOR)
        return false;
    synic->sint[sint] = value;
    return true;
}

static bool place_rings(struct vp *vp, uint64_t value)
{
    struct synic *synic = &vp->synic;
    if (!partition_is_parent(vp->partition) || !overlay_place(&synic->rings, vp->partition, value))
        return false;
    memset(synic->ring_next, 0, sizeof synic->ring_next);
    return true;
}

static bool write_register(struct vp *vp, uint32_t index, uint64_t value)
{
    struct synic *synic = &vp->synic;
    if (index >= HV_MSR_SINT0 && index <= HV_MSR_SINT15)
        return write_sint(synic, index - HV_MSR_SINT0, value);
    switch (index) {
    case HV_MSR_SCONTROL:
        synic->control = value;
        return true;
    case HV_MSR_SIEFP:
        return overlay_place(&synic->events, vp->partition, value);
    case HV_MSR_SIMP:
        return overlay_place(&synic->messages, vp->partition, value);
    case HV_MSR_SIRBP:
        return place_rings(vp, value);
    case HV_MSR_EOM:
        return true;
    default:
        return false;
    }
}

bool synic_write_msr(struct vp *vp, uint32_t index, uint64_t value)
{
    spinlock_acquire(&vp->synic.lock);
    const bool done = write_register(vp, index, value);
    spinlock_release(&vp->synic.lock);
    /* A slot was emptied, or the SynIC turned on: a message that waits may fit now. */
    if (done) {
        stimer_deliver_waiting(vp);
        intercept_deliver(vp);
        deliver_queued(vp);
    }
    return done;
}

/* ---- events ---- */

static enum hv_status signal_locked(struct vp *vp, uint32_t sint, uint32_t flag, bool *newly)
{
    struct hv_event_flags_page *page = NULL;
    if ((vp->synic.control & HV_SCONTROL_ENABLE) && !(vp->synic.sint[sint] & HV_SINT_MASKED))
        page = overlay_map(&vp->synic.events);
    if (page == NULL)
        return HV_STATUS_INVALID_SYNIC_STATE;
    const uint64_t bit = 1ull << (flag % 64);
    const uint64_t old = __atomic_fetch_or(&page->sint[sint][flag / 64], bit, __ATOMIC_SEQ_CST);
    arch_window_unmap(page);
    *newly = !(old & bit);
    if (*newly)
        interrupt(vp, sint);
    return HV_STATUS_SUCCESS;
}

enum hv_status synic_signal_event(struct vp *vp, uint32_t sint, uint32_t flag, bool *newly)
{
    *newly = false;
    if (sint >= HV_SINT_COUNT || flag >= HV_EVENT_FLAGS_PER_SINT)
        return HV_STATUS_INVALID_PARAMETER;
    spinlock_acquire(&vp->synic.lock);
    const enum hv_status status = signal_locked(vp, sint, flag, newly);
    spinlock_release(&vp->synic.lock);
    return status;
}

bool synic_is_auto_eoi(const struct vp *vp, uint8_t vector)
{
    for (unsigned i = 0; i < HV_SINT_COUNT; i++) {
        const uint64_t sint = vp->synic.sint[i];
        if ((sint & HV_SINT_AUTO_EOI) && !(sint & HV_SINT_MASKED) &&
            (sint & HV_SINT_VECTOR_MASK) == vector)
            return true;
    }
    return false;
}
