/* SPDX-License-Identifier: MIT */
/* Messages and event flags that the parent places directly in a VP's SynIC pages. */
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

enum hv_status hypercall_post_message_direct(struct hypercall *call)
{
    const struct hv_input_post_message_direct *input = call->input;
    struct hv_message message;
    if (input->target_vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    memcpy(&message, input->message, sizeof message);
    return partition_is_parent(call->target)
               ? synic_post_message(call->target_vp, input->sint, &message)
               : synic_queue_message(call->target_vp, input->sint, &message);
}

enum hv_status hypercall_signal_event_direct(struct hypercall *call)
{
    const struct hv_input_signal_event_direct *input = call->input;
    struct hv_output_signal_event_direct *output = call->output;
    bool newly = false;
    if (input->target_vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    const enum hv_status status =
        synic_signal_event(call->target_vp, input->sint, input->flag_number, &newly);
    output->newly_signaled = newly;
    return status;
}
