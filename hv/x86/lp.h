/* SPDX-License-Identifier: MIT */
/*
 * A logical processor: what belongs to one LP and is touched by no other, but
 * for the fields marked (x), which any LP may read or set atomically.
 */
#ifndef HV_X86_LP_H
#define HV_X86_LP_H

#include "hv/abi/bulkhead.h"
#include "hv/core/sched.h"
#include "hv/core/timer.h"
#include "hv/core/types.h"
#include "hv/x86/layout.h"

struct hypercall_buffers;
struct lp_call;
struct vp;

struct gdt {
    uint64_t null, code, data;
    uint64_t tss[2];
};

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "AMD64 APM 2, 12.2.5");

struct lp {
    struct lp *self; /* first, for lp_this */
    uint32_t index;
    uint32_t apic_id;
    unsigned windows; /* in use */
    struct vp *parent_vp;
    struct vp *current;
    struct timer_queue timers;
    struct sched_queue run;
    reftime_t timer_armed;     /* deadline the hardware timer is set for */
    reftime_t slice_end;       /* when to choose again if nothing happens */
    bool reschedule;           /* pick again before the next entry */
    bool look_again;           /* an event waits for the guest's next instruction to end */
    struct vp *notified;       /* (x) VPs with news, linked */
    struct lp_call *calls;     /* (x) from other LPs */
    struct vp *children;       /* VPs of children that run here, linked */
    uint32_t child_count;      /* (x) of them */
    bool flush_guests;         /* all guests' translations, before the next one runs */
    struct vp *extended_owner; /* whose extended registers are in the processor */
    volatile bool nmi_seen;    /* by the NMI handler, until the run loop takes it */
    volatile bool online;      /* (x) */
    struct bh_lp_stats stats;  /* times in TSC ticks */
    uint64_t stamp;            /* TSC of the last change between guest, hypervisor and idle */
    uint64_t deferred[4];      /* level interrupts whose physical EOI waits */
    uint64_t deferred_done[4]; /* of these, the ones the parent has ended */
    void *vendor;              /* the back end's own state */
    struct hypercall_buffers *hypercall_buffers;
    struct gdt gdt;
    struct tss tss;
    void *stack;
};

extern struct lp *lp_table[HV_MAX_LPS];
extern uint32_t lp_count;

static inline struct lp *lp_this(void)
{
    struct lp *lp;
    __asm__("mov %%gs:0, %0" : "=r"(lp));
    return lp;
}

#endif
