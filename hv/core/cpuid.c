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
#include "hv/abi/partition.h"
#include "hv/arch.h"
#include "hv/core/cpuid_bits.h"
#include "hv/core/cpuid_override.h"
#include "hv/core/partition.h"
#include "hv/core/registers.h"
#include "hv/core/vp.h"

#define ANY UINT32_MAX
#define ALL_BITS                                       \
    {                                                  \
        UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX \
    }

/* Bits of the processor's answers that a partition does not see, in the order of the leaves. */
static const struct {
    uint32_t leaf, subleaf;
    bool child_only;
    struct cpuid_result bits;
} hidden[] = {
    {1, ANY, false, {.ecx = ECX1_MONITOR | ECX1_VMX}},
    {1, ANY, true, {.ecx = CHILD_ECX1, .edx = CHILD_EDX1}},
    {5, ANY, false, ALL_BITS}, /* MONITOR */
    {6, ANY, true, ALL_BITS},  /* power */
    {7, 0, false, {.ebx = EBX7_TSC_ADJUST | EBX7_SGX}},
    {7, 0, true, {.ebx = CHILD_EBX7, .ecx = CHILD_ECX7, .edx = CHILD_EDX7}},
    {0xa, ANY, true, ALL_BITS}, /* counters */
    {0xd, 1, true, {.eax = CHILD_EAXD}},
    {0xf, ANY, true, ALL_BITS}, /* monitoring, allocation, trace, topology in another form */
    {0x10, ANY, true, ALL_BITS},
    {0x14, ANY, true, ALL_BITS},
    {0x1f, ANY, true, ALL_BITS},
    {0x80000001, ANY, false, {.ecx = ECX81_SVM | ECX81_SKINIT | ECX81_MONITORX}},
    {0x80000001, ANY, true, {.ecx = CHILD_ECX81, .edx = CHILD_EDX81}},
    {0x80000007, ANY, true, ALL_BITS},
    {0x80000008, ANY, false, {.ebx = EBX88_INVLPGB}},
    {0x80000008, ANY, true, {.ebx = CHILD_EBX88}},
    {0x8000000a, ANY, false, ALL_BITS}, /* SVM */
    {0x8000001b, ANY, true, ALL_BITS},  /* sampling, topology in another form, counters */
    {0x8000001d, ANY, true, ALL_BITS},
    {0x8000001e, ANY, true, ALL_BITS},
    {0x8000001f, ANY, false, ALL_BITS}, /* memory encryption */
    {0x80000022, ANY, true, ALL_BITS},
};

/* A build that /dev/mshv drivers of Linux know; the number says nothing else. */
#define VERSION_BUILD 27744u
#define VERSION_MAJOR 10u

#define PARENT_PRIVILEGES                                                              \
    (uint64_t)(HV_PRIV_CREATE_PARTITIONS | HV_PRIV_MEMORY_POOL | HV_PRIV_CREATE_PORT | \
               HV_PRIV_CONNECT_PORT)
#define CHILD_PRIVILEGES (uint64_t)(HV_PRIV_POST_MESSAGES | HV_PRIV_SIGNAL_EVENTS)

#define VENDOR_INTEL_EBX 0x756e6547u
#define TOPOLOGY_THREADS (1u << 8)
#define TOPOLOGY_CORES   (2u << 8)

static void set_bit_to(uint32_t *word, uint32_t bit, bool on)
{
    *word = on ? *word | bit : *word & ~bit;
}

uint64_t cpuid_privileges(const struct partition *partition)
{
    uint64_t bits = HV_ACCESS_VP_RUNTIME | HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_SYNIC |
                    HV_ACCESS_STIMER | HV_ACCESS_APIC_MSRS | HV_ACCESS_HYPERCALL |
                    HV_ACCESS_VP_INDEX | HV_ACCESS_FREQUENCY;
    if (arch_tsc_is_synchronized())
        bits |= HV_ACCESS_REFERENCE_TSC;
    if (arch_tsc_is_invariant())
        bits |= HV_ACCESS_TSC_INVARIANT;
    bits &=
        (partition->synthetic_features >> HV_SYNTHETIC_ACCESS_SHIFT & HV_SYNTHETIC_ACCESS_MASK) |
        (partition->synthetic_features & (HV_SYNTHETIC_REFERENCE_TSC | HV_SYNTHETIC_FREQUENCY)) |
        HV_ACCESS_TSC_INVARIANT;
    return bits | (partition_is_parent(partition) ? PARENT_PRIVILEGES : CHILD_PRIVILEGES) << 32;
}

