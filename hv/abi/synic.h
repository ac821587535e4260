/* SPDX-License-Identifier: MIT */
/*
 * Pages and registers of the synthetic interrupt controller and the synthetic
 * timers (TLFS, "Virtual Interrupts" and "Timers").
 */
#ifndef HV_ABI_SYNIC_H
#define HV_ABI_SYNIC_H

#include "hv/abi/ints.h"

#define HV_SINT_COUNT           16u
#define HV_STIMER_COUNT         4u
#define HV_MESSAGE_SIZE         256u
#define HV_MESSAGE_PAYLOAD_SIZE 240u
#define HV_EVENT_FLAGS_PER_SINT 2048u

/* SINTn. */
#define HV_SINT_VECTOR_MASK  0xffull
#define HV_SINT_MASKED       (1ull << 16)
#define HV_SINT_AUTO_EOI     (1ull << 17)
#define HV_SINT_POLLING      (1ull << 18)
#define HV_SINT_AS_INTERCEPT (1ull << 19)
#define HV_SINT_RESET_VALUE  HV_SINT_MASKED

/* SCONTROL. */
#define HV_SCONTROL_ENABLE (1ull << 0)

/* Message types. */
#define HV_MESSAGE_NONE          0u
#define HV_MESSAGE_TIMER_EXPIRED 0x80000010u

/* Message flags. */
#define HV_MESSAGE_FLAG_PENDING 1u

struct hv_message {
    uint32_t type;
    uint8_t payload_size;
    uint8_t flags;
    uint16_t reserved;
    uint64_t sender;
    uint8_t payload[HV_MESSAGE_PAYLOAD_SIZE];
};
_Static_assert(sizeof(struct hv_message) == HV_MESSAGE_SIZE, "TLFS HV_MESSAGE");

struct hv_message_page {
    struct hv_message sint[HV_SINT_COUNT];
};
_Static_assert(sizeof(struct hv_message_page) == 4096, "TLFS SIM page");

struct hv_event_flags_page {
    uint64_t sint[HV_SINT_COUNT][HV_EVENT_FLAGS_PER_SINT / 64];
};
_Static_assert(sizeof(struct hv_event_flags_page) == 4096, "TLFS SIEF page");

struct hv_timer_message_payload {
    uint32_t timer_index;
    uint32_t reserved;
    uint64_t expiration_time; /* 100 ns */
    uint64_t delivery_time;   /* 100 ns */
};
_Static_assert(sizeof(struct hv_timer_message_payload) == 24, "TLFS timer message");

/* STIMERn_CONFIG. */
#define HV_STIMER_ENABLE       (1ull << 0)
#define HV_STIMER_PERIODIC     (1ull << 1)
#define HV_STIMER_LAZY         (1ull << 2)
#define HV_STIMER_AUTO_ENABLE  (1ull << 3)
#define HV_STIMER_VECTOR_SHIFT 4
#define HV_STIMER_VECTOR_MASK  0xffull
#define HV_STIMER_DIRECT       (1ull << 12)
#define HV_STIMER_SINT_SHIFT   16
#define HV_STIMER_SINT_MASK    0xfull
#define HV_STIMER_CONFIG_VALID 0xf1fffull

/* VP assist page: bit 0 of the first word set by the hypervisor means "no EOI required". */
struct hv_vp_assist_page {
    uint32_t apic_assist;
    uint32_t reserved[1023];
};
_Static_assert(sizeof(struct hv_vp_assist_page) == 4096, "TLFS VP assist page");
#define HV_APIC_ASSIST_NO_EOI 1u

/* Reference TSC page: time in 100 ns = ((tsc * scale) >> 64) + offset. */
struct hv_reference_tsc_page {
    uint32_t sequence; /* 0 = not usable, read the MSR */
    uint32_t reserved;
    uint64_t scale;
    int64_t offset;
    uint64_t reserved2[509];
};
_Static_assert(sizeof(struct hv_reference_tsc_page) == 4096, "TLFS reference TSC page");

#endif
