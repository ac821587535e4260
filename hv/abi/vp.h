/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls on virtual processors: creation, registers, state blobs, state
 * pages, interrupts, CPUID results. Codes, layouts and values are those of the
 * public interface.
 */
#ifndef HV_ABI_VP_H
#define HV_ABI_VP_H

#include "hv/abi/ints.h"

#define HVCALL_CREATE_VP                 0x004eu
#define HVCALL_DELETE_VP                 0x004fu
#define HVCALL_GET_VP_REGISTERS          0x0050u
#define HVCALL_SET_VP_REGISTERS          0x0051u
#define HVCALL_TRANSLATE_VIRTUAL_ADDRESS 0x0052u
#define HVCALL_CLEAR_VIRTUAL_INTERRUPT   0x0056u
#define HVCALL_REGISTER_INTERCEPT_RESULT 0x0091u
#define HVCALL_ASSERT_VIRTUAL_INTERRUPT  0x0094u
#define HVCALL_MAP_VP_STATE_PAGE         0x00e1u
#define HVCALL_UNMAP_VP_STATE_PAGE       0x00e2u
#define HVCALL_GET_VP_STATE              0x00e3u
#define HVCALL_SET_VP_STATE              0x00e4u
#define HVCALL_GET_VP_CPUID_VALUES       0x00f4u

struct hv_input_create_vp {
    uint64_t partition_id;
    uint32_t vp_index;
    uint8_t reserved[3];
    uint8_t subnode_type;
    uint64_t subnode_id;
    uint64_t proximity;
    uint64_t flags;
};
_Static_assert(sizeof(struct hv_input_create_vp) == 40, "HvCallCreateVp");

/* A "fast" call: RDX the id, R8 the index. */
struct hv_input_delete_vp {
    uint64_t partition_id;
    uint32_t vp_index;
    uint32_t reserved;
};
_Static_assert(sizeof(struct hv_input_delete_vp) == 16, "HvCallDeleteVp");

/* Names of registers. Ranges (general, XMM, MTRR, SINT, STIMER) go on from their first. */
enum hv_register_name {
    HV_REGISTER_EXPLICIT_SUSPEND = 0x0,  /* 1: does not run until the parent clears it */
    HV_REGISTER_INTERCEPT_SUSPEND = 0x1, /* 1: an intercept message waits for the parent */
    HV_REGISTER_DISPATCH_SUSPEND = 0x3,
    HV_REGISTER_INTERNAL_ACTIVITY_STATE = 0x4,

    HV_REGISTER_CRASH_P0 = 0x210,
    HV_REGISTER_CRASH_CTL = 0x215,

    HV_REGISTER_PENDING_INTERRUPTION = 0x10002,
    HV_REGISTER_INTERRUPT_STATE = 0x10003,
    HV_REGISTER_PENDING_EVENT0 = 0x10004,
    HV_REGISTER_PENDING_EVENT1 = 0x10005,
    HV_REGISTER_DELIVERABILITY_NOTIFICATIONS = 0x10006,

    HV_REGISTER_RAX = 0x20000, /* then RCX RDX RBX RSP RBP RSI RDI R8..R15 */
    HV_REGISTER_RCX,
    HV_REGISTER_RDX,
    HV_REGISTER_RBX,
    HV_REGISTER_RSP,
    HV_REGISTER_RBP,
    HV_REGISTER_RSI,
    HV_REGISTER_RDI,
    HV_REGISTER_R8,
    HV_REGISTER_R15 = 0x2000f,
    HV_REGISTER_RIP = 0x20010,
    HV_REGISTER_RFLAGS = 0x20011,

    HV_REGISTER_XMM0 = 0x30000,
    HV_REGISTER_XMM15 = 0x3000f,
    HV_REGISTER_FP_MMX0 = 0x30010,
    HV_REGISTER_FP_MMX7 = 0x30017,
    HV_REGISTER_FP_CONTROL_STATUS = 0x30018,
    HV_REGISTER_XMM_CONTROL_STATUS = 0x30019,

    HV_REGISTER_CR0 = 0x40000,
    HV_REGISTER_CR2,
    HV_REGISTER_CR3,
    HV_REGISTER_CR4,
    HV_REGISTER_CR8,
    HV_REGISTER_XFEM, /* XCR0 */

