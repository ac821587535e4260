/* SPDX-License-Identifier: MIT */
/*
 * Payloads of the messages by which the hypervisor tells the parent about a
 * child: intercepts and notes. Each is the payload of a struct hv_message
 * whose sender is the child's partition id.
 *
 * An intercept suspends its VP (HV_REGISTER_INTERCEPT_SUSPEND) before the message is
 * posted: the whole message is in the VP's intercept page, and a short
 * HV_MESSAGE_OPAQUE_INTERCEPT goes to the parent's SINT0. RIP still points at the
 * instruction; whoever completes it adds the length. Instruction bytes come where they are needed
 * to know what the instruction does: not with port accesses but string instructions.
 */
#ifndef HV_ABI_INTERCEPT_H
#define HV_ABI_INTERCEPT_H

#include "hv/abi/ints.h"
#include "hv/abi/vp.h"

/* hv_message.type */
#define HV_MESSAGE_UNMAPPED_GPA              0x80000000u
#define HV_MESSAGE_GPA_INTERCEPT             0x80000001u
#define HV_MESSAGE_INVALID_VP_REGISTER_VALUE 0x80000020u
#define HV_MESSAGE_UNRECOVERABLE_EXCEPTION   0x80000021u
#define HV_MESSAGE_UNSUPPORTED_FEATURE       0x80000022u
#define HV_MESSAGE_OPAQUE_INTERCEPT          0x8000003fu
#define HV_MESSAGE_HYPERCALL                 0x80000050u
#define HV_MESSAGE_SYNIC_EVENT               0x80000060u
#define HV_MESSAGE_SINT_INTERCEPT            0x80000061u
#define HV_MESSAGE_SINT_DELIVERABLE          0x80000062u
#define HV_MESSAGE_ASYNC_CALL_COMPLETION     0x80000070u
#define HV_MESSAGE_IO_PORT                   0x80010000u
#define HV_MESSAGE_MSR                       0x80010001u
#define HV_MESSAGE_CPUID                     0x80010002u
#define HV_MESSAGE_EXCEPTION                 0x80010003u
#define HV_MESSAGE_APIC_EOI                  0x80010004u
#define HV_MESSAGE_HALT                      0x80010007u
#define HV_MESSAGE_INTERRUPTION_DELIVERABLE  0x80010008u
#define HV_MESSAGE_SIPI                      0x80010009u

enum hv_intercept_access {
    HV_ACCESS_READ = 0,
    HV_ACCESS_WRITE = 1,
    HV_ACCESS_EXECUTE = 2,
};

#define HV_INSTRUCTION_BYTES_MAX 16u

/* hv_intercept_header.length_and_cr8 */
#define HV_INTERCEPT_LENGTH_MASK 0xfu
#define HV_INTERCEPT_CR8_SHIFT   4

/* hv_intercept_header.execution_state */
#define HV_EXECUTION_CPL_MASK             0x3u
#define HV_EXECUTION_CR0_PE               (1u << 2)
#define HV_EXECUTION_CR0_AM               (1u << 3)
#define HV_EXECUTION_EFER_LMA             (1u << 4)
#define HV_EXECUTION_DEBUG_ACTIVE         (1u << 5)
#define HV_EXECUTION_INTERRUPTION_PENDING (1u << 6)
#define HV_EXECUTION_INTERRUPT_SHADOW     (1u << 12)

struct hv_intercept_header {
    uint32_t vp_index;
    uint8_t length_and_cr8; /* length 0: not known */
    uint8_t access;         /* enum hv_intercept_access */
    uint16_t execution_state;
    struct hv_segment_register cs;
    uint64_t rip;
    uint64_t rflags;
};
_Static_assert(sizeof(struct hv_intercept_header) == 40, "HV_X64_INTERCEPT_MESSAGE_HEADER");

/* hv_gpa_intercept.access_info */
#define HV_GPA_GVA_VALID     (1u << 0)
#define HV_GPA_GVA_GPA_VALID (1u << 1)

/* UNMAPPED_GPA, GPA_INTERCEPT */
struct hv_gpa_intercept {
    struct hv_intercept_header header;
    uint32_t cache_type;
    uint8_t instruction_byte_count;
    uint8_t access_info;
    uint8_t tpr_priority;
    uint8_t reserved;
    uint64_t gva;
    uint64_t gpa;
    uint8_t instruction[HV_INSTRUCTION_BYTES_MAX];
};
_Static_assert(sizeof(struct hv_gpa_intercept) == 80, "HV_X64_MEMORY_INTERCEPT_MESSAGE");

/* hv_io_port_intercept.access_info */
#define HV_IO_SIZE_MASK 0x7u /* 1, 2 or 4 bytes */
#define HV_IO_STRING    (1u << 3)
#define HV_IO_REP       (1u << 4)

