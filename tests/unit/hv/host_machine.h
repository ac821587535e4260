/* SPDX-License-Identifier: MIT */
/*
 * The rest of hv/arch.h for programs on the host: a small machine with a clock that stands still
 * until it is told to go on, a partition with a few VPs on LPs of their own, and a record of all
 * that hv/core asked of the processor. Memory and windows are those of host_arch.h.
 *
 * The first HOST_GUEST_PAGES pages are the partition's. What follows is not: one page each of the
 * hypervisor, of nobody, of the partition's but shared with child 2 (the partition may use that
 * one), deposited for child 2, and absent.
 */
#ifndef TESTS_UNIT_HV_HOST_MACHINE_H
#define TESTS_UNIT_HV_HOST_MACHINE_H

#include "hv/abi/vp.h"
#include "hv/core/cpuid.h"
#include "hv/core/frame.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define HOST_VPS 4u
#ifndef HOST_GUEST_PAGES
#define HOST_GUEST_PAGES 16u
#endif

enum host_page {
    HOST_PAGE_HYPERVISOR = HOST_GUEST_PAGES,
    HOST_PAGE_UNASSIGNED,
    HOST_PAGE_SHARED,
    HOST_PAGE_DEPOSITED,
    HOST_PAGE_ABSENT,
    HOST_PAGE_COUNT,
};

#define HOST_TABLES 16u /* pages behind HOST_PAGE_ABSENT, for a child's nested tables */

#define HOST_XSAVE_SIZE       5000u /* more than a page */
#define HOST_XSAVE_COMPONENTS 7ull
#define HOST_TSC_HZ           1000000000ull /* 100 ticks a unit of reference time */
#define HOST_TSC_PER_UNIT     100ull
#define HOST_APIC_BASE        0xfee00000ull

/* What was asked for on behalf of a VP. */
struct host_record {
    unsigned notified, inits, startups, yields;
    uint8_t startup_vector;
    unsigned level_eoi[256];
    unsigned lvt_writes[VAPIC_LVT_COUNT];
    uint32_t lvt[VAPIC_LVT_COUNT];
};

struct host_machine {
    reftime_t now;
    reftime_t step; /* the clock goes on by this much with each look at it */
    bool tsc_invariant, tsc_synchronized;
    bool interrupts_enabled;
    uint64_t cr4;
    struct cpuid_result cpuid; /* the processor's answer to every leaf */
    uint32_t cpuid_leaf, cpuid_subleaf;
    uint64_t processor_msr; /* the one MSR that the processor itself has: HOST_PROCESSOR_MSR */
    struct frame_table frames;
    uint32_t frame_storage[HOST_PAGE_COUNT];
    struct partition partition;
    struct vp vp[HOST_VPS];
    struct vp *child_vps; /* of all children, by next_on_lp */
    struct timer_queue timers[HOST_VPS];
    struct host_record record[HOST_VPS];
    frame_t tables_used;                    /* pages of a child's nested tables */
    unsigned flushes;                       /* arch_flush_partition */
    unsigned suspend_changes;               /* arch_suspend_changed */
    unsigned intercept_changes;             /* arch_take_intercepts */
    reftime_t time_lag[HOST_VPS];           /* arch_set_time_lag */
    uint32_t full_vp;                       /* its LP can keep no more reserve; HOST_VPS: none */
    unsigned share_changes;                 /* arch_vp_set_share */
    union hv_register_value register_value; /* RIP, and the others that the back end has here */
    union hv_register_value cr2, pending;
    _Alignas(64) uint8_t xsave[HOST_VPS][HOST_XSAVE_SIZE];
    char console[1024]; /* the newest text written */
};

#define HOST_PROCESSOR_MSR 0xc0010015u

/* Where children's structures come from, zeroed; NULL: there is no room. */
struct host_allocator {
    struct partition *(*take_partition)(void);
    void (*give_partition)(struct partition *partition);
    struct vp *(*take_vp)(struct partition *partition, uint32_t index);
    void (*give_vp)(struct vp *vp);
};

/* The heap, unless a program has its own. */
extern const struct host_allocator *host_allocator;

extern struct host_machine host;

/*
 * A new machine whose partition has this many VPs: the parent, or a child that owns the same
 * memory. Every APIC is turned on by software, in x2APIC mode, with APIC id = VP index.
 */
void host_machine_init(unsigned vps, partition_id_t id);

/* Nested tables that map the partition's pages at their own addresses; a child has them already. */
void host_make_tables(void);

/* Moves the clock and expires timers, LP by LP. */
void host_time_set(reftime_t now);

/* What the LP of a VP does with a notification. */
void host_take_news(struct vp *vp);
/* What it does before it enters the guest: the vector delivered, or VAPIC_NONE. */
int host_deliver(struct vp *vp);

/* The guest's own accesses. */
void host_guest_read(uint64_t gpa, void *to, size_t size);
void host_guest_write(uint64_t gpa, const void *from, size_t size);
uint32_t host_guest_read32(uint64_t gpa);
void host_guest_write32(uint64_t gpa, uint32_t value);

#endif