    HV_REGISTER_DR0 = 0x50000,
    HV_REGISTER_DR3 = 0x50003,
    HV_REGISTER_DR6 = 0x50004,
    HV_REGISTER_DR7 = 0x50005,

    HV_REGISTER_ES = 0x60000,
    HV_REGISTER_CS,
    HV_REGISTER_SS,
    HV_REGISTER_DS,
    HV_REGISTER_FS,
    HV_REGISTER_GS,
    HV_REGISTER_LDTR,
    HV_REGISTER_TR,
    HV_REGISTER_IDTR = 0x70000,
    HV_REGISTER_GDTR = 0x70001,

    HV_REGISTER_TSC = 0x80000,
    HV_REGISTER_EFER,
    HV_REGISTER_KERNEL_GS_BASE,
    HV_REGISTER_APIC_BASE,
    HV_REGISTER_PAT,
    HV_REGISTER_SYSENTER_CS,
    HV_REGISTER_SYSENTER_EIP,
    HV_REGISTER_SYSENTER_ESP,
    HV_REGISTER_STAR,
    HV_REGISTER_LSTAR,
    HV_REGISTER_CSTAR,
    HV_REGISTER_SFMASK,
    HV_REGISTER_INITIAL_APIC_ID,
    HV_REGISTER_MTRR_CAP,
    HV_REGISTER_MTRR_DEF_TYPE,
    HV_REGISTER_TSC_AUX = 0x8007b,
    HV_REGISTER_SPEC_CTRL = 0x80084,
    HV_REGISTER_TSC_ADJUST = 0x80096,
    HV_REGISTER_APIC = 0x84800, /* + an APIC register's offset in its page / 16 */
    HV_REGISTER_APIC_ID = 0x84802,

    HV_REGISTER_VP_RUNTIME = 0x90000,
    HV_REGISTER_HYPERCALL,
    HV_REGISTER_GUEST_OS_ID,
    HV_REGISTER_VP_INDEX,
    HV_REGISTER_TIME_REF_COUNT,
    HV_REGISTER_SYNTHETIC_EOI = 0x90010, /* then ICR, TPR */
    HV_REGISTER_VP_ASSIST_PAGE = 0x90013,
    HV_REGISTER_REFERENCE_TSC = 0x90017,

    HV_REGISTER_SINT0 = 0xa0000,
    HV_REGISTER_SINT15 = 0xa000f,
    HV_REGISTER_SCONTROL = 0xa0010,
    HV_REGISTER_SIEFP = 0xa0012,
    HV_REGISTER_SIMP = 0xa0013,
    HV_REGISTER_EOM = 0xa0014,
    HV_REGISTER_SIRBP = 0xa0015,
    HV_REGISTER_STIMER0_CONFIG = 0xb0000, /* + 2n */
    HV_REGISTER_STIMER0_COUNT = 0xb0001,
    HV_REGISTER_STIMER3_COUNT = 0xb0007,
};

#define HV_REGISTER_APIC_COUNT 0x40u

struct hv_segment_register {
    uint64_t base;
    uint32_t limit;
    uint16_t selector;
    uint16_t attributes; /* type 0-3, code/data 4, DPL 5-6, present 7, AVL 12, L 13, D/B 14, G 15 */
};
_Static_assert(sizeof(struct hv_segment_register) == 16, "HV_X64_SEGMENT_REGISTER");

struct hv_table_register {
    uint16_t reserved[3];
    uint16_t limit;
    uint64_t base;
};
_Static_assert(sizeof(struct hv_table_register) == 16, "HV_X64_TABLE_REGISTER");

struct hv_fp_control_status {
    uint16_t fcw;
    uint16_t fsw;
    uint8_t ftw;
    uint8_t reserved;
    uint16_t fop;
    uint64_t fip;
};
_Static_assert(sizeof(struct hv_fp_control_status) == 16, "HV_X64_FP_CONTROL_STATUS_REGISTER");

struct hv_xmm_control_status {
    uint64_t fdp;
    uint32_t mxcsr;
    uint32_t mxcsr_mask;
};
_Static_assert(sizeof(struct hv_xmm_control_status) == 16, "HV_X64_XMM_CONTROL_STATUS_REGISTER");

