/* SPDX-License-Identifier: MIT */
/* Synthetic MSRs of the hypervisor interface (TLFS, "Synthetic MSRs") and their fields. */
#ifndef HV_ABI_MSR_H
#define HV_ABI_MSR_H

#define HV_MSR_FIRST 0x40000000u
#define HV_MSR_LAST  0x400001ffu

#define HV_MSR_GUEST_OS_ID    0x40000000u
#define HV_MSR_HYPERCALL      0x40000001u
#define HV_MSR_VP_INDEX       0x40000002u
#define HV_MSR_VP_RUNTIME     0x40000010u
#define HV_MSR_TIME_REF_COUNT 0x40000020u
#define HV_MSR_REFERENCE_TSC  0x40000021u
#define HV_MSR_TSC_FREQUENCY  0x40000022u
#define HV_MSR_APIC_FREQUENCY 0x40000023u
#define HV_MSR_EOI            0x40000070u
#define HV_MSR_ICR            0x40000071u
#define HV_MSR_TPR            0x40000072u
#define HV_MSR_VP_ASSIST_PAGE 0x40000073u
#define HV_MSR_SCONTROL       0x40000080u
#define HV_MSR_SVERSION       0x40000081u
#define HV_MSR_SIEFP          0x40000082u
#define HV_MSR_SIMP           0x40000083u
#define HV_MSR_EOM            0x40000084u
#define HV_MSR_SINT0          0x40000090u
#define HV_MSR_SINT15         0x4000009fu
#define HV_MSR_STIMER0_CONFIG 0x400000b0u
#define HV_MSR_STIMER3_COUNT  0x400000b7u
#define HV_MSR_GUEST_IDLE     0x400000f0u
#define HV_MSR_CRASH_P0       0x40000100u
#define HV_MSR_CRASH_P4       0x40000104u
#define HV_MSR_CRASH_CTL      0x40000105u
#define HV_MSR_TSC_INVARIANT  0x40000118u

/* Bit 0 of each MSR that places a page enables it; bits 63:12 are the page's frame number. */
#define HV_PAGE_MSR_ENABLE      (1ull << 0)
#define HV_PAGE_MSR_GPA_MASK    (~0xfffull)
/* HV_MSR_HYPERCALL: once locked the register ignores writes until reset. */
#define HV_HYPERCALL_MSR_LOCKED (1ull << 1)

/* HV_MSR_CRASH_CTL: read = what is supported, write = what happened. */
#define HV_CRASH_NOTIFY  (1ull << 63)
#define HV_CRASH_MESSAGE (1ull << 62)

#endif
