/* SPDX-License-Identifier: MIT */
/* The virtual machine control block (AMD64 APM 2, appendix B) and its codes (appendix C). */
#ifndef HV_X86_SVM_VMCB_H
#define HV_X86_SVM_VMCB_H

#include <stddef.h>
#include <stdint.h>

/* vmcb_segment.attributes */
#define VMCB_SEGMENT_LONG (1u << 9)
#define VMCB_SEGMENT_BIG  (1u << 10) /* 32-bit code */

struct vmcb_segment {
    uint16_t selector;
    uint16_t attributes;
    uint32_t limit;
    uint64_t base;
};

struct vmcb {
    uint16_t intercept_cr_read, intercept_cr_write;
    uint16_t intercept_dr_read, intercept_dr_write;
    uint32_t intercept_exceptions;
    uint32_t intercept1; /* VMCB_INTERCEPT1_* */
    uint32_t intercept2; /* VMCB_INTERCEPT2_* */
    uint32_t intercept3;
    uint8_t reserved0[0x3c - 0x18];
    uint16_t pause_filter_threshold, pause_filter_count;
    uint64_t io_map, msr_map;
    uint64_t tsc_offset;
    uint32_t asid;
    uint8_t tlb_control;
    uint8_t reserved1[3];
    uint64_t virtual_interrupt; /* VMCB_VINTR_* */
    uint64_t interrupt_shadow;
    uint64_t exit_code, exit_info1, exit_info2, exit_interrupt;
    uint64_t nested_enable;
    uint64_t avic_bar, ghcb;
    uint64_t inject;
    uint64_t nested_root;
    uint64_t lbr_enable;
    uint32_t clean, reserved2;
    uint64_t next_rip;
    uint8_t fetched, bytes[15];
    uint8_t reserved3[0x400 - 0xe0];

    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t reserved4[0x4cb - 0x4a0];
    uint8_t cpl;
    uint32_t reserved5;
    uint64_t efer;
    uint8_t reserved6[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved7[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t reserved8[0x5f8 - 0x5e0];
    uint64_t rax;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t cr2;
    uint8_t reserved9[0x668 - 0x648];
    uint64_t pat;
    uint8_t reserved10[0x1000 - 0x670];
};
_Static_assert(sizeof(struct vmcb) == 4096, "VMCB");
_Static_assert(offsetof(struct vmcb, io_map) == 0x40, "VMCB");
_Static_assert(offsetof(struct vmcb, virtual_interrupt) == 0x60, "VMCB");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "VMCB");
_Static_assert(offsetof(struct vmcb, inject) == 0xa8, "VMCB");
_Static_assert(offsetof(struct vmcb, next_rip) == 0xc8, "VMCB");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "VMCB");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "VMCB");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "VMCB");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "VMCB");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "VMCB");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "VMCB");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "VMCB");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "VMCB");
_Static_assert(offsetof(struct vmcb, pat) == 0x668, "VMCB");

#define VMCB_INTERCEPT1_INTR     (1u << 0)
#define VMCB_INTERCEPT1_NMI      (1u << 1)
#define VMCB_INTERCEPT1_INIT     (1u << 3)
#define VMCB_INTERCEPT1_VINTR    (1u << 4)
#define VMCB_INTERCEPT1_RDPMC    (1u << 15)
#define VMCB_INTERCEPT1_CPUID    (1u << 18)
#define VMCB_INTERCEPT1_IRET     (1u << 20)
#define VMCB_INTERCEPT1_INVD     (1u << 22)
#define VMCB_INTERCEPT1_HLT      (1u << 24)
#define VMCB_INTERCEPT1_INVLPGA  (1u << 26)
#define VMCB_INTERCEPT1_IO       (1u << 27)
#define VMCB_INTERCEPT1_MSR      (1u << 28)
#define VMCB_INTERCEPT1_SHUTDOWN (1u << 31)

