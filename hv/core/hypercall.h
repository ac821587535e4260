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

#define HYPERCALL_TIME_MAX 500u /* 50 us: what takes longer is done in pieces */

/* The pages a call in progress is copied to, one set an LP. */
struct hypercall_buffers {
    _Alignas(8) uint8_t input[PAGE_SIZE];
    _Alignas(8) uint8_t output[PAGE_SIZE];
};

struct hypercall {
    struct vp *vp;            /* the caller */
    struct partition *target; /* that the call names, taken for it; NULL: its handler ended it */
    struct vp *target_vp;     /* of it, in calls on a VP */
    uint32_t code;
    const void *input;
    size_t input_size;
    uint32_t variable_words; /* of the variable header, behind the fixed one */
    uint32_t reps;           /* repetitions asked for; 0 in a simple call */
    uint32_t done;           /* of them, done: a rep call starts here and moves it on */
    const void *rep_input;   /* the elements, all of them */
    void *output;            /* zeroed; of a rep call, the elements from number 0 */
    reftime_t started;
    bool no_output; /* of a call that has output only sometimes */
    bool again;     /* nothing was done; the VP shall make the call anew */
};

struct partition;

/*
 * A repeating call works on one element after the other while this is true: it
 * ends when all are done, or when it used up its time, after one element at
 * least. The caller is then sent into the call again to go on, so that interrupts
 * are taken in between.
 */
bool hypercall_next(const struct hypercall *call);

/*
 * Acts on the call in the VP's registers: RCX control, RDX and R8 input and output
 * (addresses, or the input itself in a fast call); RAX gets the result. False:
 * the call is not finished; RCX says where to go on, and the VP shall execute the
 * call instruction again, unless the parent answers the call in its place.
 */
bool hypercall_dispatch(struct vp *vp);

/*
 * The partition that a call names, taken for it (partition_release). NULL: the handler returns
 * *status at once; the call may have been marked to be made again.
 */
struct partition *hypercall_acquire(struct hypercall *call, uint64_t id, enum hv_status *status);

/* Runs the function on the VP's LP with a struct vp_work, whose status is the call's. */
struct vp_work {
    struct hypercall *call;
    struct vp *vp;
    enum hv_status status;
};
enum hv_status hypercall_run_on_vp(struct hypercall *call, void (*function)(void *work));

/* Handlers, by file. */
enum hv_status hypercall_run_vp(struct hypercall *call);
enum hv_status hypercall_notify_long_spin_wait(struct hypercall *call);
enum hv_status hypercall_get_partition_id(struct hypercall *call);
enum hv_status hypercall_send_ipi(struct hypercall *call);
enum hv_status hypercall_flush(struct hypercall *call);
enum hv_status hypercall_post_message_direct(struct hypercall *call);
enum hv_status hypercall_signal_event_direct(struct hypercall *call);
enum hv_status hypercall_create_partition(struct hypercall *call);
enum hv_status hypercall_initialize_partition(struct hypercall *call);
enum hv_status hypercall_finalize_partition(struct hypercall *call);
enum hv_status hypercall_delete_partition(struct hypercall *call);
enum hv_status hypercall_get_partition_property_ex(struct hypercall *call);
enum hv_status hypercall_set_partition_property(struct hypercall *call);
enum hv_status hypercall_install_intercept(struct hypercall *call);
enum hv_status hypercall_deposit_memory(struct hypercall *call);
enum hv_status hypercall_withdraw_memory(struct hypercall *call);
enum hv_status hypercall_map_gpa_pages(struct hypercall *call);
enum hv_status hypercall_unmap_gpa_pages(struct hypercall *call);
enum hv_status hypercall_create_vp(struct hypercall *call);
enum hv_status hypercall_delete_vp(struct hypercall *call);
enum hv_status hypercall_get_vp_registers(struct hypercall *call);
enum hv_status hypercall_set_vp_registers(struct hypercall *call);
enum hv_status hypercall_map_state_page(struct hypercall *call);
enum hv_status hypercall_unmap_state_page(struct hypercall *call);
enum hv_status hypercall_assert_interrupt(struct hypercall *call);
enum hv_status hypercall_register_intercept_result(struct hypercall *call);
enum hv_status hypercall_get_cpuid(struct hypercall *call);
enum hv_status hypercall_get_gpa_access(struct hypercall *call);
enum hv_status hypercall_translate(struct hypercall *call);
enum hv_status hypercall_vp_state(struct hypercall *call);
enum hv_status hypercall_get_partition_property(struct hypercall *call);
enum hv_status hypercall_create_port(struct hypercall *call);
enum hv_status hypercall_connect_port(struct hypercall *call);
enum hv_status hypercall_disconnect_port(struct hypercall *call);
enum hv_status hypercall_delete_port(struct hypercall *call);
enum hv_status hypercall_notify_port_ring_empty(struct hypercall *call);
enum hv_status hypercall_read_messages(struct hypercall *call);
enum hv_status hypercall_post_message(struct hypercall *call);
enum hv_status hypercall_signal_event(struct hypercall *call);
enum hv_status hypercall_get_info(struct hypercall *call);
enum hv_status hypercall_read_log(struct hypercall *call);
enum hv_status hypercall_get_stats(struct hypercall *call);

#endif
