/* SPDX-License-Identifier: MIT */
/* Exits of a child that only the parent can answer become intercepts. RIP stays where it is. */
#include "hv/core/decode.h"
#include "hv/core/guest_walk.h"
#include "hv/core/intercept.h"
#include "hv/core/lib.h"
#include "hv/core/log.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"
#include "hv/x86/cpu.h"
#include "hv/x86/exit.h"
#include "hv/x86/svm/svm.h"

#define CACHE_LENGTH 2
#define CR0_AM       (1ull << 18)

static uint16_t execution_state(const struct vmcb *vmcb)
{
    return (uint16_t)((vmcb->cpl & HV_EXECUTION_CPL_MASK) |
                      (vmcb->cr0 & CR0_PE ? HV_EXECUTION_CR0_PE : 0) |
                      (vmcb->cr0 & CR0_AM ? HV_EXECUTION_CR0_AM : 0) |
                      (vmcb->efer & EFER_LMA ? HV_EXECUTION_EFER_LMA : 0) |
                      (vmcb->inject & VMCB_EVENT_VALID ? HV_EXECUTION_INTERRUPTION_PENDING : 0) |
                      (vmcb->interrupt_shadow & VMCB_INTERRUPT_SHADOW
                           ? HV_EXECUTION_INTERRUPT_SHADOW
                           : 0));
}

struct hv_intercept_header svm_make_header(const struct vp *vp, enum hv_intercept_access access,
                                           uint64_t length)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    struct hv_intercept_header header = {
        .vp_index = vp->index,
        .length_and_cr8 = (uint8_t)((length & HV_INTERCEPT_LENGTH_MASK) |
                                    (vp->apic.tpr >> 4) << HV_INTERCEPT_CR8_SHIFT),
        .access = (uint8_t)access,
        .execution_state = execution_state(vmcb),
        .rip = vmcb->rip,
        .rflags = vmcb->rflags,
    };
    svm_pack_segment(&vmcb->cs, &header.cs);
    return header;
}

uint8_t svm_fetch(const struct vp *vp, uint8_t bytes[HV_INSTRUCTION_BYTES_MAX])
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    const struct guest_paging paging = {vmcb->cr0, vmcb->cr3, vmcb->cr4, vmcb->efer};
    return (uint8_t)guest_fetch(vp->partition, &paging, vmcb->cs.base + vmcb->rip, bytes,
                                HV_INSTRUCTION_BYTES_MAX);
}

static void exit_io(struct vp *vp)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    const uint64_t info = vmcb->exit_info1;
    vp->stats.exits[BH_EXIT_IO]++;
    struct hv_io_port_intercept message = {
        .header = svm_make_header(vp, info & IO_IN ? HV_ACCESS_READ : HV_ACCESS_WRITE,
                                  vmcb->exit_info2 - vmcb->rip),
        .port = IO_PORT(info),
        .access_info = (uint8_t)(IO_SIZE(info) | (info & IO_STRING ? HV_IO_STRING : 0) |
                                 (info & IO_REP ? HV_IO_REP : 0)),
        .rax = vp->registers.rax,
        .rcx = vp->registers.rcx,
        .rsi = vp->registers.rsi,
        .rdi = vp->registers.rdi,
    };
    if (info & IO_STRING) /* else all that the bytes say is in the message */
        message.instruction_byte_count = svm_fetch(vp, message.instruction);
    svm_pack_segment(&vmcb->ds, &message.ds);
    svm_pack_segment(&vmcb->es, &message.es);
    intercept_raise(vp, HV_MESSAGE_IO_PORT, &message, sizeof message);
}

static enum hv_intercept_access access_of(uint64_t info)
{
    if (info & NPF_FETCH)
        return HV_ACCESS_EXECUTE;
    return info & NPF_WRITE ? HV_ACCESS_WRITE : HV_ACCESS_READ;
}

/*
 * A store to a doorbell goes to the parent's event ring. PORT_AGAIN: the guest executes it again.
 * Other writes there, and stores in 16-bit code, are left to the parent.
 */
static enum port_result ring_doorbell(struct vp *vp, const uint8_t *bytes, size_t count)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    const bool is_64bit = (vmcb->efer & EFER_LMA) && (vmcb->cs.attributes & VMCB_SEGMENT_LONG);
    struct store store;
    if (!vp->partition->ports.has_doorbells || access_of(vmcb->exit_info1) != HV_ACCESS_WRITE ||
        (!is_64bit && !(vmcb->cs.attributes & VMCB_SEGMENT_BIG)) ||
        !decode_store(bytes, count, is_64bit, &store))
        return PORT_NONE;
    const uint64_t value = svm_general_register(vp, store.general);
    const enum port_result result = port_ring_doorbell(
        vp, gpa_make(vmcb->exit_info2), store.size, value & (UINT64_MAX >> (64 - 8 * store.size)));
    if (result == PORT_DONE)
        vendor->advance(vp, store.length);
    return result;
}