union hv_register_value {
    uint64_t u64; /* scalars; the upper half is zero */
    uint64_t u128[2];
    struct hv_segment_register segment;
    struct hv_table_register table;
    struct hv_fp_control_status fp;
    struct hv_xmm_control_status xmm;
};
_Static_assert(sizeof(union hv_register_value) == 16, "HV_REGISTER_VALUE");

/* HV_REGISTER_PENDING_INTERRUPTION */
#define HV_PENDING_INTERRUPTION             (1ull << 0)
#define HV_PENDING_TYPE_SHIFT               1 /* enum hv_interruption_type, 3 bits */
#define HV_PENDING_ERROR_CODE_VALID         (1ull << 4)
#define HV_PENDING_INSTRUCTION_LENGTH_SHIFT 5 /* 4 bits */
#define HV_PENDING_NESTED                   (1ull << 9)
#define HV_PENDING_VECTOR_SHIFT             16 /* 16 bits */
#define HV_PENDING_ERROR_CODE_SHIFT         32 /* 32 bits */

enum hv_interruption_type {
    HV_INTERRUPTION_EXTERNAL = 0,
    HV_INTERRUPTION_NMI = 2,
    HV_INTERRUPTION_EXCEPTION = 3,
    HV_INTERRUPTION_SOFTWARE = 4,
    HV_INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION = 5,
    HV_INTERRUPTION_SOFTWARE_EXCEPTION = 6,
};

/* HV_REGISTER_INTERRUPT_STATE */
#define HV_INTERRUPT_SHADOW     (1ull << 0)
#define HV_INTERRUPT_NMI_MASKED (1ull << 1)

/* HV_REGISTER_INTERNAL_ACTIVITY_STATE */
#define HV_ACTIVITY_STARTUP_SUSPEND (1ull << 0) /* waits for SIPI */
#define HV_ACTIVITY_HALT_SUSPEND    (1ull << 1)
#define HV_ACTIVITY_IDLE_SUSPEND    (1ull << 2)

/* Head of get and set registers. get: rep, names behind it, values in the output page. */
struct hv_input_vp_registers {
    uint64_t partition_id;
    uint32_t vp_index;
    uint8_t input_vtl;
    uint8_t reserved[3];
};
_Static_assert(sizeof(struct hv_input_vp_registers) == 16, "HvCallGetVpRegisters");

/* set: rep, these behind the head. */
struct hv_register_assoc {
    uint32_t name;
    uint32_t reserved;
    uint64_t reserved2;
    union hv_register_value value;
};
_Static_assert(sizeof(struct hv_register_assoc) == 32, "HV_REGISTER_ASSOC");

#define HV_GET_VP_REGISTERS_MAX (4096u / 16u)
#define HV_SET_VP_REGISTERS_MAX ((4096u - 16u) / 32u)

/* hv_input_translate.flags */
#define HV_TRANSLATE_READ             0x1ull
#define HV_TRANSLATE_WRITE            0x2ull
#define HV_TRANSLATE_EXECUTE          0x4ull
#define HV_TRANSLATE_PRIVILEGE_EXEMPT 0x8ull
#define HV_TRANSLATE_SET_TABLE_BITS   0x10ull
#define HV_TRANSLATE_NO_FLUSH         0x20ull
#define HV_TRANSLATE_SUPERVISOR       0x40ull
#define HV_TRANSLATE_USER             0x80ull

enum hv_translate_code {
    HV_TRANSLATE_SUCCESS = 0,
    HV_TRANSLATE_NOT_PRESENT = 1,
    HV_TRANSLATE_PRIVILEGE_VIOLATION = 2,
    HV_TRANSLATE_INVALID_TABLE_BITS = 3,
    HV_TRANSLATE_GPA_UNMAPPED = 4,
    HV_TRANSLATE_GPA_NO_READ = 5,
    HV_TRANSLATE_GPA_NO_WRITE = 6,
    HV_TRANSLATE_OVERLAY = 7,
    HV_TRANSLATE_INTERCEPT = 8,
};

struct hv_input_translate {
    uint64_t partition_id;
    uint32_t vp_index;
    uint32_t reserved;
    uint64_t flags;
    uint64_t gva_page; /* frame number of the guest-virtual address */
};
_Static_assert(sizeof(struct hv_input_translate) == 32, "HvCallTranslateVirtualAddress");

