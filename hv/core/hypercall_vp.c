/* SPDX-License-Identifier: MIT */
/* Virtual processors of children: life, registers, pages of their state, interrupts. */
#include "hv/abi/vp.h"

#include "hv/abi/bulkhead.h"
#include "hv/abi/msr.h"

#include "hv/arch.h"
#include "hv/core/hypercall.h"
#include "hv/core/intercept.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"
#include "hv/core/vp_register.h"

#define ICR_MODE_SHIFT 8
#define ICR_LOGICAL    (1u << 11)
#define ICR_LEVEL      (1u << 15)

enum hv_status hypercall_create_vp(struct hypercall *call)
{
    const struct hv_input_create_vp *input = call->input;
    return partition_add_vp(call->target, input->vp_index);
}

enum hv_status hypercall_delete_vp(struct hypercall *call)
{
    const struct hv_input_delete_vp *input = call->input;
    partition_destroy_vp(call->target, input->vp_index);
    return HV_STATUS_SUCCESS;
}

/* ---- registers: all of a call in one go, on the VP's LP ---- */

static void get_registers(void *argument)
{
    struct vp_work *work = argument;
    struct hypercall *call = work->call;
    const uint32_t *name = call->rep_input;
    union hv_register_value *value = call->output;
    for (; call->done < call->reps; call->done++) {
        work->status = vp_get_register(work->vp, name[call->done], &value[call->done]);
        if (work->status != HV_STATUS_SUCCESS)
            return;
    }
}

static void set_registers(void *argument)
{
    struct vp_work *work = argument;
    struct hypercall *call = work->call;
    const struct hv_register_assoc *element = call->rep_input;
    for (; call->done < call->reps; call->done++) {
        const struct hv_register_assoc *at = &element[call->done];
        work->status = vp_set_register(work->vp, at->name, &at->value);
        if (work->status != HV_STATUS_SUCCESS)
            return;
    }
}

enum hv_status hypercall_run_on_vp(struct hypercall *call, void (*function)(void *work))
{
    struct vp_work work = {.call = call, .vp = call->target_vp};
    arch_call_on_vp(work.vp, function, &work);
    return work.status;
}

static enum hv_status work_on_registers(struct hypercall *call, void (*function)(void *))
{
    const struct hv_input_vp_registers *input = call->input;
    if (input->input_vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    return hypercall_run_on_vp(call, function);
}

enum hv_status hypercall_get_vp_registers(struct hypercall *call)
{
    return work_on_registers(call, get_registers);
}

enum hv_status hypercall_set_vp_registers(struct hypercall *call)
{
    return work_on_registers(call, set_registers);
}

/* ---- running ---- */

static void run_vp(void *argument)
{
    struct vp_work *work = argument;
    const struct bh_run_vp_input *input = work->call->input;
    struct vp *caller = work->call->vp;
    intercept_resume(work->vp);
    work->vp->explicit_suspend = false;
    arch_suspend_changed(work->vp);
    if (input->flags == BH_RUN_WAIT && arch_parent_vp(work->vp) == caller) {
        vp_halt(caller);
        caller->waits_for = work->vp;
    }
}

enum hv_status hypercall_run_vp(struct hypercall *call)
{
    const struct bh_run_vp_input *input = call->input;
    if (input->flags & ~BH_RUN_WAIT)
        return HV_STATUS_INVALID_PARAMETER;
    return hypercall_run_on_vp(call, run_vp);
}

/* ---- state pages ---- */

static struct overlay *page_of(struct vp *vp, uint16_t type)
{
    return type == HV_STATE_PAGE_REGISTERS ? &vp->register_page : &vp->intercept_page;
}

static void map_page(void *argument)
{
    struct vp_work *work = argument;
    const struct hv_input_map_state_page *input = work->call->input;
    const uint64_t msr = input->requested_location << PAGE_SHIFT | HV_PAGE_MSR_ENABLE;
    work->status = overlay_place(page_of(work->vp, input->type), work->call->vp->partition, msr)
                       ? HV_STATUS_SUCCESS
                       : HV_STATUS_INVALID_PARAMETER;
}

static void unmap_page(void *argument)
{
    struct vp_work *work = argument;
    const struct hv_input_unmap_state_page *input = work->call->input;
    overlay_drop(page_of(work->vp, input->type));
}

enum hv_status hypercall_map_state_page(struct hypercall *call)
{
    const struct hv_input_map_state_page *input = call->input;
    struct hv_output_map_state_page *output = call->output;
    if (input->flags != HV_STATE_PAGE_LOCATION_GIVEN || input->input_vtl != 0 ||
        input->type > HV_STATE_PAGE_INTERCEPT_MESSAGE ||
        input->requested_location >= 1ull << (NESTED_GPA_BITS - PAGE_SHIFT))
        return HV_STATUS_INVALID_PARAMETER;
    output->location = input->requested_location;
    return hypercall_run_on_vp(call, map_page);
}

enum hv_status hypercall_unmap_state_page(struct hypercall *call)
{
    const struct hv_input_unmap_state_page *input = call->input;
    return input->type > HV_STATE_PAGE_INTERCEPT_MESSAGE ? HV_STATUS_INVALID_PARAMETER
                                                         : hypercall_run_on_vp(call, unmap_page);
}

/* ---- interrupts ---- */

enum hv_status hypercall_assert_interrupt(struct hypercall *call)
{
    const struct hv_input_assert_interrupt *input = call->input;
    const uint64_t icr = (input->vector & 0xff) | (uint64_t)input->type << ICR_MODE_SHIFT |
                         (input->flags & HV_INTERRUPT_LOGICAL_DESTINATION ? ICR_LOGICAL : 0) |
                         (input->flags & HV_INTERRUPT_LEVEL_TRIGGERED ? ICR_LEVEL : 0);
    if (input->vector > 0xff || input->type > HV_INTERRUPT_NMI || input->target_vtl != 0 ||
        input->destination > UINT32_MAX)
        return HV_STATUS_INVALID_PARAMETER;
    return vapic_inject(call->target, icr, (uint32_t)input->destination)
               ? HV_STATUS_SUCCESS
               : HV_STATUS_INVALID_PARAMETER;
}