struct hv_io_port_intercept {
    struct hv_intercept_header header;
    uint16_t port;
    uint8_t access_info;
    uint8_t instruction_byte_count;
    uint32_t reserved;
    uint64_t rax;
    uint8_t instruction[HV_INSTRUCTION_BYTES_MAX];
    struct hv_segment_register ds;
    struct hv_segment_register es;
    uint64_t rcx;
    uint64_t rsi;
    uint64_t rdi;
};
_Static_assert(sizeof(struct hv_io_port_intercept) == 128, "HV_X64_IO_PORT_INTERCEPT_MESSAGE");

struct hv_msr_intercept {
    struct hv_intercept_header header;
    uint32_t number;
    uint32_t reserved;
    uint64_t rdx;
    uint64_t rax;
};
_Static_assert(sizeof(struct hv_msr_intercept) == 64, "HV_X64_MSR_INTERCEPT_MESSAGE");

struct hv_cpuid_intercept {
    struct hv_intercept_header header;
    uint64_t rax;
    uint64_t rcx;
    uint64_t rdx;
    uint64_t rbx;
    uint64_t default_rax;
    uint64_t default_rcx;
    uint64_t default_rdx;
    uint64_t default_rbx;
};
_Static_assert(sizeof(struct hv_cpuid_intercept) == 104, "HV_X64_CPUID_INTERCEPT_MESSAGE");

/* hv_exception_intercept.info */
#define HV_EXCEPTION_ERROR_CODE_VALID (1u << 0)
#define HV_EXCEPTION_SOFTWARE         (1u << 1)

struct hv_exception_intercept {
    struct hv_intercept_header header;
    uint16_t vector;
    uint8_t info;
    uint8_t instruction_byte_count;
    uint32_t error_code;
    uint64_t parameter;
    uint64_t reserved;
    uint8_t instruction[HV_INSTRUCTION_BYTES_MAX];
    struct hv_segment_register ds;
    struct hv_segment_register ss;
    uint64_t general[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
};
_Static_assert(sizeof(struct hv_exception_intercept) == 240, "HV_X64_EXCEPTION_INTERCEPT_MESSAGE");

/* A note, not an intercept: the VP goes on. */
struct hv_apic_eoi_message {
    uint32_t vp_index;
    uint32_t vector;
};
_Static_assert(sizeof(struct hv_apic_eoi_message) == 8, "HV_X64_APIC_EOI_MESSAGE");

/* HALT and UNRECOVERABLE_EXCEPTION are the header alone. */

struct hv_interruption_deliverable {
    struct hv_intercept_header header;
    uint32_t type; /* enum hv_interruption_type */
    uint32_t reserved;
};
_Static_assert(sizeof(struct hv_interruption_deliverable) == 48,
               "HV_X64_INTERRUPTION_DELIVERABLE_MESSAGE");

struct hv_sint_deliverable {
    struct hv_intercept_header header;
    uint16_t sints; /* a bit each */
    uint16_t reserved[3];
};
_Static_assert(sizeof(struct hv_sint_deliverable) == 48, "HV_X64_SINT_DELIVERABLE_MESSAGE");

struct hv_sipi_intercept {
    struct hv_intercept_header header;
    uint32_t target_vp_index;
    uint32_t vector;
};
_Static_assert(sizeof(struct hv_sipi_intercept) == 48, "HV_X64_SIPI_INTERCEPT_MESSAGE");

struct hv_hypercall_intercept {
    struct hv_intercept_header header;
    uint64_t rax;
    uint64_t rbx;
    uint64_t rcx;
    uint64_t rdx;
    uint64_t r8;
    uint64_t rsi;
    uint64_t rdi;
    uint64_t xmm[6][2];
    uint32_t isolated;
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct hv_hypercall_intercept) == 196, "HV_X64_HYPERCALL_INTERCEPT_MESSAGE");

struct hv_invalid_vp_register {
    uint32_t vp_index;
    uint32_t reserved;
};
_Static_assert(sizeof(struct hv_invalid_vp_register) == 8, "HV_X64_INVALID_VP_REGISTER_MESSAGE");

struct hv_unsupported_feature {
    uint32_t vp_index;
    uint32_t code;
    uint64_t parameter;
};
_Static_assert(sizeof(struct hv_unsupported_feature) == 16, "HV_X64_UNSUPPORTED_FEATURE_MESSAGE");

struct hv_opaque_intercept {
    uint32_t vp_index;
};
_Static_assert(sizeof(struct hv_opaque_intercept) == 4, "opaque intercept");

struct hv_sint_intercept {
    uint32_t sint;
};
_Static_assert(sizeof(struct hv_sint_intercept) == 4, "SINT intercept");

struct hv_async_call_completion {
    uint64_t partition_id;
    uint32_t status;
    uint32_t count;
    uint64_t sub_status;
};
_Static_assert(sizeof(struct hv_async_call_completion) == 24, "asynchronous call completion");

#endif
