/* SPDX-License-Identifier: MIT */
/* Messages and event flags that the parent places directly in a VP's SynIC pages. */
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

static struct vp *find_vp(struct partition *partition, uint32_t index, uint8_t vtl,
                          enum hv_status *status)
{
    struct vp *vp = partition_vp(partition, index);
    *status = HV_STATUS_SUCCESS;
    if (vp == NULL)
        *status = HV_STATUS_INVALID_VP_INDEX;
    else if (vtl != 0)
        *status = HV_STATUS_INVALID_PARAMETER;
    return vp;
}

enum hv_status hypercall_post_message_direct(struct hypercall *call)
{
    const struct hv_input_post_message_direct *input = call->input;
    enum hv_status status;
    struct partition *partition = hypercall_acquire(call, input->partition_id, &status);
    if (partition == NULL)
        return status;
    struct vp *vp = find_vp(partition, input->vp_index, input->target_vtl, &status);
    if (status == HV_STATUS_SUCCESS) {
        struct hv_message message;
        memcpy(&message, input->message, sizeof message);
        status = partition_is_parent(partition) ? synic_post_message(vp, input->sint, &message)
                                                : synic_queue_message(vp, input->sint, &message);
    }
    partition_release(partition);
    return status;
}

enum hv_status hypercall_signal_event_direct(struct hypercall *call)
{
    const struct hv_input_signal_event_direct *input = call->input;
    struct hv_output_signal_event_direct *output = call->output;
    enum hv_status status;
    struct partition *partition = hypercall_acquire(call, input->partition_id, &status);
    if (partition == NULL)
        return status;
    struct vp *vp = find_vp(partition, input->vp_index, input->target_vtl, &status);
    if (status == HV_STATUS_SUCCESS) {
        bool newly;
        status = synic_signal_event(vp, input->sint, input->flag_number, &newly);
        output->newly_signaled = newly;
    }
    partition_release(partition);
    return status;
}