struct hv_output_translate {
    uint32_t code;  /* enum hv_translate_code */
    uint32_t cache; /* cache type 0-7, overlay 8 */
    uint64_t gpa_page;
};
_Static_assert(sizeof(struct hv_output_translate) == 16, "HvCallTranslateVirtualAddress out");

enum hv_interrupt_type {
    HV_INTERRUPT_FIXED = 0,
    HV_INTERRUPT_LOWEST_PRIORITY = 1,
    HV_INTERRUPT_SMI = 2,
    HV_INTERRUPT_REMOTE_READ = 3,
    HV_INTERRUPT_NMI = 4,
    HV_INTERRUPT_INIT = 5,
    HV_INTERRUPT_SIPI = 6,
    HV_INTERRUPT_EXTINT = 7,
    HV_INTERRUPT_LOCAL_INT0 = 8,
    HV_INTERRUPT_LOCAL_INT1 = 9,
};

#define HV_INTERRUPT_LEVEL_TRIGGERED     (1u << 0)
#define HV_INTERRUPT_LOGICAL_DESTINATION (1u << 1)

struct hv_input_assert_interrupt {
    uint64_t partition_id;
    uint32_t type;        /* enum hv_interrupt_type */
    uint32_t flags;       /* HV_INTERRUPT_LEVEL_TRIGGERED ... */
    uint64_t destination; /* APIC id */
    uint32_t vector;
    uint8_t target_vtl;
    uint8_t reserved[3];
};
_Static_assert(sizeof(struct hv_input_assert_interrupt) == 32, "HvCallAssertVirtualInterrupt");

/* Fixed answers to CPUID (type HV_INTERCEPT_CPUID). Bits of `mask` come from `value`. */
struct hv_cpuid_override {
    uint32_t value;
    uint32_t mask;
};

struct hv_input_register_intercept_result {
    uint64_t partition_id;
    uint32_t vp_index; /* or HV_ANY_VP */
    uint32_t type;     /* enum hv_intercept_type */
    uint32_t eax;
    uint32_t ecx;
    uint8_t subleaf_specific;
    uint8_t always_override;
    uint16_t reserved;
    struct hv_cpuid_override result[4]; /* EAX, EBX, ECX, EDX */
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct hv_input_register_intercept_result) == 60,
               "HvCallRegisterInterceptResult");

/* rep: leaves behind the head; output 16 bytes each: EAX, EBX, ECX, EDX. */
#define HV_GET_CPUID_USE_VP_XFEM     (1u << 0)
#define HV_GET_CPUID_APPLY_OVERRIDES (1u << 1)

struct hv_input_get_cpuid {
    uint64_t partition_id;
    uint32_t vp_index;
    uint32_t flags; /* HV_GET_CPUID_* */
    uint64_t reserved;
};
_Static_assert(sizeof(struct hv_input_get_cpuid) == 24, "HvCallGetVpCpuidValues");

struct hv_cpuid_leaf {
    uint32_t eax;
    uint32_t ecx;
    uint64_t xfem;
    uint64_t xss;
};
_Static_assert(sizeof(struct hv_cpuid_leaf) == 24, "HvCallGetVpCpuidValues leaf");

enum hv_vp_state_page {
    HV_STATE_PAGE_REGISTERS = 0,
    HV_STATE_PAGE_INTERCEPT_MESSAGE = 1,
};

/* hv_input_map_state_page.flags */
#define HV_STATE_PAGE_LOCATION_GIVEN 1u

struct hv_input_map_state_page {
    uint64_t partition_id;
    uint32_t vp_index;
    uint16_t type; /* enum hv_vp_state_page */
    uint8_t input_vtl;
    uint8_t flags;
    uint64_t requested_location; /* frame number in the caller's GPA space */
};
_Static_assert(sizeof(struct hv_input_map_state_page) == 24, "HvCallMapVpStatePage");

struct hv_output_map_state_page {
    uint64_t location; /* frame number */
};
_Static_assert(sizeof(struct hv_output_map_state_page) == 8, "HvCallMapVpStatePage out");