static void interface_leaf(const struct vp *vp, uint32_t leaf, struct cpuid_result *r)
{
    const uint64_t given = vp->partition->synthetic_features;
    *r = (struct cpuid_result){0};
    if ((given & HV_SYNTHETIC_INTERFACE) != HV_SYNTHETIC_INTERFACE)
        return;
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
        r->eax = (uint32_t)cpuid_privileges(vp->partition);
        r->ebx = (uint32_t)(cpuid_privileges(vp->partition) >> 32);
        r->edx = HV_FEATURE_CRASH_MSRS;
        set_bit_to(&r->edx, HV_FEATURE_FREQUENCY_MSRS, given & HV_SYNTHETIC_FREQUENCY);
        set_bit_to(&r->edx, HV_FEATURE_DIRECT_STIMER, given & HV_SYNTHETIC_DIRECT_STIMER);
        break;
    case HV_CPUID_RECOMMENDATIONS:
        r->eax = HV_HINT_RELAXED_TIMING | HV_HINT_NO_AUTO_EOI;
        set_bit_to(&r->eax, HV_HINT_APIC_MSRS, given & HV_SYNTHETIC_APIC_MSRS);
        set_bit_to(&r->eax, HV_HINT_REMOTE_TLB_FLUSH,
                   !partition_is_parent(vp->partition) && (given & HV_SYNTHETIC_FLUSH));
        set_bit_to(&r->eax, HV_HINT_CLUSTER_IPI, given & HV_SYNTHETIC_CLUSTER_IPI);
        set_bit_to(&r->eax, HV_HINT_EX_PROCESSOR_SETS, given & HV_SYNTHETIC_EX_SETS);
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

bool cpuid_is_intel(struct vp *vp)
{
    struct cpuid_result r;
    arch_cpuid(vp, 0, 0, &r);
    return r.ebx == VENDOR_INTEL_EBX;
}

static void hide(const struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *r)
{
    for (unsigned i = 0; i < ARRAY_COUNT(hidden) && hidden[i].leaf <= leaf; i++) {
        if (hidden[i].leaf != leaf || (hidden[i].subleaf != ANY && hidden[i].subleaf != subleaf) ||
            (hidden[i].child_only && partition_is_parent(vp->partition)))
            continue;
        r->eax &= ~hidden[i].bits.eax;
        r->ebx &= ~hidden[i].bits.ebx;
        r->ecx &= ~hidden[i].bits.ecx;
        r->edx &= ~hidden[i].bits.edx;
    }
}

static void show(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *r)
{
    switch (leaf) {
    case 1:
        set_bit_to(&r->ecx, CPUID_1_ECX_HYPERVISOR,
                   vp->partition->synthetic_features & HV_SYNTHETIC_HYPERVISOR);
        set_bit_to(&r->ecx, ECX1_X2APIC, vp->partition->has_x2apic);
        r->edx &= vp->partition->has_apic ? ~0u : ~EDX1_APIC;
        set_bit_to(&r->ecx, ECX1_TSC_DEADLINE, arch_tsc_is_synchronized());
        set_bit_to(&r->ecx, ECX1_OSXSAVE, arch_vp_cr4(vp) & CR4_OSXSAVE);
        break;
    case 6:
        r->eax |= EAX6_ARAT;
        break;
    case 7:
        if (subleaf == 0)
            set_bit_to(&r->ecx, ECX7_OSPKE, arch_vp_cr4(vp) & CR4_PKE);
        break;
    case 0x80000007:
        set_bit_to(&r->edx, EDX87_INVARIANT, vp->partition->tsc_invariant_shown);
        break;
    default:
        break;
    }
}

/* Intel's form of the caches: the last level is one, the others are each core's. */
static uint32_t cache_sharing(uint32_t eax, uint32_t last_id)
{
    const uint32_t sharing = (eax >> 5 & 7) >= 3 ? last_id : 0;
    return (eax & 0x1f) == 0 ? eax : (eax & 0x3fff) | sharing << 14 | last_id << 26;
}

static struct cpuid_result topology_level(const struct vp *vp, uint32_t level, uint32_t id_bits)
{
    struct cpuid_result r = {.ecx = level & 0xff, .edx = vp->apic.id};
    if (level == 0) {
        r.ebx = 1;
        r.ecx |= TOPOLOGY_THREADS;
    } else if (level == 1) {
        r.eax = id_bits;
        r.ebx = vp->partition->vp_count;
        r.ecx |= TOPOLOGY_CORES;
    }
    return r;
}

/* A child is one socket, in which each VP is a core, whatever LPs it runs on. */
static void show_topology(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *r)
{
    const uint32_t count = vp->partition->vp_count;
    const uint32_t id_bits = count > 1 ? 32 - (uint32_t)__builtin_clz(count - 1) : 0;
    switch (leaf) {
    case 1:
        r->ebx = (r->ebx & 0x0000ffff) | count << 16 | vp->apic.id << 24;
        set_bit_to(&r->edx, EDX1_HTT, count > 1);
        break;
    case 4:
        r->eax = cache_sharing(r->eax, (1u << id_bits) - 1);
        break;
    case 0xb:
        *r = topology_level(vp, subleaf, id_bits);
        break;
    case 0x80000001:
        set_bit_to(&r->ecx, ECX81_CMP_LEGACY, count > 1 && !cpuid_is_intel(vp));
        break;
    case 0x80000008:
        if (!cpuid_is_intel(vp))
            r->ecx = (count - 1) | id_bits << 12;
        break;
    default:
        break;
    }
}

void cpuid_default(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
    if (leaf >> 28 == 4) {
        interface_leaf(vp, leaf, result);
        return;
    }
    arch_cpuid(vp, leaf, subleaf, result);
    hide(vp, leaf, subleaf, result);
    show(vp, leaf, subleaf, result);
    if (partition_is_parent(vp->partition))
        return;
    show_topology(vp, leaf, subleaf, result);
    features_hide(vp->partition->disabled_features, leaf, subleaf, result);
}

bool cpuid_emulate(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
    cpuid_default(vp, leaf, subleaf, result);
    return vp->partition->cpuid_overrides.raw != 0 &&
           cpuid_override_apply(vp, leaf, subleaf, result);
}
