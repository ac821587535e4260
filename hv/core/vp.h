/* SPDX-License-Identifier: MIT */
/*
 * A virtual processor.
 *
 * It belongs to one LP at a time, which alone touches it, but for what is made
 * to be reached from everywhere: requests, the interrupt request bits of its
 * APIC, its SynIC (own lock) and the notification. Whoever makes something
 * pending for a VP calls vp_notify afterwards; the VP's LP then looks.
 */
#ifndef HV_CORE_VP_H
#define HV_CORE_VP_H

#include "hv/abi/bulkhead.h"
#include "hv/abi/vp.h"
#include "hv/core/sched.h"
#include "hv/core/stimer.h"
#include "hv/core/synic.h"
#include "hv/core/vapic.h"

struct partition;

/* In the order of the instruction encoding. RSP and RIP are kept by the vendor's back end. */
struct vp_registers {
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
};

/* As HV_REGISTER_INTERNAL_ACTIVITY_STATE has it. */
enum vp_activity {
    VP_ACTIVE = 0,
    VP_WAIT_STARTUP = HV_ACTIVITY_STARTUP_SUSPEND, /* after INIT, until a start-up IPI */
    VP_HALTED = HV_ACTIVITY_HALT_SUSPEND,          /* until an interrupt it can take, or an NMI */
};

#define VP_REQUEST_NMI     (1u << 0)
#define VP_REQUEST_INIT    (1u << 1)
#define VP_REQUEST_STARTUP (1u << 2)

/* What a VP waits to tell the parent, in this order. */
#define VP_NEWS_EOI       (1u << 0)
#define VP_NEWS_ROOM      (1u << 1) /* for messages */
#define VP_NEWS_INTERCEPT (1u << 2)

struct vp {
    struct vp_registers registers;
    struct partition *partition;
    uint32_t index;
    enum vp_activity activity;
    uint32_t requests;      /* set by any LP, atomically */
    uint8_t startup_vector; /* written before VP_REQUEST_STARTUP */
    bool nmi_pending;
    bool in_guest;         /* (atomic) set before the entry looks at flush_wanted, until the exit */
    bool flush_wanted;     /* (atomic) its translations are old */
    bool explicit_suspend; /* the parent stopped it */
    bool intercept_suspend; /* it waits for the parent to handle an intercept */
    struct overlay intercept_page, register_page; /* pages of the parent */
    uint32_t news;                                /* VP_NEWS_* not yet told */
    uint64_t ended[4];                            /* level interrupts, for VP_NEWS_EOI */
    struct vp *next_news;                         /* list of the parent's VP of the same LP */
    struct vp *news_first;                        /* of a parent's VP: who has news */
    uint32_t rings_signaled;                      /* of a parent's VP: event rings not yet told */
    struct vp *waits_for;       /* of a parent's VP that is halted: an intercept wakes it */
    struct timer_queue *timers; /* of its LP */
    struct vapic apic;
    struct synic synic;
    struct stimer stimer[HV_STIMER_COUNT];
    struct overlay assist;
    struct sched_entity sched;
    struct bh_vp_stats stats; /* times in TSC ticks */
    uint64_t rested_since;    /* TSC, while it is blocked */
    struct vp *next_on_lp;    /* list of the LP's VPs */
    struct vp *next_notified; /* list of the LP's notifications */
    uint32_t notified;        /* is in that list */
    void *lp;                 /* that runs it */
    void *vendor;
    void *extended; /* registers beyond the vendor's: hv/x86/extended.c */
};

/* A VP that waits for a start-up IPI. timers: the queue of the LP that will run it. */
void vp_init(struct vp *vp, struct partition *partition, uint32_t index, uint32_t apic_id,
             struct timer_queue *timers);

/* From any LP. */
void vp_notify(struct vp *vp);
void vp_request(struct vp *vp, uint32_t request);
void vp_request_startup(struct vp *vp, uint8_t vector);

/* From any LP: the VP uses no translation from before at its next entry. */
static inline void vp_want_flush(struct vp *vp)
{
    __atomic_store_n(&vp->flush_wanted, true, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&vp->in_guest, __ATOMIC_SEQ_CST))
        vp_notify(vp);
}

static inline bool vp_may_use_old_translations(const struct vp *vp)
{
    return __atomic_load_n(&vp->in_guest, __ATOMIC_SEQ_CST) &&
           __atomic_load_n(&vp->flush_wanted, __ATOMIC_SEQ_CST);
}

/* On its LP, right before an entry: whether to flush; and right after the exit. */
static inline bool vp_enter_guest(struct vp *vp)
{
    __atomic_store_n(&vp->in_guest, true, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&vp->flush_wanted, __ATOMIC_SEQ_CST) &&
           __atomic_exchange_n(&vp->flush_wanted, false, __ATOMIC_SEQ_CST);
}

static inline void vp_leave_guest(struct vp *vp)
{
    __atomic_store_n(&vp->in_guest, false, __ATOMIC_RELEASE);
}

/* Acts on requests; then tells whether the VP has something to do. On its own LP. */
void vp_take_requests(struct vp *vp);
bool vp_is_runnable(const struct vp *vp);

/* After the partition's memory changed: pages lent by the guest are looked up again. */
void vp_check_overlays(struct vp *vp);

/* HLT: the VP rests until vp_is_runnable. */
void vp_halt(struct vp *vp);

/* A timer of the VP, at a time of its partition. */
void vp_arm_timer(struct vp *vp, struct timer *timer, reftime_t time);
/* On its LP, after the partition's time stopped or went on: takes a struct vp. */
void vp_take_time(void *argument);

/* The first word of the VP assist page. Writing tells whether there is such a page. */
uint32_t vp_read_assist(struct vp *vp);
bool vp_write_assist(struct vp *vp, uint32_t value);

#endif
