/* SPDX-License-Identifier: MIT */
/*
 * Hypercall control word, status values, call codes and input structures
 * (TLFS, "Hypercall Interface"). Structures are little-endian and packed by
 * construction; each one's size is checked here.
 */
#ifndef HV_ABI_HYPERCALL_H
#define HV_ABI_HYPERCALL_H

#include "hv/abi/synic.h"

/* Control word, RCX of the caller. */
#define HV_CONTROL_CODE_MASK       0xffffull
#define HV_CONTROL_FAST            (1ull << 16)
#define HV_CONTROL_VARHEAD_SHIFT   17
#define HV_CONTROL_VARHEAD_MASK    0x3ffull /* in 8-byte units */
#define HV_CONTROL_NESTED          (1ull << 31)
#define HV_CONTROL_REP_COUNT_SHIFT 32
#define HV_CONTROL_REP_START_SHIFT 48
#define HV_CONTROL_REP_MASK        0xfffull
#define HV_CONTROL_VARHEAD(c) \
    ((uint32_t)((c) >> HV_CONTROL_VARHEAD_SHIFT & HV_CONTROL_VARHEAD_MASK))
#define HV_CONTROL_REP_COUNT(c) \
    ((uint32_t)((c) >> HV_CONTROL_REP_COUNT_SHIFT & HV_CONTROL_REP_MASK))
#define HV_CONTROL_REP_START(c) \
    ((uint32_t)((c) >> HV_CONTROL_REP_START_SHIFT & HV_CONTROL_REP_MASK))
#define HV_CONTROL_RESERVED_MASK 0xf000f00078000000ull

/* Result, RAX: status in bits 15:0, elements done in bits 43:32. */
#define HV_RESULT_REPS_SHIFT 32

enum hv_status {
    HV_STATUS_SUCCESS = 0x0,
    HV_STATUS_INVALID_HYPERCALL_CODE = 0x2,
    HV_STATUS_INVALID_HYPERCALL_INPUT = 0x3,
    HV_STATUS_INVALID_ALIGNMENT = 0x4,
    HV_STATUS_INVALID_PARAMETER = 0x5,
    HV_STATUS_ACCESS_DENIED = 0x6,
    HV_STATUS_INVALID_PARTITION_STATE = 0x7,
    HV_STATUS_OPERATION_DENIED = 0x8,
    HV_STATUS_UNKNOWN_PROPERTY = 0x9,
    HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE = 0xa,
    HV_STATUS_INSUFFICIENT_MEMORY = 0xb,
    HV_STATUS_INVALID_PARTITION_ID = 0xd,
    HV_STATUS_INVALID_VP_INDEX = 0xe,
    HV_STATUS_INVALID_PORT_ID = 0x11,
    HV_STATUS_INVALID_CONNECTION_ID = 0x12,
    HV_STATUS_INSUFFICIENT_BUFFERS = 0x13,
    HV_STATUS_INVALID_VP_STATE = 0x15,
    HV_STATUS_INVALID_SYNIC_STATE = 0x18,
    HV_STATUS_NO_RESOURCES = 0x1d,
    HV_STATUS_INVALID_REGISTER_VALUE = 0x50,
};

#define HV_PARTITION_ID_SELF (~0ull)
#define HV_ANY_VP            0xffffffffu

/* Call codes. */
#define HVCALL_FLUSH_SPACE           0x0002u /* a whole address space */
#define HVCALL_FLUSH_LIST            0x0003u /* some pages, rep */
#define HVCALL_NOTIFY_LONG_SPIN_WAIT 0x0008u
#define HVCALL_SEND_IPI              0x000bu
#define HVCALL_FLUSH_SPACE_EX        0x0013u
#define HVCALL_FLUSH_LIST_EX         0x0014u
#define HVCALL_SEND_IPI_EX           0x0015u
#define HVCALL_GET_PARTITION_ID      0x0046u
#define HVCALL_DEPOSIT_MEMORY        0x0048u
#define HVCALL_WITHDRAW_MEMORY       0x0049u
#define HVCALL_POST_MESSAGE          0x005cu
#define HVCALL_SIGNAL_EVENT          0x005du
#define HVCALL_SIGNAL_EVENT_DIRECT   0x00c0u
#define HVCALL_POST_MESSAGE_DIRECT   0x00c1u

