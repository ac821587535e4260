/* SPDX-License-Identifier: MIT */
/* Properties of a partition and of the machine, read. What is the machine's is so for all. */
#include "hv/abi/cpuid.h"
#include "hv/abi/partition.h"
#include "hv/arch.h"
#include "hv/core/cpuid.h"
#include "hv/core/hypercall.h"
#include "hv/core/named_value.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define VENDOR_AMD   0u
#define VENDOR_INTEL 1u

static uint64_t physical_address_width(struct vp *vp)
{
    struct cpuid_result r;
    arch_cpuid(vp, 0x80000008, 0, &r);
    return r.eax & 0xff;
}

/* Each bit of a bank asks CPUID, so they are looked up only when they are wanted. */
static bool get_features(struct vp *vp, const struct partition *partition, uint32_t code,
                         uint64_t *value)
{
    static const uint32_t codes[FEATURE_BANKS] = {HV_PROPERTY_PROCESSOR_FEATURES_0,
                                                  HV_PROPERTY_PROCESSOR_FEATURES_1,
                                                  HV_PROPERTY_XSAVE_FEATURES};
    unsigned bank = 0;
    while (bank < FEATURE_BANKS && codes[bank] != code)
        bank++;
    if (bank == FEATURE_BANKS)
        return false;
    *value = features_bank(vp, bank) & ~partition->disabled_features[bank];
    return true;
}

static bool get_property(struct vp *vp, const struct partition *partition, uint32_t code,
                         uint64_t *value)
{
    const struct named_value table[] = {
        {HV_PROPERTY_PRIVILEGE_FLAGS, cpuid_privileges(partition)},
        {HV_PROPERTY_SYNTHETIC_FEATURES, partition->synthetic_features & HV_SYNTHETIC_ALL},
        {HV_PROPERTY_TIME_FREEZE, partition->time_frozen},
        {HV_PROPERTY_REFERENCE_TIME, partition_time(partition)},
        {HV_PROPERTY_GPA_ACCESS_TRACKING, partition->tracks_access},
        {HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION, partition->ignores_unknown_msrs},
        {HV_PROPERTY_PROCESSOR_VENDOR, cpuid_is_intel(vp) ? VENDOR_INTEL : VENDOR_AMD},
        {HV_PROPERTY_PHYSICAL_ADDRESS_WIDTH, physical_address_width(vp)},
        {HV_PROPERTY_XSAVE_STATES, arch_xsave_components()},
        {HV_PROPERTY_MAX_XSAVE_SIZE, arch_xsave_size()},
        {HV_PROPERTY_PROCESSOR_CLOCK, arch_tsc_hz()},
    };
    return named_value_find(table, ARRAY_COUNT(table), code, value) ||
           get_features(vp, partition, code, value);
}

enum hv_status hypercall_get_partition_property(struct hypercall *call)
{
    const struct hv_input_get_partition_property *input = call->input;
    struct hv_output_get_partition_property *output = call->output;
    return get_property(call->vp, call->target, input->code, &output->value)
               ? HV_STATUS_SUCCESS
               : HV_STATUS_UNKNOWN_PROPERTY;
}
