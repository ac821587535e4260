/* SPDX-License-Identifier: MIT */
/* One call instead of one APIC access for each target (TLFS, HvCallSendSyntheticClusterIpi), or
 * instead of one interrupt (HvCallFlushVirtualAddressSpace and its kin). */
#include "hv/core/hypercall.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define LOWEST_VECTOR  16u
#define HIGHEST_VECTOR 255u

_Static_assert(PARTITION_MAX_VPS <= 64, "a set of VPs is its first bank");

/* The mask of a plain call lies where the extended one has its set. */
_Static_assert(offsetof(struct hv_input_send_ipi, processor_mask) ==
                   offsetof(struct hv_input_send_ipi_ex, set) + offsetof(struct hv_vp_set, format),
               "HvCallSendSyntheticClusterIpi");
_Static_assert(offsetof(struct hv_input_flush, processor_mask) ==
                   offsetof(struct hv_input_flush_ex, set) + offsetof(struct hv_vp_set, format),
               "HvCallFlushVirtualAddressSpace");

/* Banks beyond the first name VPs that do not exist. */
static bool read_targets(const struct hypercall *call, const struct hv_vp_set *set, bool extended,
                         uint64_t *mask)
{
    uint32_t banks = 0;
    for (uint64_t left = set->valid_bank_mask; left != 0; left &= left - 1)
        banks++;
    *mask = extended ? ~0ull : set->format;
    if (!extended || (set->format == HV_VP_SET_ALL && call->variable_words == 0))
        return true;
    if (set->format != HV_VP_SET_SPARSE_4K || banks != call->variable_words)
        return false;
    *mask = set->valid_bank_mask & 1 ? set->bank[0] : 0;
    return true;
}

enum hv_status hypercall_send_ipi(struct hypercall *call)
{
    const struct hv_input_send_ipi_ex *input = call->input;
    uint64_t mask;
    if (input->vector < LOWEST_VECTOR || input->vector > HIGHEST_VECTOR || input->target_vtl != 0 ||
        !read_targets(call, &input->set, call->code == HVCALL_SEND_IPI_EX, &mask))
        return HV_STATUS_INVALID_PARAMETER;
    for (; mask != 0; mask &= mask - 1) {
        struct vp *vp = partition_vp(call->vp->partition, (uint32_t)__builtin_ctzll(mask));
        if (vp != NULL)
            vapic_send_fixed(vp, (uint8_t)input->vector);
    }
    return HV_STATUS_SUCCESS;
}

/*
 * A VP forgets all its translations before its next instruction, whatever the call named: that is
 * always allowed. One that runs right now is sent out of the guest and waited for. Its LP depends
 * on nobody until it has left the guest, so the wait is short, and nothing else is served in it.
 */
enum hv_status hypercall_flush(struct hypercall *call)
{
    const struct hv_input_flush_ex *input = call->input;
    const struct partition *partition = call->vp->partition;
    const bool extended = call->code == HVCALL_FLUSH_SPACE_EX || call->code == HVCALL_FLUSH_LIST_EX;
    uint64_t mask;
    if ((input->flags & ~HV_FLUSH_FLAGS) || !read_targets(call, &input->set, extended, &mask))
        return HV_STATUS_INVALID_PARAMETER;
    if (input->flags & HV_FLUSH_ALL_PROCESSORS)
        mask = ~0ull;
    for (uint32_t i = 0; i < partition->vp_count; i++) {
        struct vp *vp = mask >> i & 1 ? partition_vp(partition, i) : NULL;
        if (vp != NULL)
            vp_want_flush(vp);
    }
    for (uint32_t i = 0; i < partition->vp_count; i++) {
        const struct vp *vp = mask >> i & 1 ? partition_vp(partition, i) : NULL;
        while (vp != NULL && vp_may_use_old_translations(vp))
            __builtin_ia32_pause();
    }
    call->done = call->reps;
    return HV_STATUS_SUCCESS;
}
