/* SPDX-License-Identifier: MIT */
/*
 * CPUID policy: the processor's own answers, less what the
 * hypervisor uses itself (virtualization, MONITOR, memory encryption), plus the
 * hypervisor's leaves. The privileges are those of an ordinary enlightened
 * guest that may also create partitions; never CpuManagement, which would make
 * Linux believe it owns the processors, and never AccessPartitionId, which
 * kernels before 6.15 do not survive outside that mode. A child sees the same
 * without the privileges on partitions, and its own VP's identity.
 */
#include "hv/core/cpuid.h"

#include "hv/abi/bulkhead.h"
#include "hv/abi/cpuid.h"
#include "hv/arch.h"
#include "hv/core/partition.h"
#include "hv/core/registers.h"
#include "hv/core/vp.h"

#define ECX1_MONITOR      (1u << 3)
#define ECX1_VMX          (1u << 5)
#define ECX1_X2APIC       (1u << 21)
#define ECX1_TSC_DEADLINE (1u << 24)
#define ECX1_OSXSAVE      (1u << 27)
#define EAX6_ARAT         (1u << 2)
#define EBX7_TSC_ADJUST   (1u << 1)
#define EBX7_SGX          (1u << 2)
#define ECX7_OSPKE        (1u << 4)
#define ECX81_SVM         (1u << 2)
#define ECX81_SKINIT      (1u << 12)
#define ECX81_TOPOLOGY    (1u << 22)
#define EAXD_XSAVES       (1u << 3)
#define ECX81_MONITORX    (1u << 29)
#define EBX88_INVLPGB     (1u << 3) /* undefined in a guest unless the VMCB allows it */
#define EDX87_INVARIANT   (1u << 8)

/* A build that /dev/mshv drivers of Linux know; the number says nothing else. */
#define VERSION_BUILD 27744u
#define VERSION_MAJOR 10u

static void set_bit_to(uint32_t *word, uint32_t bit, bool on)
{
    *word = on ? *word | bit : *word & ~bit;
}

static uint32_t feature_privileges(void)
{
    uint32_t bits = HV_ACCESS_VP_RUNTIME | HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_SYNIC |
                    HV_ACCESS_STIMER | HV_ACCESS_APIC_MSRS | HV_ACCESS_HYPERCALL |
                    HV_ACCESS_VP_INDEX | HV_ACCESS_FREQUENCY;
    if (arch_tsc_is_synchronized())
        bits |= HV_ACCESS_REFERENCE_TSC;
    if (arch_tsc_is_synchronized() && arch_tsc_is_invariant())
        bits |= HV_ACCESS_TSC_INVARIANT;
    return bits;
}

static void interface_leaf(const struct vp *vp, uint32_t leaf, struct cpuid_result *r)
{
    *r = (struct cpuid_result){0};
    switch (leaf) {
    case HV_CPUID_VENDOR_AND_MAX:
        *r = (struct cpuid_result){HV_CPUID_MAX, HV_VENDOR_EBX, HV_VENDOR_ECX, HV_VENDOR_EDX};
        break;
    case HV_CPUID_INTERFACE:
        r->eax = HV_INTERFACE_SIGNATURE;
        break;
    case HV_CPUID_VERSION:
        r->eax = VERSION_BUILD;
        r->ebx = VERSION_MAJOR << 16;
        break;
    case HV_CPUID_FEATURES:
        r->eax = feature_privileges();
        r->ebx = partition_is_parent(vp->partition)
                     ? HV_PRIV_CREATE_PARTITIONS | HV_PRIV_MEMORY_POOL
                     : 0;
        r->edx = HV_FEATURE_FREQUENCY_MSRS | HV_FEATURE_CRASH_MSRS | HV_FEATURE_DIRECT_STIMER;
        break;
    case HV_CPUID_RECOMMENDATIONS:
        r->eax = HV_HINT_APIC_MSRS | HV_HINT_RELAXED_TIMING | HV_HINT_NO_AUTO_EOI |
                 HV_HINT_CLUSTER_IPI | HV_HINT_EX_PROCESSOR_SETS;
        break;
    case HV_CPUID_LIMITS:
        r->eax = PARTITION_MAX_VPS;
        r->ebx = vp->partition->vp_count;
        break;
    case BH_CPUID_SIGNATURE:
        *r = (struct cpuid_result){BH_CPUID_MAX, BH_SIGNATURE_EBX, BH_SIGNATURE_ECX,
                                   BH_SIGNATURE_EDX};
        break;
    case BH_CPUID_ABI:
        r->eax = BH_ABI_VERSION;
        r->ebx = vp->partition->id;
        break;
    default:
        break;
    }
}

static void filter(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *r)
{
    switch (leaf) {
    case 1:
        r->ecx &= ~(ECX1_MONITOR | ECX1_VMX);
        r->ecx |= CPUID_1_ECX_HYPERVISOR | ECX1_X2APIC;
        set_bit_to(&r->ecx, ECX1_TSC_DEADLINE, arch_tsc_is_synchronized());
        set_bit_to(&r->ecx, ECX1_OSXSAVE, arch_vp_cr4(vp) & CR4_OSXSAVE);
        break;
    case 5:
        *r = (struct cpuid_result){0};
        break;
    case 6:
        r->eax |= EAX6_ARAT;
        break;
    case 7:
        if (subleaf == 0) {
            r->ebx &= ~(EBX7_TSC_ADJUST | EBX7_SGX);
            set_bit_to(&r->ecx, ECX7_OSPKE, arch_vp_cr4(vp) & CR4_PKE);
        }
        break;
    case 0x80000001:
        r->ecx &= ~(ECX81_SVM | ECX81_SKINIT | ECX81_MONITORX);
        break;
    case 0x80000007:
        set_bit_to(&r->edx, EDX87_INVARIANT, vp->partition->tsc_invariant_shown);
        break;
    case 0x80000008:
        r->ebx &= ~EBX88_INVLPGB;
        break;
    case 0x8000000a: /* SVM */
    case 0x8000001f: /* memory encryption */
        *r = (struct cpuid_result){0};
        break;
    default:
        break;
    }
}

/* A child's identity is its VP's, not that of the LP it runs on; counters stay with the parent. */
static void filter_child(const struct vp *vp, uint32_t leaf, uint32_t subleaf,
                         struct cpuid_result *r)
{
    switch (leaf) {
    case 1:
        r->ebx = (r->ebx & 0x0000ffff) | vp->partition->vp_count << 16 | vp->apic.id << 24;
        break;
    case 0xa:
        *r = (struct cpuid_result){0};
        break;
    case 0xb:
    case 0x1f:
        r->edx = vp->apic.id;
        break;
    case 0xd:
        if (subleaf == 1)
            r->eax &= ~EAXD_XSAVES;
        break;
    case 0x80000001:
        r->ecx &= ~ECX81_TOPOLOGY;
        break;
    case 0x8000001e:
        *r = (struct cpuid_result){0};
        break;
    default:
        break;
    }
}

void cpuid_emulate(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
    if (leaf >> 28 == 4) {
        interface_leaf(vp, leaf, result);
        return;
    }
    arch_cpuid(leaf, subleaf, result);
    filter(vp, leaf, subleaf, result);
    if (!partition_is_parent(vp->partition))
        filter_child(vp, leaf, subleaf, result);
}
