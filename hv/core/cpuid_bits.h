/* SPDX-License-Identifier: MIT */
/* Bits of CPUID's leaves (AMD64 APM 3, appendix E): register, leaf (8n: 0x8000000n), name. */
#ifndef HV_CORE_CPUID_BITS_H
#define HV_CORE_CPUID_BITS_H

#define ECX1_MONITOR      (1u << 3)
#define ECX1_VMX          (1u << 5)
#define ECX1_X2APIC       (1u << 21)
#define ECX1_TSC_DEADLINE (1u << 24)
#define ECX1_OSXSAVE      (1u << 27)
#define EDX1_APIC         (1u << 9)
#define EDX1_HTT          (1u << 28)
#define EAX6_ARAT         (1u << 2)
#define EBX7_TSC_ADJUST   (1u << 1)
#define EBX7_SGX          (1u << 2)
#define ECX7_OSPKE        (1u << 4)
#define ECX81_CMP_LEGACY  (1u << 1)
#define ECX81_SVM         (1u << 2)
#define ECX81_SKINIT      (1u << 12)
#define ECX81_MONITORX    (1u << 29)
#define EBX88_INVLPGB     (1u << 3) /* undefined in a guest unless the VMCB allows it */
#define EDX87_INVARIANT   (1u << 8)

/* What a child has no MSRs for: machine checks, counters, debug store, thermal and power control,
 * performance, cache allocation, processor trace, shadow stacks, instruction based sampling. */
#define CHILD_ECX1  (1u << 2 | 1u << 4 | 1u << 7 | 1u << 8 | 1u << 15)
#define CHILD_EDX1  (1u << 7 | 1u << 14 | 1u << 21 | 1u << 22 | 1u << 29)
#define CHILD_EBX7  (1u << 12 | 1u << 15 | 1u << 25)
#define CHILD_ECX7  (1u << 5 | 1u << 7 | 1u << 31)
#define CHILD_EDX7  (1u << 13 | 1u << 15 | 1u << 18 | 1u << 19 | 1u << 20 | 3u << 28 | 1u << 30)
#define CHILD_EAXD  (1u << 3 | 1u << 4) /* XSAVES, XFD */
#define CHILD_ECX81 (1u << 9 | 1u << 10 | 1u << 13 | 1u << 15 | 1u << 22 | 3u << 23 | 3u << 27)
#define CHILD_EDX81 (1u << 7 | 1u << 14)
#define CHILD_EBX88 (1u << 25) /* the virtual form of SPEC_CTRL */

/* Control of speculation. */
#define ECX1_XSAVE   (1u << 26)
#define EDX81_RDTSCP (1u << 27)
#define EDX7_IBPB    (1u << 26) /* Intel: IBPB and IBRS */
#define EDX7_CTRL    (1u << 26 | 1u << 27 | 1u << 31)
#define EBX88_IBPB   (1u << 12)
#define EBX88_CTRL   (1u << 14 | 1u << 15 | 1u << 24)

#endif
