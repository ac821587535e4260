/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls (TLFS, "Hypercall Interface"): one table of what each call takes,
 * one place that checks it and copies input and output, so that handlers see only
 * well-formed calls in the hypervisor's own memory.
 */
#ifndef HV_CORE_HYPERCALL_H
#define HV_CORE_HYPERCALL_H

#include "hv/abi/hypercall.h"
#include "hv/core/types.h"

struct vp;

/* The pages a call in progress is copied to, one set an LP. */
struct hypercall_buffers {
    _Alignas(8) uint8_t input[PAGE_SIZE];
    _Alignas(8) uint8_t output[PAGE_SIZE];
};

struct hypercall {
    struct vp *vp; /* the caller */
    const void *input;
    size_t input_size;
    uint32_t variable_words; /* of the variable header, behind the fixed one */
    void *output;            /* zeroed */
};

/*
 * Acts on the call in the VP's registers: RCX control, RDX and R8 input and output
 * (addresses, or the input itself in a fast call); RAX gets the result.
 */
void hypercall_dispatch(struct vp *vp);

/* Handlers, by file. */
enum hv_status hypercall_notify_long_spin_wait(struct hypercall *call);
enum hv_status hypercall_get_partition_id(struct hypercall *call);
enum hv_status hypercall_send_ipi(struct hypercall *call);
enum hv_status hypercall_send_ipi_ex(struct hypercall *call);
enum hv_status hypercall_post_message_direct(struct hypercall *call);
enum hv_status hypercall_signal_event_direct(struct hypercall *call);
enum hv_status hypercall_get_info(struct hypercall *call);
enum hv_status hypercall_read_log(struct hypercall *call);
enum hv_status hypercall_get_stats(struct hypercall *call);

#endif
