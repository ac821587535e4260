/* SPDX-License-Identifier: MIT */
/* Hypercall dispatch. */
#include "hv/core/hypercall.h"

#include "hv/abi/bulkhead.h"
#include "hv/abi/partition.h"
#include "hv/abi/port.h"
#include "hv/abi/vp.h"
#include "hv/arch.h"
#include "hv/core/cpuid.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define CALL_PARENT_ONLY (1u << 0)
#define CALL_VARIABLE    (1u << 1) /* has a variable-size header */
#define CALL_REP         (1u << 2) /* repeats */
#define CALL_NAMES       (1u << 3) /* its input begins with the id of a partition */
#define CALL_NAMES_CHILD (1u << 4) /* which is not the parent */
#define CALL_NAMES_VP    (1u << 5) /* and goes on with the index of one of its VPs */
#define ON_PARTITION     (CALL_PARENT_ONLY | CALL_NAMES)
#define ON_CHILD         (ON_PARTITION | CALL_NAMES_CHILD)
#define ON_VP            (ON_CHILD | CALL_NAMES_VP)

struct call_entry {
    uint16_t code;
    uint16_t flags;
    uint16_t input_size;  /* fixed header, bytes */
    uint16_t output_size; /* bytes; of a rep call, for each element */
    uint16_t rep_size;    /* bytes of input for each element */
    enum hv_status (*handler)(struct hypercall *call);
};

#define IN(name)  sizeof(struct hv_input_##name)
#define OUT(name) sizeof(struct hv_output_##name)

/* A call whose handler has the name of its input; one with output; one that repeats. */
#define CALL(code, flags, name)                                \
    {                                                          \
        HVCALL_##code, flags, IN(name), 0, 0, hypercall_##name \
    }
#define CALL_OUT(code, flags, name)                                    \
    {                                                                  \
        HVCALL_##code, flags, IN(name), OUT(name), 0, hypercall_##name \
    }
#define CALL_REPS(code, flags, name, output, input)                                  \
    {                                                                                \
        HVCALL_##code, (flags) | CALL_REP, IN(name), output, input, hypercall_##name \
    }

