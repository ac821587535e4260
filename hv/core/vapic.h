/* SPDX-License-Identifier: MIT */
/*
 * The virtual local APIC of a VP (AMD64 APM 2, chapter 16), in xAPIC or x2APIC
 * mode.
 *
 * Any LP may raise an interrupt: it sets a bit of irr (and tmr) atomically and
 * notifies the VP. Everything else is touched only by the LP that runs the VP.
 *
 * EOI assist (TLFS "VP assist page"): when an edge interrupt is delivered and
 * no other waits, a flag in the guest's assist page tells it that it need not
 * write EOI. Clearing the flag is then the EOI; vapic_sync notices it.
 */
#ifndef HV_CORE_VAPIC_H
#define HV_CORE_VAPIC_H

#include "hv/core/registers.h"
#include "hv/core/timer.h"
#include "hv/core/types.h"
#include "hv/core/vectors.h"

struct vp;

#define VAPIC_TIMER_HZ 200000000ull /* of the divide-by-1 clock, told in HV_MSR_APIC_FREQUENCY */
#define VAPIC_NONE     VECTORS_NONE

/* Register numbers: the xAPIC offset / 16, and the x2APIC MSR less 0x800. */
enum vapic_register {
    VAPIC_ID = 0x02,
    VAPIC_VERSION = 0x03,
    VAPIC_TPR = 0x08,
    VAPIC_PPR = 0x0a,
    VAPIC_EOI = 0x0b,
    VAPIC_LDR = 0x0d,
    VAPIC_DFR = 0x0e,
    VAPIC_SPURIOUS = 0x0f,
    VAPIC_ISR = 0x10,
    VAPIC_TMR = 0x18,
    VAPIC_IRR = 0x20,
    VAPIC_ESR = 0x28,
    VAPIC_LVT_CMCI = 0x2f,
    VAPIC_ICR = 0x30,
    VAPIC_ICR_HIGH = 0x31,
    VAPIC_LVT_TIMER = 0x32,
    VAPIC_LVT_THERMAL = 0x33,
    VAPIC_LVT_PERF = 0x34,
    VAPIC_LVT_LINT0 = 0x35,
    VAPIC_LVT_LINT1 = 0x36,
    VAPIC_LVT_ERROR = 0x37,
    VAPIC_TIMER_INITIAL = 0x38,
    VAPIC_TIMER_CURRENT = 0x39,
    VAPIC_TIMER_DIVIDE = 0x3e,
    VAPIC_SELF_IPI = 0x3f,
};

enum vapic_lvt {
    VAPIC_LVT_INDEX_CMCI,
    VAPIC_LVT_INDEX_TIMER,
    VAPIC_LVT_INDEX_THERMAL,
    VAPIC_LVT_INDEX_PERF,
    VAPIC_LVT_INDEX_LINT0,
    VAPIC_LVT_INDEX_LINT1,
    VAPIC_LVT_INDEX_ERROR,
    VAPIC_LVT_COUNT,
};

#define VAPIC_LVT_MASKED     (1u << 16)
#define VAPIC_LVT_MODE_MASK  (7u << 8)
#define VAPIC_LVT_MODE_FIXED (0u << 8)
#define VAPIC_LVT_MODE_NMI   (4u << 8)

struct vapic {
    uint64_t base; /* the APIC_BASE MSR */
    uint32_t id;
    uint32_t tpr, ldr, dfr, spurious, esr, esr_latched;
    uint64_t icr;
    uint32_t lvt[VAPIC_LVT_COUNT];
    uint32_t timer_initial, timer_divide;
    uint64_t tsc_deadline;
    reftime_t timer_started;
    struct timer timer;
    uint64_t irr[4], tmr[4]; /* set by any LP, atomically */
    uint64_t isr[4];
    bool assist_armed; /* the assist page's flag stands for the highest ISR bit */
};

void vapic_init(struct vapic *apic, uint32_t id, uint64_t base);
/* State after RESET (or INIT, which keeps id and base). */
void vapic_reset(struct vp *vp);

/* An interrupt arrives, from any LP. The caller notifies the VP (vp_notify). */
void vapic_raise(struct vapic *apic, uint8_t vector, bool level);

/* The vector that would be delivered now, or VAPIC_NONE. */
int vapic_next(const struct vapic *apic);
/* The vector is being delivered: from IRR to ISR. */
void vapic_accept(struct vp *vp, uint8_t vector);
/* Sees whether the guest ended an interrupt through the assist page. Before vapic_next. */
void vapic_sync(struct vp *vp);
/* The guest shall write EOI after all. */
void vapic_withdraw_assist(struct vp *vp);
void vapic_eoi(struct vp *vp);

/*
 * Register access from the guest, x2APIC rules (MSR 0x800 + register) or xAPIC
 * rules (memory). False: the access faults (#GP) in x2APIC mode.
 */
bool vapic_read(struct vp *vp, uint32_t reg, uint64_t *value);
bool vapic_write(struct vp *vp, uint32_t reg, uint64_t value);

/* APIC_BASE: false when the mode change is not one that the architecture allows. */
bool vapic_write_base(struct vp *vp, uint64_t value);

/* The TSC-deadline MSR, effective while the timer is in that mode. */
void vapic_write_deadline(struct vp *vp, uint64_t tsc);

struct partition;

/*
 * An interrupt from outside the partition, from any LP: vector, delivery mode (fixed, lowest
 * priority, NMI), logical and level bits as in the ICR. False: not a vector, or another mode.
 */
bool vapic_inject(struct partition *partition, uint64_t icr, uint32_t destination);

/* All of it at once. False: not a state that an APIC can be in; nothing has changed. */
struct hv_lapic_state;
void vapic_get_state(struct vp *vp, struct hv_lapic_state *state);
bool vapic_set_state(struct vp *vp, const struct hv_lapic_state *state);

/* Sends a fixed interrupt to the VP. */
void vapic_send_fixed(struct vp *target, uint8_t vector);

/* An LVT entry in NMI mode that is not masked: does an NMI from outside reach this VP? */
bool vapic_takes_nmi(const struct vapic *apic);

#endif
