/* SPDX-License-Identifier: MIT */
/*
 * CPUID leaves of the hypervisor interface (TLFS, "Feature and Interface
 * Discovery") and Bulkhead's own leaves, which begin at 0x40000100.
 */
#ifndef HV_ABI_CPUID_H
#define HV_ABI_CPUID_H

/* CPUID.1:ECX[31] tells a guest that leaf 0x40000000 exists. */
#define CPUID_1_ECX_HYPERVISOR (1u << 31)

#define HV_CPUID_VENDOR_AND_MAX  0x40000000u
#define HV_CPUID_INTERFACE       0x40000001u
#define HV_CPUID_VERSION         0x40000002u
#define HV_CPUID_FEATURES        0x40000003u
#define HV_CPUID_RECOMMENDATIONS 0x40000004u
#define HV_CPUID_LIMITS          0x40000005u
#define HV_CPUID_HARDWARE        0x40000006u
#define HV_CPUID_MAX             0x40000006u

/* "Microsoft Hv" in EBX, ECX, EDX: the vendor of the interface, not of this hypervisor. */
#define HV_VENDOR_EBX          0x7263694du
#define HV_VENDOR_ECX          0x666f736fu
#define HV_VENDOR_EDX          0x76482074u
/* "Hv#1": the interface described by the TLFS. */
#define HV_INTERFACE_SIGNATURE 0x31237648u

/* HV_CPUID_FEATURES EAX: access to groups of synthetic MSRs. */
#define HV_ACCESS_VP_RUNTIME        (1u << 0)
#define HV_ACCESS_REFERENCE_COUNTER (1u << 1)
#define HV_ACCESS_SYNIC             (1u << 2)
#define HV_ACCESS_STIMER            (1u << 3)
#define HV_ACCESS_APIC_MSRS         (1u << 4)
#define HV_ACCESS_HYPERCALL         (1u << 5)
#define HV_ACCESS_VP_INDEX          (1u << 6)
#define HV_ACCESS_REFERENCE_TSC     (1u << 9)
#define HV_ACCESS_GUEST_IDLE        (1u << 10)
#define HV_ACCESS_FREQUENCY         (1u << 11)
#define HV_ACCESS_TSC_INVARIANT     (1u << 15)

/* HV_CPUID_FEATURES EBX: what the partition may ask of the hypervisor. */
#define HV_PRIV_CREATE_PARTITIONS (1u << 0)
#define HV_PRIV_MEMORY_POOL       (1u << 2)
#define HV_PRIV_POST_MESSAGES     (1u << 4)
#define HV_PRIV_SIGNAL_EVENTS     (1u << 5)
#define HV_PRIV_CREATE_PORT       (1u << 6)
#define HV_PRIV_CONNECT_PORT      (1u << 7)

/* HV_CPUID_FEATURES EDX. */
#define HV_FEATURE_FREQUENCY_MSRS (1u << 8)
#define HV_FEATURE_CRASH_MSRS     (1u << 10)
#define HV_FEATURE_DIRECT_STIMER  (1u << 19)

/* HV_CPUID_RECOMMENDATIONS EAX. */
#define HV_HINT_REMOTE_TLB_FLUSH  (1u << 2)
#define HV_HINT_APIC_MSRS         (1u << 3)
#define HV_HINT_RELAXED_TIMING    (1u << 5)
#define HV_HINT_NO_AUTO_EOI       (1u << 9)
#define HV_HINT_CLUSTER_IPI       (1u << 10)
#define HV_HINT_EX_PROCESSOR_SETS (1u << 11)

/*
 * Bulkhead's own leaves. 0x40000100: EAX = highest own leaf, EBX:ECX:EDX =
 * "BulkheadHv\0\0". 0x40000101: EAX = BH_ABI_VERSION, EBX = partition id.
 */
#define BH_CPUID_SIGNATURE 0x40000100u
#define BH_CPUID_ABI       0x40000101u
#define BH_CPUID_MAX       0x40000101u
#define BH_SIGNATURE_EBX   0x6b6c7542u
#define BH_SIGNATURE_ECX   0x64616568u
#define BH_SIGNATURE_EDX   0x00007648u

#endif
