/* SPDX-License-Identifier: MIT */
/*
 * Bulkhead's own hypercalls: what the TLFS has no call for. Only the parent
 * partition may issue them. All but RUN_VP are "slow" calls: RDX is the address of the
 * input structure, R8 the address of a 4 KiB-aligned output page, which but for
 * the rep call is always written whole (unused bytes are zero).
 *
 * The structures only ever grow at their ends; BH_ABI_VERSION counts the
 * changes that do not fit this rule.
 */
#ifndef HV_ABI_BULKHEAD_H
#define HV_ABI_BULKHEAD_H

#include "hv/abi/ints.h"

#define BH_ABI_VERSION 1u

#define BH_CALL_GET_INFO  0x8b00u /* no input            -> struct bh_info */
#define BH_CALL_READ_LOG  0x8b01u /* struct bh_log_input -> struct bh_log_output */
#define BH_CALL_GET_STATS 0x8b02u /* struct bh_stats_input -> struct bh_*_stats by object */
#define BH_CALL_RUN_VP    0x8b08u /* struct bh_run_vp_input, without output: a fast call */

/*
 * A rep call: each repetition takes the oldest message out of a message port (hv/abi/port.h).
 * Output: a struct hv_message each. NO_RESOURCES ends it when there is none left.
 */
#define BH_CALL_READ_MESSAGES 0x8b03u
#define BH_READ_MESSAGES_MAX  16u

struct bh_read_messages_input {
    uint64_t partition_id; /* the child whose messages they are */
    uint32_t port_id;
    uint32_t reserved;
};
_Static_assert(sizeof(struct bh_read_messages_input) == 16, "bh_read_messages_input");

struct bh_info {
    uint32_t abi_version;
    uint32_t vendor; /* enum bh_vendor */
    uint32_t lp_count;
    uint32_t partition_count;
    uint64_t tsc_hz;
    uint64_t uptime;      /* 100 ns */
    uint64_t image_base;  /* system-physical; the parent can not read it */
    uint64_t image_size;  /* bytes */
    uint64_t memory_base; /* the hypervisor's own pool */
    uint64_t memory_size;
    char release[32]; /* for example "0.1.0" */
    char build[64];   /* source revision and compiler */
    char command_line[512];
};
_Static_assert(sizeof(struct bh_info) == 672, "bh_info");

enum bh_vendor { BH_VENDOR_SVM = 1, BH_VENDOR_VMX = 2 };

/*
 * The log is a ring of text. Positions count all bytes ever written. A reader
 * passes the position it wants; it gets the oldest bytes still there from that
 * position on, and where to go on.
 */
struct bh_log_input {
    uint64_t position;
};
#define BH_LOG_TEXT_SIZE 4072u
struct bh_log_output {
    uint64_t position; /* of text[0]; above the asked one where text was lost */
    uint64_t end;      /* position behind the newest byte of the log */
    uint32_t length;   /* of text, bytes */
    uint32_t reserved;
    char text[BH_LOG_TEXT_SIZE];
};
_Static_assert(sizeof(struct bh_log_output) == 4096, "bh_log_output");

/*
 * Lets a child's VP go on, as clearing both its suspend registers does. With BH_RUN_WAIT, and when
 * the VP is on the caller's LP, the caller then rests as in HLT: until that VP has an intercept,
 * which is in its intercept page and not told by a message then, or until the caller has an
 * interrupt. The page tells which it was.
 */
#define BH_RUN_WAIT 1u
struct bh_run_vp_input {
    uint64_t partition_id;
    uint32_t vp_index;
    uint32_t flags;
};
_Static_assert(sizeof(struct bh_run_vp_input) == 16, "bh_run_vp_input fits a fast call");

enum bh_stats_object {
    BH_STATS_HYPERVISOR = 0,
    BH_STATS_LP = 1,
    BH_STATS_PARTITION = 2,
    BH_STATS_VP = 3,
};

struct bh_stats_input {
    uint32_t object;       /* enum bh_stats_object */
    uint32_t index;        /* LP or VP index, else 0 */
    uint64_t partition_id; /* for partition and VP; HV_PARTITION_ID_SELF allowed */
};
_Static_assert(sizeof(struct bh_stats_input) == 16, "bh_stats_input");

/* Times are in 100 ns since start; counters never go down. */

struct bh_hypervisor_stats {
    uint64_t uptime;
    uint64_t frames_total; /* 4 KiB frames of RAM */
    uint64_t frames_hypervisor;
    uint64_t frames_parent;
    uint64_t frames_deposited;
    uint64_t frames_shared; /* the parent's, mapped in a child too */
    uint64_t frames_unassigned;
    uint64_t pool_pages_total; /* of frames_hypervisor, the page pool */
    uint64_t pool_pages_free;
    uint64_t log_bytes;
    uint64_t log_lost_bytes;
};

struct bh_lp_stats {
    uint64_t apic_id;
    uint64_t time_idle;
    uint64_t time_hypervisor;
    uint64_t time_scheduler; /* part of time_hypervisor: choosing the next VP */
    uint64_t time_guest;
    uint64_t context_switches;
    uint64_t interrupts_forwarded; /* device interrupts given to the parent */
    uint64_t interrupts_level;     /* of these, level-triggered: EOI deferred */
    uint64_t interrupts_dropped;   /* no VP was there to take them */
    uint64_t interrupts_kick;
    uint64_t interrupts_timer;
    uint64_t interrupts_spurious;
    uint64_t nmis;
};

struct bh_partition_stats {
    uint64_t partition_id;
    uint64_t vp_count;
    uint64_t frames_owned;     /* the parent's own; of a child, those deposited for it */
    uint64_t frames_deposited; /* deposited for this partition and not withdrawn */
    uint64_t frames_deposited_free;
    uint64_t frames_mapped; /* the parent's frames mapped in this child */
    uint64_t nested_table_pages;
    uint64_t hypercalls;
    uint64_t crash_count; /* writes of HV_MSR_CRASH_CTL */
    uint64_t crash_parameter[5];
    uint64_t share; /* of each VP: BH_SHARE of hv/abi/partition.h */
};

/* Why a VP came back to the hypervisor, whatever the processor's vendor calls it. */
enum bh_exit {
    BH_EXIT_INTERRUPT = 0,
    BH_EXIT_NMI,
    BH_EXIT_INTERRUPT_WINDOW,
    BH_EXIT_CPUID,
    BH_EXIT_MSR_READ,
    BH_EXIT_MSR_WRITE,
    BH_EXIT_HLT,
    BH_EXIT_HYPERCALL,
    BH_EXIT_IO,
    BH_EXIT_NESTED_FAULT,
    BH_EXIT_EXCEPTION,
    BH_EXIT_CONTROL_REGISTER,
    BH_EXIT_IRET,
    BH_EXIT_CACHE,
    BH_EXIT_VIRTUALIZATION_INSTRUCTION,
    BH_EXIT_SHUTDOWN,
    BH_EXIT_OTHER,
    BH_EXIT_COUNT,
};

struct bh_vp_stats {
    uint64_t lp_index;
    uint64_t time_guest;
    uint64_t time_hypervisor; /* handling this VP's exits */
    uint64_t time_halted;
    uint64_t dispatches;
    uint64_t interrupts_injected;
    uint64_t eois_avoided; /* through the VP assist page */
    uint64_t messages_delivered;
    uint64_t timer_expirations;
    uint64_t exits[32]; /* by enum bh_exit */
};
_Static_assert(BH_EXIT_COUNT <= 32, "bh_vp_stats.exits");

#endif
