/* SPDX-License-Identifier: MIT */
/* Messages and event flags that the parent places directly in a VP's SynIC pages. */
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

static enum hv_status find_vp(struct hypercall *call, uint64_t partition_id, uint32_t vp_index,
                              struct vp **vp)
{
    const struct partition *partition = partition_find(call->vp->partition, partition_id);
    if (partition == NULL)
        return HV_STATUS_INVALID_PARTITION_ID;
    if (vp_index >= partition->vp_count)
        return HV_STATUS_INVALID_VP_INDEX;
    *vp = partition->vp[vp_index];
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_post_message_direct(struct hypercall *call)
{
    const struct hv_input_post_message_direct *input = call->input;
    struct vp *vp;
    const enum hv_status status = find_vp(call, input->partition_id, input->vp_index, &vp);
    if (status != HV_STATUS_SUCCESS)
        return status;
    if (input->target_vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    struct hv_message message;
    memcpy(&message, input->message, sizeof message);
    return synic_post_message(vp, input->sint, &message);
}

enum hv_status hypercall_signal_event_direct(struct hypercall *call)
{
    const struct hv_input_signal_event_direct *input = call->input;
    struct hv_output_signal_event_direct *output = call->output;
    struct vp *vp;
    enum hv_status status = find_vp(call, input->partition_id, input->vp_index, &vp);
    if (status != HV_STATUS_SUCCESS)
        return status;
    if (input->target_vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    bool newly;
    status = synic_signal_event(vp, input->sint, input->flag_number, &newly);
    output->newly_signaled = newly;
    return status;
}