static const struct call_entry call_table[] = {
    {BH_CALL_RUN_VP, ON_VP, sizeof(struct bh_run_vp_input), 0, 0, hypercall_run_vp},
    {HVCALL_NOTIFY_LONG_SPIN_WAIT, 0, 8, 0, 0, hypercall_notify_long_spin_wait},
    CALL(SEND_IPI, 0, send_ipi),
    {HVCALL_SEND_IPI_EX, CALL_VARIABLE, IN(send_ipi_ex), 0, 0, hypercall_send_ipi},
    CALL(FLUSH_SPACE, 0, flush),
    CALL_REPS(FLUSH_LIST, 0, flush, 0, 8),
    {HVCALL_FLUSH_SPACE_EX, CALL_VARIABLE, IN(flush_ex), 0, 0, hypercall_flush},
    {HVCALL_FLUSH_LIST_EX, CALL_VARIABLE | CALL_REP, IN(flush_ex), 0, 8, hypercall_flush},
    {HVCALL_GET_PARTITION_ID, CALL_PARENT_ONLY, 0, 8, 0, hypercall_get_partition_id},
    CALL_OUT(SIGNAL_EVENT_DIRECT, ON_PARTITION | CALL_NAMES_VP, signal_event_direct),
    CALL(POST_MESSAGE_DIRECT, ON_PARTITION | CALL_NAMES_VP, post_message_direct),
    CALL(POST_MESSAGE, 0, post_message),
    CALL(SIGNAL_EVENT, 0, signal_event),
    CALL(CREATE_PORT, CALL_PARENT_ONLY, create_port),
    CALL(CONNECT_PORT, CALL_PARENT_ONLY, connect_port),
    CALL(DISCONNECT_PORT, CALL_PARENT_ONLY, disconnect_port),
    CALL(DELETE_PORT, CALL_PARENT_ONLY, delete_port),
    {HVCALL_NOTIFY_PORT_RING_EMPTY, CALL_PARENT_ONLY, 8, 0, 0, hypercall_notify_port_ring_empty},
    {BH_CALL_READ_MESSAGES, CALL_PARENT_ONLY | CALL_REP, sizeof(struct bh_read_messages_input),
     sizeof(struct hv_message), 0, hypercall_read_messages},
    CALL_OUT(CREATE_PARTITION, CALL_PARENT_ONLY, create_partition),
    {HVCALL_INITIALIZE_PARTITION, ON_CHILD, IN(partition), 0, 0, hypercall_initialize_partition},
    {HVCALL_FINALIZE_PARTITION, ON_CHILD, IN(partition), 0, 0, hypercall_finalize_partition},
    {HVCALL_DELETE_PARTITION, ON_CHILD, IN(partition), 0, 0, hypercall_delete_partition},
    {HVCALL_GET_PARTITION_PROPERTY_EX, ON_PARTITION, IN(get_partition_property_ex),
     sizeof(struct hv_vmm_capabilities), 0, hypercall_get_partition_property_ex},
    CALL(SET_PARTITION_PROPERTY, ON_CHILD, set_partition_property),
    CALL(INSTALL_INTERCEPT, ON_CHILD, install_intercept),
    CALL_REPS(DEPOSIT_MEMORY, ON_CHILD, deposit_memory, 0, sizeof(uint64_t)),
    CALL_REPS(WITHDRAW_MEMORY, ON_CHILD, withdraw_memory, sizeof(uint64_t), 0),
    CALL_REPS(MAP_GPA_PAGES, ON_CHILD, map_gpa_pages, 0, sizeof(uint64_t)),
    CALL_REPS(UNMAP_GPA_PAGES, ON_CHILD, unmap_gpa_pages, 0, 0),
    CALL(CREATE_VP, ON_CHILD, create_vp),
    CALL(DELETE_VP, ON_VP, delete_vp),
    {HVCALL_GET_VP_REGISTERS, ON_VP | CALL_REP, IN(vp_registers), sizeof(union hv_register_value),
     sizeof(uint32_t), hypercall_get_vp_registers},
    {HVCALL_SET_VP_REGISTERS, ON_VP | CALL_REP, IN(vp_registers), 0,
     sizeof(struct hv_register_assoc), hypercall_set_vp_registers},
    CALL_OUT(MAP_VP_STATE_PAGE, ON_VP, map_state_page),
    CALL(UNMAP_VP_STATE_PAGE, ON_VP, unmap_state_page),
    CALL(ASSERT_VIRTUAL_INTERRUPT, ON_CHILD, assert_interrupt),
    CALL(REGISTER_INTERCEPT_RESULT, ON_CHILD, register_intercept_result),
    CALL_REPS(GET_VP_CPUID_VALUES, ON_VP, get_cpuid, sizeof(struct cpuid_result),
              sizeof(struct hv_cpuid_leaf)),
    CALL_OUT(GET_PARTITION_PROPERTY, ON_PARTITION, get_partition_property),
    CALL_REPS(GET_GPA_PAGES_ACCESS_STATES, ON_CHILD, get_gpa_access, 1, 0),
    CALL_OUT(TRANSLATE_VIRTUAL_ADDRESS, ON_VP, translate),
    {HVCALL_GET_VP_STATE, ON_VP | CALL_VARIABLE, IN(vp_state), sizeof(struct hv_stimers_state), 0,
     hypercall_vp_state},
    {HVCALL_SET_VP_STATE, ON_VP | CALL_VARIABLE, IN(vp_state), 0, 0, hypercall_vp_state},
    {BH_CALL_GET_INFO, CALL_PARENT_ONLY, 0, PAGE_SIZE, 0, hypercall_get_info},
    {BH_CALL_READ_LOG, CALL_PARENT_ONLY, sizeof(struct bh_log_input), PAGE_SIZE, 0,
     hypercall_read_log},
    {BH_CALL_GET_STATS, CALL_PARENT_ONLY, sizeof(struct bh_stats_input), PAGE_SIZE, 0,
     hypercall_get_stats},
};

static const struct call_entry *find_entry(uint64_t code)
{
    for (unsigned i = 0; i < ARRAY_COUNT(call_table); i++)
        if (call_table[i].code == code)
            return &call_table[i];
    return NULL;
}

