/* SPDX-License-Identifier: MIT */
#include "hv/core/event_ring.h"

#include "hv/abi/port.h"
#include "hv/arch.h"
#include "hv/core/intercept.h"
#include "hv/core/vp.h"

static bool put(struct hv_event_ring *ring, uint8_t *next, uint32_t port_id)
{
    uint32_t *entry = &ring->entry[*next];
    if (__atomic_load_n(entry, __ATOMIC_ACQUIRE) != 0) {
        __atomic_store_n(&ring->ring_full, 1, __ATOMIC_RELEASE);
        return false;
    }
    __atomic_store_n(entry, port_id, __ATOMIC_RELEASE);
    *next = (uint8_t)((*next + 1) % HV_EVENT_RING_ENTRIES);
    return true;
}

bool event_ring_put(struct vp *parent_vp, uint32_t sint, uint32_t port_id)
{
    struct hv_event_ring_page *page = overlay_map(&parent_vp->synic.rings);
    if (page == NULL)
        return false;
    struct hv_event_ring *ring = &page->sint[sint];
    const bool done = put(ring, &parent_vp->synic.ring_next[sint], port_id);
    const bool told = __atomic_exchange_n(&ring->signal_masked, 1, __ATOMIC_SEQ_CST);
    arch_window_unmap(page);
    if (!told) {
        parent_vp->sched.patient = !parent_vp->notified;
        intercept_tell_ring(parent_vp, sint);
    }
    return done;
}
