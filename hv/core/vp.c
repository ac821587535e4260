/* SPDX-License-Identifier: MIT */
/* Life of a virtual processor between its exits. */
#include "hv/core/vp.h"

#include "hv/abi/synic.h"
#include "hv/arch.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"

void vp_init(struct vp *vp, struct partition *partition, uint32_t index, uint32_t apic_id,
             struct timer_queue *timers)
{
    memset(vp, 0, sizeof *vp);
    vp->partition = partition;
    vp->index = index;
    vp->timers = timers;
    vp->activity = VP_WAIT_STARTUP;
    vapic_init(&vp->apic, apic_id,
               arch_apic_base() | (partition->has_apic ? APIC_BASE_ENABLE : 0) |
                   (partition->has_x2apic ? APIC_BASE_X2APIC : 0) |
                   (index == 0 ? APIC_BASE_BSP : 0));
    spinlock_init(&vp->synic.lock);
    synic_reset(vp);
    stimer_init(vp);
}

void vp_notify(struct vp *vp)
{
    if (!__atomic_exchange_n(&vp->notified, 1, __ATOMIC_SEQ_CST))
        arch_vp_notify(vp);
}

/* Requests are taken in the order NMI last, INIT before STARTUP: so INIT drops an older STARTUP. */
void vp_request(struct vp *vp, uint32_t request)
{
    if (request == VP_REQUEST_INIT)
        __atomic_fetch_and(&vp->requests, ~VP_REQUEST_STARTUP, __ATOMIC_RELAXED);
    __atomic_fetch_or(&vp->requests, request, __ATOMIC_RELEASE);
    vp_notify(vp);
}

void vp_request_startup(struct vp *vp, uint8_t vector)
{
    __atomic_store_n(&vp->startup_vector, vector, __ATOMIC_RELAXED);
    vp_request(vp, VP_REQUEST_STARTUP);
}

static void take_init(struct vp *vp)
{
    vp->activity = VP_WAIT_STARTUP;
    vp->nmi_pending = false;
    vapic_reset(vp);
    stimer_reset(vp);
    synic_reset(vp);
    overlay_drop(&vp->assist);
    arch_vp_init(vp);
}

void vp_take_requests(struct vp *vp)
{
    const uint32_t requests = __atomic_exchange_n(&vp->requests, 0, __ATOMIC_ACQUIRE);
    if (requests & VP_REQUEST_INIT)
        take_init(vp);
    if ((requests & VP_REQUEST_STARTUP) && vp->activity == VP_WAIT_STARTUP) {
        arch_vp_startup(vp, __atomic_load_n(&vp->startup_vector, __ATOMIC_RELAXED));
        vp->activity = VP_ACTIVE;
    }
    if (requests & VP_REQUEST_NMI)
        vp->nmi_pending = true;
}

bool vp_is_runnable(const struct vp *vp)
{
    if (vp->explicit_suspend || vp->intercept_suspend || vp->partition->time_frozen)
        return false;
    switch (vp->activity) {
    case VP_ACTIVE:
        return true;
    case VP_HALTED:
        return vp->nmi_pending || (vp->waits_for != NULL && vp->waits_for->intercept_suspend) ||
               (vapic_next(&vp->apic) != VAPIC_NONE && arch_vp_interrupts_enabled(vp));
    default:
        return false;
    }
}

void vp_check_overlays(struct vp *vp)
{
    struct partition *parent = arch_parent_vp(vp)->partition;
    overlay_check(&vp->intercept_page, parent);
    overlay_check(&vp->register_page, parent);
    overlay_check(&vp->assist, vp->partition);
    spinlock_acquire(&vp->synic.lock);
    overlay_check(&vp->synic.messages, vp->partition);
    overlay_check(&vp->synic.events, vp->partition);
    overlay_check(&vp->synic.rings, vp->partition);
    spinlock_release(&vp->synic.lock);
}

void vp_halt(struct vp *vp)
{
    vp->activity = VP_HALTED;
    vp->waits_for = NULL;
}

void vp_arm_timer(struct vp *vp, struct timer *timer, reftime_t time)
{
    const struct partition *partition = vp->partition;
    const bool never = partition->time_frozen || time > TIMER_NEVER - partition->time_lag;
    timer->time = time;
    timer_arm(vp->timers, timer, never ? TIMER_NEVER : time + partition->time_lag);
}

static void rearm(struct vp *vp, struct timer *timer)
{
    if (timer->armed)
        vp_arm_timer(vp, timer, timer->time);
}

void vp_take_time(void *argument)
{
    struct vp *vp = argument;
    rearm(vp, &vp->apic.timer);
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++)
        rearm(vp, &vp->stimer[i].timer);
    arch_set_time_lag(vp, vp->partition->time_lag);
    arch_suspend_changed(vp);
}

uint32_t vp_read_assist(struct vp *vp)
{
    struct hv_vp_assist_page *page = overlay_map(&vp->assist);
    if (page == NULL)
        return 0;
    const uint32_t value = __atomic_load_n(&page->apic_assist, __ATOMIC_RELAXED);
    arch_window_unmap(page);
    return value;
}

bool vp_write_assist(struct vp *vp, uint32_t value)
{
    struct hv_vp_assist_page *page = overlay_map(&vp->assist);
    if (page == NULL)
        return false;
    __atomic_store_n(&page->apic_assist, value, __ATOMIC_RELAXED);
    arch_window_unmap(page);
    return true;
}