/* Everything about the control word that does not need guest memory. */
static enum hv_status check_control(const struct vp *vp, uint64_t control,
                                    const struct call_entry *entry)
{
    if (entry == NULL)
        return HV_STATUS_INVALID_HYPERCALL_CODE;
    if ((entry->flags & CALL_PARENT_ONLY) && vp->partition->id != PARTITION_PARENT)
        return HV_STATUS_ACCESS_DENIED;
    if (control & (HV_CONTROL_RESERVED_MASK | HV_CONTROL_NESTED))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    if (HV_CONTROL_VARHEAD(control) != 0 && !(entry->flags & CALL_VARIABLE))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    const uint32_t count = HV_CONTROL_REP_COUNT(control);
    const uint32_t start = HV_CONTROL_REP_START(control);
    const bool fits = entry->flags & CALL_REP ? start < count : count == 0 && start == 0;
    return fits ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_HYPERCALL_INPUT;
}

static enum hv_status check_block(uint64_t address, size_t size)
{
    if (address % 8 != 0)
        return HV_STATUS_INVALID_ALIGNMENT;
    if ((address & PAGE_MASK) + size > PAGE_SIZE)
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    return HV_STATUS_SUCCESS;
}

static size_t total_input(const struct call_entry *entry, const struct hypercall *call)
{
    return call->input_size + (size_t)entry->rep_size * call->reps;
}

static size_t total_output(const struct call_entry *entry, const struct hypercall *call)
{
    return (size_t)entry->output_size * (entry->flags & CALL_REP ? call->reps : 1);
}

static enum hv_status copy_fast_input(const struct vp *vp, const struct call_entry *entry,
                                      const struct hypercall *call, uint8_t *input)
{
    if (total_input(entry, call) > 16 || entry->output_size != 0 || call->variable_words != 0)
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    memcpy(input, &vp->registers.rdx, 8);
    memcpy(input + 8, &vp->registers.r8, 8);
    return HV_STATUS_SUCCESS;
}

static enum hv_status copy_input(struct vp *vp, size_t size, uint8_t *input)
{
    if (size == 0)
        return HV_STATUS_SUCCESS;
    const enum hv_status status = check_block(vp->registers.rdx, size);
    if (status != HV_STATUS_SUCCESS)
        return status;
    if (!partition_read(vp->partition, gpa_make(vp->registers.rdx), input, size))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    return HV_STATUS_SUCCESS;
}

/* The output block is looked at before the call acts, so that no result is lost after it did. */
static enum hv_status check_output(struct vp *vp, size_t size)
{
    spa_t page;
    if (size == 0)
        return HV_STATUS_SUCCESS;
    const enum hv_status status = check_block(vp->registers.r8, size);
    if (status != HV_STATUS_SUCCESS)
        return status;
    if (!partition_translate(vp->partition, gpa_make(vp->registers.r8), true, &page))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    return HV_STATUS_SUCCESS;
}

/* A rep call gives out what it did since its start, also when it failed in the middle. */
static bool copy_output(struct vp *vp, const struct call_entry *entry, const struct hypercall *call,
                        uint32_t start, bool failed)
{
    const bool rep = entry->flags & CALL_REP;
    const size_t first = rep ? (size_t)start * entry->output_size : 0;
    const size_t size =
        rep ? (size_t)(call->done - start) * entry->output_size : (failed ? 0 : entry->output_size);
    return size == 0 || partition_write(vp->partition, gpa_make(vp->registers.r8 + first),
                                        (const uint8_t *)call->output + first, size);
}

/* Busy: the call is marked to be made again. */
static enum hv_status take_target(const struct call_entry *entry, struct hypercall *call)
{
    const struct hv_input_delete_vp *input = call->input; /* as all such calls begin */
    enum hv_status status;
    call->target = hypercall_acquire(call, input->partition_id, &status);
    if (call->target == NULL)
        return status;
    if ((entry->flags & CALL_NAMES_CHILD) && partition_is_parent(call->target))
        return HV_STATUS_INVALID_PARTITION_ID;
    if (entry->flags & CALL_NAMES_VP) {
        call->target_vp = partition_vp(call->target, input->vp_index);
        status = call->target_vp != NULL ? status : HV_STATUS_INVALID_VP_INDEX;
    }
    return status;
}

