/* SPDX-License-Identifier: MIT */
/* Life cycle and properties of child partitions. */
#include "hv/abi/partition.h"

#include "hv/arch.h"
#include "hv/core/cpuid_override.h"
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/registers.h"
#include "hv/core/vp.h"

#define CREATE_FLAGS                                               \
    (HV_CREATE_GPA_SUPER_PAGES | HV_CREATE_EXO | HV_CREATE_LAPIC | \
     HV_CREATE_INTERCEPT_MESSAGE_PAGE | HV_CREATE_X2APIC)

#define READ_WRITE (HV_INTERCEPT_ACCESS_READ | HV_INTERCEPT_ACCESS_WRITE)
#define EXECUTE    HV_INTERCEPT_ACCESS_EXECUTE

enum hv_status hypercall_create_partition(struct hypercall *call)
{
    const struct hv_input_create_partition *input = call->input;
    struct hv_output_create_partition *output = call->output;
    if ((input->flags & ~CREATE_FLAGS) || input->isolation != 0)
        return HV_STATUS_INVALID_PARAMETER;
    struct partition *partition = partition_create(call->vp->partition->frames);
    if (partition == NULL)
        return HV_STATUS_NO_RESOURCES;
    partition->has_apic = input->flags & HV_CREATE_LAPIC;
    partition->has_x2apic = partition->has_apic && (input->flags & HV_CREATE_X2APIC);
    memcpy(partition->disabled_features, input->disabled_processor_features,
           sizeof partition->disabled_features);
    output->partition_id = partition->id;
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_initialize_partition(struct hypercall *call)
{
    struct partition *partition = call->target;
    enum hv_status status = HV_STATUS_INVALID_PARTITION_STATE;
    if (partition->state == PARTITION_CREATED)
        status = nested_init(&partition->nested, call->vp->partition->nested.format,
                             &partition->pool_source, SIZE_2M);
    if (status == HV_STATUS_SUCCESS)
        partition->state = PARTITION_ACTIVE;
    return status;
}

/* One VP, or memory for a while: the caller's interrupts are taken in between. */
static bool finalize_step(struct partition *partition)
{
    for (uint32_t i = 0; i < partition->vp_count; i++) {
        if (partition->vp[i] != NULL) {
            partition_destroy_vp(partition, i);
            return false;
        }
    }
    return port_release_all(partition) &&
           partition_release_memory(partition, arch_time_now() + HYPERCALL_TIME_MAX);
}

enum hv_status hypercall_finalize_partition(struct hypercall *call)
{
    struct partition *partition = call->target;
    partition->state = PARTITION_FINALIZED;
    call->again = !finalize_step(partition);
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_delete_partition(struct hypercall *call)
{
    struct partition *partition = call->target;
    const bool empty = partition->nested.root.raw == 0 && partition->pool.free_pages == 0 &&
                       partition->pool.used_pages == 0;
    if (partition->state == PARTITION_ACTIVE || !empty)
        return HV_STATUS_INVALID_PARTITION_STATE;
    partition_delete(partition);
    call->target = NULL;
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_get_partition_property_ex(struct hypercall *call)
{
    const struct hv_input_get_partition_property_ex *input = call->input;
    struct hv_vmm_capabilities *output = call->output;
    if (input->code != HV_PROPERTY_VMM_CAPABILITIES)
        return HV_STATUS_INVALID_PARAMETER;
    output->bank_count = 1;
    output->capabilities = HV_VMM_PROVIDES_OVERLAY_PAGES;
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_share(struct partition *partition, uint64_t value)
{
    const struct sched_params share = {
        .weight = BH_SHARE_WEIGHT(value),
        .reserve = BH_SHARE_RESERVE(value) * SCHED_SHARE_UNIT,
        .cap = BH_SHARE_CAP(value) * SCHED_SHARE_UNIT,
    };
    return value & ~BH_SHARE_VALID ? HV_STATUS_INVALID_PARAMETER
                                   : partition_set_share(partition, &share);
}

static enum hv_status set_property(struct partition *partition, uint32_t code, uint64_t value)
{
    const bool is_flag = code == HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION ||
                         code == HV_PROPERTY_TIME_FREEZE || code == HV_PROPERTY_GPA_ACCESS_TRACKING;
    if (is_flag && value > 1)
        return HV_STATUS_INVALID_PARAMETER;
    switch (code) {
    case HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION:
        partition->ignores_unknown_msrs = value == 1;
        return HV_STATUS_SUCCESS;
    case HV_PROPERTY_TIME_FREEZE:
        partition_freeze_time(partition, value == 1);
        return HV_STATUS_SUCCESS;
    case HV_PROPERTY_SYNTHETIC_FEATURES:
        if (partition->state != PARTITION_CREATED)
            return HV_STATUS_INVALID_PARTITION_STATE;
        partition->synthetic_features = value;
        return HV_STATUS_SUCCESS;
    case HV_PROPERTY_GPA_ACCESS_TRACKING:
        partition->tracks_access = value == 1;
        return HV_STATUS_SUCCESS;
    case BH_PROPERTY_SHARE:
        return set_share(partition, value);
    default:
        return HV_STATUS_INVALID_PARAMETER;
    }
}

enum hv_status hypercall_set_partition_property(struct hypercall *call)
{
    const struct hv_input_set_partition_property *input = call->input;
    return set_property(call->target, input->code, input->value);
}

/* ---- intercepts ---- */

/* The machine's own. */
#define NOT_INTERCEPTED (1u << VECTOR_NMI | 1u << VECTOR_MACHINE_CHECK)

/* What there is, and by which accesses. Ports, and addresses without memory, intercept for ever. */
static const struct {
    uint32_t type, access;
    bool always;
} intercepts[] = {
    {HV_INTERCEPT_IO_PORT, READ_WRITE, true},
    {HV_INTERCEPT_IO_PORT_RANGE, READ_WRITE, true},
    {HV_INTERCEPT_MMIO, READ_WRITE | EXECUTE, true},
    {HV_INTERCEPT_MSR, READ_WRITE, false},
    {HV_INTERCEPT_CPUID, EXECUTE, false},
    {HV_INTERCEPT_EXCEPTION, EXECUTE, false},
    {HV_INTERCEPT_HYPERCALL, EXECUTE, false},
};

static enum hv_status intercept_cpuid(struct partition *partition, uint64_t leaf, bool on)
{
    const struct cpuid_override wanted = {
        .vp_index = HV_ANY_VP,
        .eax = (uint32_t)leaf,
        .kind = on ? CPUID_OVERRIDE_INTERCEPT : CPUID_OVERRIDE_RELEASE,
    };
    if (partition->state != PARTITION_ACTIVE)
        return HV_STATUS_INVALID_PARTITION_STATE;
    return leaf > UINT32_MAX ? HV_STATUS_INVALID_PARAMETER : cpuid_override_add(partition, &wanted);
}

static enum hv_status intercept_exception(struct partition *partition, uint64_t vector, bool on)
{
    if (vector >= 32 || (NOT_INTERCEPTED >> vector & 1))
        return HV_STATUS_INVALID_PARAMETER;
    partition->exception_intercepts &= ~(1u << vector);
    partition->exception_intercepts |= (uint32_t)on << vector;
    for (uint32_t i = 0; i < partition->vp_count; i++)
        if (partition->vp[i] != NULL)
            arch_call_on_vp(partition->vp[i], arch_take_intercepts, partition->vp[i]);
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_install_intercept(struct hypercall *call)
{
    const struct hv_input_install_intercept *input = call->input;
    unsigned i = 0;
    while (i < ARRAY_COUNT(intercepts) && intercepts[i].type != input->type)
        i++;
    if (i == ARRAY_COUNT(intercepts) || (input->access & ~intercepts[i].access))
        return HV_STATUS_INVALID_PARAMETER;
    if (intercepts[i].always)
        return input->access != 0 ? HV_STATUS_SUCCESS : HV_STATUS_OPERATION_DENIED;
    if (input->type == HV_INTERCEPT_CPUID)
        return intercept_cpuid(call->target, input->parameter, input->access != 0);
    if (input->type == HV_INTERCEPT_EXCEPTION)
        return intercept_exception(call->target, input->parameter, input->access != 0);
    if (input->type == HV_INTERCEPT_MSR)
        call->target->msr_intercepts = input->access;
    else
        call->target->intercepts_hypercalls = input->access != 0;
    return HV_STATUS_SUCCESS;
}
