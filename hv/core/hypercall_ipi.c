/* SPDX-License-Identifier: MIT */
/* One call instead of one APIC access for each target (TLFS, HvCallSendSyntheticClusterIpi), or
 * instead of one interrupt (HvCallFlushVirtualAddressSpace and its kin). */
#include "hv/core/hypercall.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define LOWEST_VECTOR  16u
#define HIGHEST_VECTOR 255u

_Static_assert(PARTITION_MAX_VPS <= 64, "a set of VPs is its first bank");

/* Banks beyond the first name VPs that do not exist. */
static bool read_set(const struct hypercall *call, const struct hv_vp_set *set, uint64_t *mask)
{
    uint32_t banks = 0;
    for (uint64_t left = set->valid_bank_mask; left != 0; left &= left - 1)
        banks++;
    *mask = ~0ull;
    if (set->format == HV_VP_SET_ALL && call->variable_words == 0)
        return true;
    if (set->format != HV_VP_SET_SPARSE_4K || banks != call->variable_words)
        return false;
    *mask = set->valid_bank_mask & 1 ? set->bank[0] : 0;
    return true;
}

/* ---- interrupts ---- */

static enum hv_status send(const struct hypercall *call, uint64_t mask, uint32_t vector,
                           uint8_t vtl)
{
    if (vector < LOWEST_VECTOR || vector > HIGHEST_VECTOR || vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    for (; mask != 0; mask &= mask - 1) {
        struct vp *vp = partition_vp(call->vp->partition, (uint32_t)__builtin_ctzll(mask));
        if (vp != NULL)
            vapic_send_fixed(vp, (uint8_t)vector);
    }
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_send_ipi(struct hypercall *call)
{
    const struct hv_input_send_ipi *input = call->input;
    return send(call, input->processor_mask, input->vector, input->target_vtl);
}

enum hv_status hypercall_send_ipi_ex(struct hypercall *call)
{
    const struct hv_input_send_ipi_ex *input = call->input;
    uint64_t mask;
    return read_set(call, &input->set, &mask) ? send(call, mask, input->vector, input->target_vtl)
                                              : HV_STATUS_INVALID_PARAMETER;
}

/* ---- translations ---- */

/*
 * A VP forgets all its translations before its next instruction, whatever the call named: that is
 * always allowed. One that runs right now is sent out of the guest and waited for. Its LP depends
 * on nobody until it has left the guest, so the wait is short, and nothing else is served in it.
 */
static enum hv_status flush(struct hypercall *call, uint64_t flags, uint64_t mask)
{
    if (flags & ~HV_FLUSH_FLAGS)
        return HV_STATUS_INVALID_PARAMETER;
    if (flags & HV_FLUSH_ALL_PROCESSORS)
        mask = ~0ull;
    for (uint32_t i = 0; i < call->vp->partition->vp_count; i++) {
        struct vp *vp = mask >> i & 1 ? partition_vp(call->vp->partition, i) : NULL;
        if (vp != NULL)
            vp_want_flush(vp);
    }
    for (uint32_t i = 0; i < call->vp->partition->vp_count; i++) {
        const struct vp *vp = mask >> i & 1 ? partition_vp(call->vp->partition, i) : NULL;
        while (vp != NULL && vp_may_use_old_translations(vp))
            __builtin_ia32_pause();
    }
    call->done = call->reps;
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_flush(struct hypercall *call)
{
    const struct hv_input_flush *input = call->input;
    return flush(call, input->flags, input->processor_mask);
}

enum hv_status hypercall_flush_ex(struct hypercall *call)
{
    const struct hv_input_flush_ex *input = call->input;
    uint64_t mask;
    return read_set(call, &input->set, &mask) ? flush(call, input->flags, mask)
                                              : HV_STATUS_INVALID_PARAMETER;
}