/* False: the parent has nothing to do, and the VP goes on. */
static bool exit_memory(struct vp *vp)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    vp->stats.exits[BH_EXIT_NESTED_FAULT]++;
    struct hv_gpa_intercept message = {
        .header = svm_make_header(vp, access_of(vmcb->exit_info1), 0),
        .tpr_priority = (uint8_t)(vp->apic.tpr >> 4),
        .gpa = vmcb->exit_info2,
    };
    message.instruction_byte_count = svm_fetch(vp, message.instruction);
    if (ring_doorbell(vp, message.instruction, message.instruction_byte_count) != PORT_NONE)
        return false;
    intercept_raise(
        vp, vmcb->exit_info1 & NPF_PRESENT ? HV_MESSAGE_GPA_INTERCEPT : HV_MESSAGE_UNMAPPED_GPA,
        &message, sizeof message);
    return true;
}

static void exit_exception(struct vp *vp)
{
    const struct vmcb *vmcb = svm_of(vp)->vmcb;
    const uint16_t vector = (uint16_t)(vmcb->exit_code - VMEXIT_EXCEPTION_FIRST);
    const bool has_error = EXCEPTIONS_WITH_ERROR >> vector & 1;
    vp->stats.exits[BH_EXIT_EXCEPTION]++;
    struct hv_exception_intercept message = {
        .header = svm_make_header(vp, HV_ACCESS_EXECUTE, 0),
        .vector = vector,
        .info = has_error ? HV_EXCEPTION_ERROR_CODE_VALID : 0,
        .error_code = has_error ? (uint32_t)vmcb->exit_info1 : 0,
        .parameter = vector == VECTOR_PF ? vmcb->exit_info2 : 0,
    };
    message.instruction_byte_count = svm_fetch(vp, message.instruction);
    svm_pack_segment(&vmcb->ds, &message.ds);
    svm_pack_segment(&vmcb->ss, &message.ss);
    for (unsigned i = 0; i < ARRAY_COUNT(message.general); i++)
        message.general[i] = svm_general_register(vp, i);
    intercept_raise(vp, HV_MESSAGE_EXCEPTION, &message, sizeof message);
}

/* A triple fault, a state that the processor refuses, an exit that no child can cause. */
static void exit_fatal(struct vp *vp)
{
    struct svm_vp *state = svm_of(vp);
    const struct vmcb *vmcb = state->vmcb;
    vp->stats.exits[BH_EXIT_SHUTDOWN]++;
    if (log_limit(&state->complaints, COMPLAINTS_MAX))
        log_line(LOG_WARNING,
                 "partition %u VP %u: exit %lx (info %lx %lx, event %lx) ends its run: rip %lx, "
                 "cr3 %lx, asid %x",
                 vp->partition->id, vp->index, vmcb->exit_code, vmcb->exit_info1, vmcb->exit_info2,
                 vmcb->exit_interrupt, vmcb->rip, vmcb->cr3, vmcb->asid);
    const struct hv_intercept_header message = svm_make_header(vp, HV_ACCESS_EXECUTE, 0);
    intercept_raise(vp, HV_MESSAGE_UNRECOVERABLE_EXCEPTION, &message, sizeof message);
}

void svm_handle_child_exit(struct vp *vp)
{
    struct lp *lp = vp->lp;
    if (svm_handle_common_exit(vp))
        return;
    switch ((uint32_t)svm_of(vp)->vmcb->exit_code) {
    case VMEXIT_INVD:
    case VMEXIT_WBINVD: /* a child has no device that does not look into the caches */
        vp->stats.exits[BH_EXIT_CACHE]++;
        vendor->advance(vp, CACHE_LENGTH);
        return;
    case VMEXIT_RDPMC:
        vp->stats.exits[BH_EXIT_OTHER]++;
        vendor->inject_fault(vp, VECTOR_GP, true, 0);
        return;
    case VMEXIT_EXCEPTION_FIRST ... VMEXIT_EXCEPTION_LAST:
        exit_exception(vp);
        break;
    case VMEXIT_IO:
        exit_io(vp);
        break;
    case VMEXIT_NPF:
        if (!exit_memory(vp))
            return;
        break;
    default:
        exit_fatal(vp);
        break;
    }
    lp->reschedule = true;
}
