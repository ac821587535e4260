/* SPDX-License-Identifier: MIT */
/* What happens to each physical interrupt. */
#include "hv/x86/interrupts.h"

#include "hv/core/vp.h"
#include "hv/x86/cpu.h"
#include "hv/x86/lapic.h"
#include "hv/x86/lp.h"
#include "hv/x86/panic.h"

#define VECTOR_EXTERNAL 32

extern const char idle_begin[], idle_end[];
extern const char msr_read_at[], msr_write_at[], msr_fault[];

/* ---- level interrupts whose end waits ---- */

void interrupts_level_eoi(struct lp *lp, uint8_t vector)
{
    if (!vectors_have(lp->deferred, vector))
        return;
    vectors_add(lp->deferred_done, vector);
    for (int top; (top = vectors_highest(lp->deferred)) != VECTORS_NONE; lapic_eoi()) {
        if (!vectors_have(lp->deferred_done, (uint8_t)top))
            return;
        vectors_remove(lp->deferred_done, (uint8_t)top);
        vectors_remove(lp->deferred, (uint8_t)top);
    }
}

/* ---- arrival ---- */

static void forward_device(struct lp *lp, uint8_t vector)
{
    struct vp *vp = lp->parent_vp;
    const bool level = lapic_is_level(vector);
    if (vp == NULL || vp->activity == VP_WAIT_STARTUP) {
        lp->stats.interrupts_dropped++;
        lapic_eoi();
        return;
    }
    lp->stats.interrupts_forwarded++;
    if (level) {
        lp->stats.interrupts_level++;
        vectors_add(lp->deferred, vector);
    }
    vapic_raise(&vp->apic, vector, level);
    if (vp != lp->current) /* which looks by itself before it goes on */
        vp_notify(vp);
    if (!level)
        lapic_eoi();
}

/* An LVT entry of the parent in fixed mode fires as one of our vectors. */
static void forward_lvt(struct lp *lp, enum vapic_lvt index)
{
    struct vp *vp = lp->parent_vp;
    const uint32_t lvt = vp != NULL ? vp->apic.lvt[index] : VAPIC_LVT_MASKED;
    lapic_eoi();
    if (!(lvt & VAPIC_LVT_MASKED) && (lvt & 0xff) >= VECTOR_EXTERNAL)
        vapic_send_fixed(vp, (uint8_t)lvt);
}

/* Without interrupt remapping any device can raise one of our vectors. */
static void end_unexpected(struct lp *lp)
{
    lp->stats.interrupts_spurious++;
    lapic_eoi();
}

static void interrupt_handle(struct lp *lp, uint8_t vector)
{
    switch (vector) {
    case HV_VECTOR_TIMER:
        lp->stats.interrupts_timer++;
        lp->timer_armed = TIMER_NEVER;
        lapic_eoi();
        break;
    case HV_VECTOR_KICK:
        lp->stats.interrupts_kick++;
        lapic_eoi();
        break;
    case HV_VECTOR_LVT_PERF:
        forward_lvt(lp, VAPIC_LVT_INDEX_PERF);
        break;
    case HV_VECTOR_LVT_HEAT:
        forward_lvt(lp, VAPIC_LVT_INDEX_THERMAL);
        break;
    case HV_VECTOR_LVT_CMCI:
        forward_lvt(lp, VAPIC_LVT_INDEX_CMCI);
        break;
    case HV_VECTOR_STOP:
        cpu_halt_forever();
    case HV_VECTOR_SPURIOUS:
        lp->stats.interrupts_spurious++;
        break;
    case HV_VECTOR_ERROR:
        lapic_write(LAPIC_ESR, 0);
        end_unexpected(lp);
        break;
    default:
        if (vector < HV_VECTOR_FIRST)
            forward_device(lp, vector);
        else
            end_unexpected(lp);
        break;
    }
}

/* Only leaves a note: the run loop may be anywhere. See idle_wait for the change of RIP. */
static void nmi_handle(struct exception_frame *frame)
{
    struct lp *lp = lp_this();
    lp->stats.nmis++;
    lp->nmi_seen = true;
    if (frame->rip >= (uint64_t)idle_begin && frame->rip < (uint64_t)idle_end)
        frame->rip = (uint64_t)idle_end;
}

static bool is_expected_fault(const struct exception_frame *frame)
{
    return frame->vector == VECTOR_GP &&
           (frame->rip == (uint64_t)msr_read_at || frame->rip == (uint64_t)msr_write_at);
}

void vector_handle(struct exception_frame *frame);

void vector_handle(struct exception_frame *frame)
{
    if (frame->vector == VECTOR_NMI)
        nmi_handle(frame);
    else if (is_expected_fault(frame))
        frame->rip = (uint64_t)msr_fault;
    else if (frame->vector < VECTOR_EXTERNAL)
        panic_exception(frame);
    else
        interrupt_handle(lp_this(), (uint8_t)frame->vector);
}

void interrupts_forward_nmi(struct lp *lp)
{
    lp->nmi_seen = false;
    struct vp *vp = lp->parent_vp;
    if (vp != NULL && vp->activity != VP_WAIT_STARTUP && vapic_takes_nmi(&vp->apic))
        vp_request(vp, VP_REQUEST_NMI);
}

/* ---- the parent's LVT ---- */

static void write_event_lvt(enum lapic_register reg, uint32_t value, uint8_t own_vector)
{
    if (value & VAPIC_LVT_MASKED)
        lapic_write(reg, LAPIC_LVT_MASKED);
    else if ((value & VAPIC_LVT_MODE_MASK) == VAPIC_LVT_MODE_NMI)
        lapic_write(reg, LAPIC_LVT_NMI);
    else
        lapic_write(reg, own_vector);
}

void interrupts_set_lvt(enum vapic_lvt index, uint32_t value)
{
    const uint32_t entries = lapic_read(LAPIC_VERSION) >> 16 & 0xff;
    if (index == VAPIC_LVT_INDEX_PERF && entries >= 4)
        write_event_lvt(LAPIC_LVT_PERF, value, HV_VECTOR_LVT_PERF);
    if (index == VAPIC_LVT_INDEX_THERMAL && entries >= 5)
        write_event_lvt(LAPIC_LVT_THERMAL, value, HV_VECTOR_LVT_HEAT);
    if (index == VAPIC_LVT_INDEX_CMCI && entries >= 6)
        write_event_lvt(LAPIC_LVT_CMCI, value, HV_VECTOR_LVT_CMCI);
}
