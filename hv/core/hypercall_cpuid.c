/* SPDX-License-Identifier: MIT */
/* What a child's VPs see by CPUID: the parent fixes answers, and reads them. */
#include "hv/abi/partition.h"
#include "hv/core/cpuid_override.h"
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

static enum hv_status check_override(const struct partition *partition,
                                     const struct hv_input_register_intercept_result *input)
{
    if (input->type != HV_INTERCEPT_CPUID || input->subleaf_specific > 1 ||
        input->always_override > 1)
        return HV_STATUS_INVALID_PARAMETER;
    if (input->vp_index != HV_ANY_VP && partition_vp(partition, input->vp_index) == NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    return partition->state == PARTITION_ACTIVE ? HV_STATUS_SUCCESS
                                                : HV_STATUS_INVALID_PARTITION_STATE;
}

enum hv_status hypercall_register_intercept_result(struct hypercall *call)
{
    const struct hv_input_register_intercept_result *input = call->input;
    struct cpuid_override wanted = {.vp_index = input->vp_index,
                                    .eax = input->eax,
                                    .ecx = input->subleaf_specific ? input->ecx : 0,
                                    .subleaf_specific = input->subleaf_specific};
    memcpy(wanted.result, input->result, sizeof wanted.result);
    const enum hv_status status = check_override(call->target, input);
    return status == HV_STATUS_SUCCESS ? cpuid_override_add(call->target, &wanted) : status;
}

static void get_values(void *argument)
{
    struct vp_work *work = argument;
    struct hypercall *call = work->call;
    const struct hv_input_get_cpuid *input = call->input;
    const struct hv_cpuid_leaf *leaf = call->rep_input;
    struct cpuid_result *result = call->output;
    for (; call->done < call->reps; call->done++) {
        const struct hv_cpuid_leaf *at = &leaf[call->done];
        if (input->flags & HV_GET_CPUID_APPLY_OVERRIDES)
            cpuid_emulate(work->vp, at->eax, at->ecx, &result[call->done]);
        else
            cpuid_default(work->vp, at->eax, at->ecx, &result[call->done]);
    }
}

/* With the VP's own XCR0, whatever the leaves name. */
enum hv_status hypercall_get_cpuid(struct hypercall *call)
{
    const struct hv_input_get_cpuid *input = call->input;
    if (input->flags & ~(HV_GET_CPUID_USE_VP_XFEM | HV_GET_CPUID_APPLY_OVERRIDES))
        return HV_STATUS_INVALID_PARAMETER;
    return hypercall_run_on_vp(call, get_values);
}