#define VMCB_INTERCEPT2_VMRUN   (1u << 0)
#define VMCB_INTERCEPT2_VMMCALL (1u << 1)
#define VMCB_INTERCEPT2_VMLOAD  (1u << 2)
#define VMCB_INTERCEPT2_VMSAVE  (1u << 3)
#define VMCB_INTERCEPT2_STGI    (1u << 4)
#define VMCB_INTERCEPT2_CLGI    (1u << 5)
#define VMCB_INTERCEPT2_SKINIT  (1u << 6)
#define VMCB_INTERCEPT2_WBINVD  (1u << 9)
#define VMCB_INTERCEPT2_MONITOR (1u << 10)
#define VMCB_INTERCEPT2_MWAIT   (3u << 11)

#define VMCB_INTERCEPT_CR8 (1u << 8)

#define VMCB_VINTR_IRQ        (1ull << 8)
#define VMCB_VINTR_IGNORE_TPR (1ull << 20)
#define VMCB_VINTR_MASKING    (1ull << 24)
#define VMCB_VINTR_VECTOR(v)  ((uint64_t)(v) << 32)

#define VMCB_INTERRUPT_SHADOW 1u

#define VMCB_TLB_FLUSH_ALL 1

#define VMCB_NESTED_ENABLE 1ull

/* exit_interrupt and inject. */
#define VMCB_EVENT_VALID       (1ull << 31)
#define VMCB_EVENT_ERROR_VALID (1ull << 11)
#define VMCB_EVENT_TYPE(event) ((event) >> 8 & 7)
#define VMCB_EVENT_INTERRUPT   0ul
#define VMCB_EVENT_NMI         (2ul << 8)
#define VMCB_EVENT_EXCEPTION   (3ull << 8)
#define VMCB_EVENT_TYPE_NMI    2
#define VMCB_EVENT_TYPE_SOFT   4
#define VMCB_EVENT_ERROR_SHIFT 32

/* State after reset, and attributes of segments. */
#define DR6_RESET     0xffff0ff0ull
#define DR7_RESET     0x400ull
#define SEG_CODE_64   0xa9bu
#define SEG_CODE_REAL 0x9bu
#define SEG_DATA      0x93u
#define SEG_DATA_32   0xc93u
#define SEG_TSS_BUSY  0x8bu
#define SEG_LDT       0x82u
#define RESET_CR0     0x60000010ull

enum vmcb_exit {
    VMEXIT_CR8_WRITE = 0x18,
    VMEXIT_EXCEPTION_FIRST = 0x40,
    VMEXIT_EXCEPTION_LAST = 0x5f,
    VMEXIT_INTR = 0x60,
    VMEXIT_NMI = 0x61,
    VMEXIT_INIT = 0x63,
    VMEXIT_VINTR = 0x64,
    VMEXIT_RDPMC = 0x6f,
    VMEXIT_CPUID = 0x72,
    VMEXIT_IRET = 0x74,
    VMEXIT_INVD = 0x76,
    VMEXIT_HLT = 0x78,
    VMEXIT_INVLPGA = 0x7a,
    VMEXIT_IO = 0x7b,
    VMEXIT_MSR = 0x7c,
    VMEXIT_SHUTDOWN = 0x7f,
    VMEXIT_VMRUN = 0x80,
    VMEXIT_VMMCALL = 0x81,
    VMEXIT_VMLOAD = 0x82,
    VMEXIT_VMSAVE = 0x83,
    VMEXIT_STGI = 0x84,
    VMEXIT_CLGI = 0x85,
    VMEXIT_SKINIT = 0x86,
    VMEXIT_WBINVD = 0x89,
    VMEXIT_MONITOR = 0x8a,
    VMEXIT_MWAIT = 0x8b,
    VMEXIT_MWAIT_ARMED = 0x8c,
    VMEXIT_NPF = 0x400,
};

/* Exceptions with an error code, which is in exit_info1; exit_info2 of #PF is the address. */
#define EXCEPTIONS_WITH_ERROR 0x60227d00u

/* exit_info1 of an I/O instruction; the port is in bits 16 to 31, exit_info2 is the next RIP. */
#define IO_IN         (1ull << 0)
#define IO_STRING     (1ull << 2)
#define IO_REP        (1ull << 3)
#define IO_SIZE(info) ((info) >> 4 & 7)
#define IO_PORT(info) ((uint16_t)((info) >> 16))

/* exit_info1 of a nested page fault, low part. */
#define NPF_PRESENT (1ull << 0)
#define NPF_WRITE   (1ull << 1)
#define NPF_FETCH   (1ull << 4)

#endif