struct hv_input_send_ipi {
    uint32_t vector;
    uint8_t target_vtl;
    uint8_t reserved[3];
    uint64_t processor_mask;
};
_Static_assert(sizeof(struct hv_input_send_ipi) == 16, "TLFS HvCallSendSyntheticClusterIpi");

/* A set of VPs: format 0 lists 64-VP banks, format 1 means all. */
#define HV_VP_SET_SPARSE_4K 0u
#define HV_VP_SET_ALL       1u

struct hv_vp_set {
    uint64_t format;
    uint64_t valid_bank_mask;
    uint64_t bank[]; /* one word for each bit set in valid_bank_mask */
};

struct hv_input_send_ipi_ex {
    uint32_t vector;
    uint8_t target_vtl;
    uint8_t reserved[3];
    struct hv_vp_set set;
};
_Static_assert(sizeof(struct hv_input_send_ipi_ex) == 24, "TLFS HvCallSendSyntheticClusterIpiEx");

#define HV_FLUSH_ALL_PROCESSORS (1ull << 0)
#define HV_FLUSH_FLAGS          0xfull /* all address spaces, non-global only, extended ranges */

/* The list calls have ranges behind it: page number 63:12, further pages 11:0. */
struct hv_input_flush {
    uint64_t address_space;
    uint64_t flags;
    uint64_t processor_mask;
};
_Static_assert(sizeof(struct hv_input_flush) == 24, "TLFS HvCallFlushVirtualAddressSpace");

struct hv_input_flush_ex {
    uint64_t address_space;
    uint64_t flags;
    struct hv_vp_set set;
};
_Static_assert(sizeof(struct hv_input_flush_ex) == 32, "TLFS HvCallFlushVirtualAddressSpaceEx");

struct hv_input_deposit_memory {
    uint64_t partition_id;
    uint64_t page[]; /* frame numbers, one a repetition */
};
_Static_assert(sizeof(struct hv_input_deposit_memory) == 8, "TLFS HvCallDepositMemory");

struct hv_input_withdraw_memory {
    uint64_t partition_id;
    uint64_t proximity;
};
_Static_assert(sizeof(struct hv_input_withdraw_memory) == 16, "TLFS HvCallWithdrawMemory");

struct hv_input_post_message {
    uint32_t connection_id;
    uint32_t reserved;
    uint32_t message_type;
    uint32_t payload_size;
    uint8_t payload[HV_MESSAGE_PAYLOAD_SIZE];
};
_Static_assert(sizeof(struct hv_input_post_message) == 256, "TLFS HvCallPostMessage");

struct hv_input_signal_event {
    uint32_t connection_id;
    uint16_t flag_number;
    uint16_t reserved;
};
_Static_assert(sizeof(struct hv_input_signal_event) == 8, "TLFS HvCallSignalEvent");

struct hv_input_signal_event_direct {
    uint64_t partition_id;
    uint32_t vp_index;
    uint8_t target_vtl;
    uint8_t sint;
    uint16_t flag_number;
};
_Static_assert(sizeof(struct hv_input_signal_event_direct) == 16, "HvCallSignalEventDirect");

struct hv_output_signal_event_direct {
    uint8_t newly_signaled;
    uint8_t reserved[7];
};
_Static_assert(sizeof(struct hv_output_signal_event_direct) == 8, "HvCallSignalEventDirect out");

struct hv_input_post_message_direct {
    uint64_t partition_id;
    uint32_t vp_index;
    uint8_t target_vtl;
    uint8_t reserved[3];
    uint32_t sint;
    uint8_t message[HV_MESSAGE_SIZE]; /* a struct hv_message, 4-byte aligned only */
    uint32_t reserved2;
};
_Static_assert(sizeof(struct hv_input_post_message_direct) == 280, "HvCallPostMessageDirect");

#endif
