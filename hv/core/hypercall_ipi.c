/* SPDX-License-Identifier: MIT */
/* One call instead of one APIC access for each target (TLFS, HvCallSendSyntheticClusterIpi). */
#include "hv/core/hypercall.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define LOWEST_VECTOR  16u
#define HIGHEST_VECTOR 255u
#define VPS_PER_BANK   64u

static bool is_valid_vector(uint32_t vector, uint8_t vtl)
{
    return vector >= LOWEST_VECTOR && vector <= HIGHEST_VECTOR && vtl == 0;
}

static void send_to_bank(struct partition *partition, uint32_t first, uint64_t mask,
                         uint32_t vector)
{
    for (; mask != 0; mask &= mask - 1) {
        const uint32_t index = first + (uint32_t)__builtin_ctzll(mask);
        struct vp *vp = partition_vp(partition, index);
        if (vp != NULL)
            vapic_send_fixed(vp, (uint8_t)vector);
    }
}

enum hv_status hypercall_send_ipi(struct hypercall *call)
{
    const struct hv_input_send_ipi *input = call->input;
    if (!is_valid_vector(input->vector, input->target_vtl))
        return HV_STATUS_INVALID_PARAMETER;
    send_to_bank(call->vp->partition, 0, input->processor_mask, input->vector);
    return HV_STATUS_SUCCESS;
}

static uint32_t count_bits(uint64_t bits)
{
    uint32_t count = 0;
    for (; bits != 0; bits &= bits - 1)
        count++;
    return count;
}

static void send_to_all(struct partition *partition, uint32_t vector)
{
    for (uint32_t i = 0; i < partition->vp_count; i++)
        send_to_bank(partition, i, 1, vector);
}

enum hv_status hypercall_send_ipi_ex(struct hypercall *call)
{
    const struct hv_input_send_ipi_ex *input = call->input;
    struct partition *partition = call->vp->partition;
    if (!is_valid_vector(input->vector, input->target_vtl))
        return HV_STATUS_INVALID_PARAMETER;
    if (input->set.format == HV_VP_SET_ALL && call->variable_words == 0) {
        send_to_all(partition, input->vector);
        return HV_STATUS_SUCCESS;
    }
    const uint64_t banks = input->set.valid_bank_mask;
    if (input->set.format != HV_VP_SET_SPARSE_4K || count_bits(banks) != call->variable_words)
        return HV_STATUS_INVALID_PARAMETER;
    uint32_t word = 0;
    for (uint64_t left = banks; left != 0; left &= left - 1, word++)
        send_to_bank(partition, (uint32_t)__builtin_ctzll(left) * VPS_PER_BANK,
                     input->set.bank[word], input->vector);
    return HV_STATUS_SUCCESS;
}