/* A "fast" call: RDX the id, R8 the rest. */
struct hv_input_unmap_state_page {
    uint64_t partition_id;
    uint32_t vp_index;
    uint16_t type;
    uint8_t input_vtl;
    uint8_t reserved;
};
_Static_assert(sizeof(struct hv_input_unmap_state_page) == 16, "HvCallUnmapVpStatePage");

/* This bit in a type: the data goes through pages that the variable header lists. */
#define HV_VP_STATE_BY_PAGES 0x80000000u
#define HV_VP_STATE_LAPIC    (0u | HV_VP_STATE_BY_PAGES) /* struct hv_lapic_state */
#define HV_VP_STATE_XSAVE    (1u | HV_VP_STATE_BY_PAGES)
#define HV_VP_STATE_SIMP     (2u | HV_VP_STATE_BY_PAGES)
#define HV_VP_STATE_SIEFP    (3u | HV_VP_STATE_BY_PAGES)
#define HV_VP_STATE_STIMERS  4u /* struct hv_stimers_state, in line */

/* Variable header: frame numbers of the buffer's pages (set: or the data in line). */
struct hv_input_vp_state {
    uint64_t partition_id;
    uint32_t vp_index;
    uint8_t input_vtl;
    uint8_t reserved[3];
    uint32_t type; /* HV_VP_STATE_* */
    uint32_t reserved2;
    uint64_t xsave_flags;
    uint64_t xfem;
    /* then the numbers of the pages, or the state itself */
};
_Static_assert(sizeof(struct hv_input_vp_state) == 40, "HvCallGetVpState");

struct hv_lapic_state {
    uint32_t id;
    uint32_t version;
    uint32_t ldr;
    uint32_t dfr;
    uint32_t spurious;
    uint32_t isr[8];
    uint32_t tmr[8];
    uint32_t irr[8];
    uint32_t esr;
    uint32_t icr_high;
    uint32_t icr_low;
    uint32_t lvt_timer;
    uint32_t lvt_thermal;
    uint32_t lvt_performance;
    uint32_t lvt_lint0;
    uint32_t lvt_lint1;
    uint32_t lvt_error;
    uint32_t lvt_cmci;
    uint32_t error_status;
    uint32_t initial_count;
    uint32_t current_count;
    uint32_t divide;
    uint32_t remote_read;
};
_Static_assert(sizeof(struct hv_lapic_state) == 176, "LAPIC state");

struct hv_stimer_state {
    uint32_t flags; /* 0: an expiry message is not delivered yet */
    uint32_t reserved;
    uint64_t config;
    uint64_t count;
    uint64_t adjustment;
    uint64_t undelivered_expiry;
};
struct hv_stimers_state {
    struct hv_stimer_state timer[4];
    uint64_t reserved[5];
};
_Static_assert(sizeof(struct hv_stimers_state) == 200, "synthetic timers state");

/* Register page: valid while the VP is intercept-suspended; dirty classes load at resume. */
#define HV_REGISTER_PAGE_VERSION       1u
#define HV_REGISTER_PAGE_DIRTY_GENERAL (1u << 0)
#define HV_REGISTER_PAGE_DIRTY_RIP     (1u << 1)
#define HV_REGISTER_PAGE_DIRTY_XMM     (1u << 2)
#define HV_REGISTER_PAGE_DIRTY_SEGMENT (1u << 3)
#define HV_REGISTER_PAGE_DIRTY_RFLAGS  (1u << 4)

struct hv_register_page {
    uint16_t version;
    uint8_t is_valid;
    uint8_t reserved;
    uint32_t dirty;
    uint64_t general[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
    uint64_t rip;
    uint64_t rflags;
    uint64_t reserved2;
    uint64_t xmm[6][2];
    struct hv_segment_register segment[6]; /* ES CS SS DS FS GS */
    uint64_t cr0;                          /* from here on read only */
    uint64_t cr3;
    uint64_t cr4;
    uint64_t cr8;
    uint64_t efer;
    uint64_t dr7;
    uint64_t pending_interruption;
    uint64_t interrupt_state;
    uint64_t emulation_hints;
    uint64_t xfem;
    uint8_t reserved3[256];
    uint8_t injected_vector_count;
    uint8_t injected_vector[7];
    uint8_t reserved4[3400];
};
_Static_assert(sizeof(struct hv_register_page) == 4096, "register page");

#endif