static enum hv_status run_handler(const struct call_entry *entry, struct hypercall *call)
{
    enum hv_status status = HV_STATUS_SUCCESS;
    if (entry->flags & CALL_NAMES)
        status = take_target(entry, call);
    if (status == HV_STATUS_SUCCESS && !call->again)
        status = entry->handler(call);
    if (call->target != NULL)
        partition_release(call->target);
    return status;
}

static enum hv_status run_call(struct vp *vp, uint64_t control, const struct call_entry *entry,
                               struct hypercall *call)
{
    struct hypercall_buffers *buffers = arch_hypercall_buffers();
    call->vp = vp;
    call->code = entry->code;
    call->input = buffers->input;
    call->output = buffers->output;
    call->variable_words = HV_CONTROL_VARHEAD(control);
    call->input_size = entry->input_size + 8 * (size_t)call->variable_words;
    call->reps = HV_CONTROL_REP_COUNT(control);
    call->done = HV_CONTROL_REP_START(control);

    enum hv_status status = control & HV_CONTROL_FAST
                                ? copy_fast_input(vp, entry, call, buffers->input)
                                : copy_input(vp, total_input(entry, call), buffers->input);
    if (status == HV_STATUS_SUCCESS)
        status = check_output(vp, total_output(entry, call));
    if (status != HV_STATUS_SUCCESS)
        return status;
    call->rep_input = buffers->input + call->input_size; /* inside: the input was read */
    memset(buffers->output, 0, total_output(entry, call));
    if (entry->flags & CALL_REP)
        call->started = arch_time_now();
    status = run_handler(entry, call);
    if (!copy_output(vp, entry, call, HV_CONTROL_REP_START(control),
                     status != HV_STATUS_SUCCESS || call->no_output))
        status = HV_STATUS_INVALID_HYPERCALL_INPUT;
    return status;
}

bool hypercall_next(const struct hypercall *call)
{
    return call->done < call->reps &&
           (call->started == 0 || arch_time_now() - call->started < HYPERCALL_TIME_MAX);
}

bool hypercall_dispatch(struct vp *vp)
{
    const uint64_t control = vp->registers.rcx;
    const struct call_entry *entry = find_entry(control & HV_CONTROL_CODE_MASK);
    struct hypercall call = {0};
    enum hv_status status = check_control(vp, control, entry);
    if (status == HV_STATUS_SUCCESS) {
        status = run_call(vp, control, entry, &call);
    } else if (entry == NULL && vp->partition->intercepts_hypercalls) {
        arch_intercept_hypercall(vp);
        return false;
    }
    if (call.again)
        return false;
    if (status == HV_STATUS_SUCCESS && call.done < call.reps) {
        vp->registers.rcx = (control & ~(HV_CONTROL_REP_MASK << HV_CONTROL_REP_START_SHIFT)) |
                            (uint64_t)call.done << HV_CONTROL_REP_START_SHIFT;
        return false;
    }
    __atomic_fetch_add(&vp->partition->hypercalls, 1, __ATOMIC_RELAXED);
    vp->registers.rax = (uint64_t)status | (uint64_t)call.done << HV_RESULT_REPS_SHIFT;
    return true;
}

struct partition *hypercall_acquire(struct hypercall *call, uint64_t id, enum hv_status *status)
{
    struct partition *partition = partition_acquire(call->vp->partition, id, status);
    call->again = partition == NULL && *status == HV_STATUS_SUCCESS;
    return partition;
}

enum hv_status hypercall_notify_long_spin_wait(struct hypercall *call)
{
    arch_yield(call->vp);
    return HV_STATUS_SUCCESS;
}

enum hv_status hypercall_get_partition_id(struct hypercall *call)
{
    const uint64_t id = call->vp->partition->id;
    memcpy(call->output, &id, sizeof id);
    return HV_STATUS_SUCCESS;
}
