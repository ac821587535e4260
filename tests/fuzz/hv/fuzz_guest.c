/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest: the input is a list of what its VPs do (MSRs, hypercalls, memory, EOIs) and of
 * what happens to it (time, device interrupts), one step after the other. After each step the
 * rules of guest_rules.h must hold.
 *
 * The first byte says whose partition it is and how many VPs it has. A step is an operation, a
 * VP, and what the operation needs.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/hypercall.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/abi/vp.h"
#include "hv/core/cpuid.h"
#include "hv/core/decode.h"
#include "hv/core/guest_walk.h"
#include "hv/core/hypercall.h"
#include "hv/core/log.h"
#include "hv/core/msr.h"
#include "tests/fuzz/hv/guest_rules.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 600u

/* ---- the input ---- */

static const uint8_t *input;
static size_t input_left;

static uint64_t take(size_t bytes)
{
    uint64_t value = 0;
    const size_t count = bytes < input_left ? bytes : input_left;

    memcpy(&value, input, count);
    input += count;
    input_left -= count;
    return value;
}

/* Addresses, mostly of pages that are there. */
static uint64_t take_address(void)
{
    const uint64_t form = take(1);

    if (form == 0xff) {
        return take(8);
    }
    const uint64_t page = form % (HOST_PAGE_COUNT + 1);

    return page << PAGE_SHIFT | (form & 0x80 ? take(2) & PAGE_MASK : 0);
}

/* Values of registers: small, a page with low bits, or anything. */
static uint64_t take_value(void)
{
    switch (take(1) % 5) {
    case 0:
        return take(1);
    case 1:
        return take_address() | (take(1) & 3);
    case 2:
        return take(4);
    case 3:
        return host.now + take(2);
    default:
        return take(8);
    }
}

static uint32_t take_msr(void)
{
    const uint32_t low = (uint32_t)take(1);

    switch (take(1) % 4) {
    case 0:
        return 0x800 + low;
    case 1:
        return low % 3 == 0 ? 0x1b : low % 3 == 1 ? 0x6e0 : HOST_PROCESSOR_MSR;
    case 2:
        return HV_MSR_FIRST + 0x100 + low;
    default:
        return HV_MSR_FIRST + low;
    }
}

/* ---- steps ---- */

static void step_read_msr(struct vp *vp)
{
    uint64_t value;

    (void)msr_read(vp, take_msr(), &value);
}

static void step_write_msr(struct vp *vp)
{
    const uint32_t index = take_msr();

    (void)msr_write(vp, index, take_value());
}

/* Calls by which the parent manages children: not what this machine with one partition is for. */
static bool is_management(uint64_t control)
{
    const uint64_t code = control & HV_CONTROL_CODE_MASK;

    return (code >= HVCALL_CREATE_PARTITION && code <= HVCALL_SET_PARTITION_PROPERTY) ||
           (code >= HVCALL_DEPOSIT_MEMORY && code <= HVCALL_SET_VP_REGISTERS) ||
           code == HVCALL_ASSERT_VIRTUAL_INTERRUPT || code == HVCALL_MAP_VP_STATE_PAGE ||
           code == HVCALL_UNMAP_VP_STATE_PAGE || code == BH_CALL_RUN_VP ||
           code == HVCALL_GET_PARTITION_PROPERTY_EX;
}

static void step_hypercall(struct vp *vp)
{
    static const uint16_t codes[] = {HVCALL_NOTIFY_LONG_SPIN_WAIT,
                                     HVCALL_SEND_IPI,
                                     HVCALL_SEND_IPI_EX,
                                     HVCALL_GET_PARTITION_ID,
                                     HVCALL_SIGNAL_EVENT_DIRECT,
                                     HVCALL_POST_MESSAGE_DIRECT,
                                     HVCALL_POST_MESSAGE,
                                     HVCALL_SIGNAL_EVENT,
                                     BH_CALL_GET_INFO,
                                     BH_CALL_READ_LOG,
                                     BH_CALL_GET_STATS,
                                     HVCALL_FLUSH_SPACE,
                                     HVCALL_FLUSH_LIST,
                                     HVCALL_FLUSH_SPACE_EX,
                                     HVCALL_FLUSH_LIST_EX};
    const uint64_t form = take(1);
    uint64_t control = codes[form % ARRAY_COUNT(codes)];

    if (form & 0x80) {
        control = take(8);
    } else if (form & 0x40) {
        control |= HV_CONTROL_FAST;
    } else if (form & 0x20) {
        control |= take(1) << HV_CONTROL_VARHEAD_SHIFT;
    }
    if (partition_is_parent(vp->partition) && is_management(control)) {
        return;
    }
    vp->registers.rcx = control;
    vp->registers.rdx = control & HV_CONTROL_FAST ? take(8) : take_address();
    vp->registers.r8 = control & HV_CONTROL_FAST ? take(8) : take_address();
    struct vp_registers expected = vp->registers;

    hypercall_dispatch(vp);
    expected.rax = vp->registers.rax;
    const uint64_t reps = control >> HV_CONTROL_REP_COUNT_SHIFT & HV_CONTROL_REP_MASK;

    if (memcmp(&expected, &vp->registers, sizeof expected) != 0 ||
        (expected.rax & 0xffff0000) != 0 || expected.rax >> HV_RESULT_REPS_SHIFT > reps) {
        abort();
    }
}

/* A piece of the input becomes memory: input blocks of calls, page tables, slots, flags. */
static void step_write_memory(struct vp *vp)
{
    uint8_t bytes[64];
    const uint64_t page = take(1) % HOST_GUEST_PAGES;
    const uint64_t offset = take(2) & 0xff8;
    const size_t count = take(1) % sizeof bytes;

    (void)vp;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)take(1);
    }
    host_guest_write(page << PAGE_SHIFT | (offset > 0xfc0 ? 0xfc0 : offset), bytes, count);
}

static void step_time(struct vp *vp)
{
    const uint64_t form = take(1);
    const uint64_t wait = form < 0xf0 ? take(1 + form % 3) : take(8) >> 1;

    (void)vp;
    if (wait < UINT64_MAX / 2 - host.now) {
        host_time_set(host.now + wait);
    }
}

/* An interrupt must be of a higher class than all in service and the task priority. */
static void step_deliver(struct vp *vp)
{
    uint64_t priority = 0;

    vapic_sync(vp);
    (void)vapic_read(vp, VAPIC_PPR, &priority);
    const int vector = host_deliver(vp);

    if (vector != VAPIC_NONE && ((unsigned)vector & 0xf0) <= (priority & 0xf0)) {
        abort();
    }
}

static void step_news(struct vp *vp)
{
    host_take_news(vp);
    (void)vp_is_runnable(vp);
}

static void step_device(struct vp *vp)
{
    const uint8_t vector = (uint8_t)(take(1) | 0x10);
    const bool level = take(1) & 1;

    if (level && !rules_level_is_free(vp->index, vector)) {
        return;
    }
    if (level) {
        rules_level_raised(vp->index, vector);
    }
    vapic_raise(&vp->apic, vector, level);
    vp_notify(vp);
}

/* The guest writes the first word of its assist page, which is how it ends an interrupt. */
static void step_assist(struct vp *vp)
{
    if (vp->assist.usable) {
        host_guest_write32(vp->assist.page.raw, (uint32_t)take(1) % 3);
    }
}

static void step_halt(struct vp *vp)
{
    vp_halt(vp);
    if (vp_is_runnable(vp)) {
        vp->activity = VP_ACTIVE;
    }
}

static void step_cpuid(struct vp *vp)
{
    struct cpuid_result result;

    host.cpuid = (struct cpuid_result){~0u, ~0u, ~0u, ~0u};
    host.cr4 = take(1) << 16;
    cpuid_emulate(vp, (uint32_t)take(4), (uint32_t)take(1), &result);
    cpuid_emulate(vp, 0x40000003, 0, &result);
    if (result.ebx & (1u << 1 | 1u << 12 | 1u << 22)) {
        abort();
    }
}

static void step_fetch(struct vp *vp)
{
    const uint64_t mode = take(1);
    const struct guest_paging paging = {.cr0 = mode & 1 ? 0 : 1ull << 31,
                                        .cr3 = take_address(),
                                        .cr4 = (mode & 2) << 4 | (mode & 4) << 10 | (mode & 8) << 1,
                                        .efer = (mode & 16) << 6};
    uint8_t bytes[15];
    unsigned general = 0;
    const size_t count = guest_fetch(vp->partition, &paging, take(8), bytes, sizeof bytes);

    if (decode_mov_to_control(bytes, count, &general) > count || general > 15) {
        abort();
    }
}

/* alone: it may not touch what belongs to the other VPs. */
static const struct step {
    void (*run)(struct vp *vp);
    bool alone;
} steps[] = {
    {step_read_msr, true},     {step_write_msr, true}, {step_write_msr, true},
    {step_write_msr, true},    {step_hypercall, true}, {step_hypercall, true},
    {step_write_memory, true}, {step_time, false},     {step_deliver, true},
    {step_news, true},         {step_device, true},    {step_assist, true},
    {step_halt, true},         {step_cpuid, true},     {step_fetch, true},
    {step_deliver, true},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_left = size;
    const uint64_t form = take(1);

    log_set_console_level(LOG_DEBUG);
    host_window_allowed = NULL;
    host_machine_init(1 + (unsigned)(form >> 1) % HOST_VPS, form & 1 ? 2 : PARTITION_PARENT);
    rules_begin();
    for (unsigned i = 0; i < STEPS_MAX && input_left > 0; i++) {
        const struct step *step = &steps[take(1) % ARRAY_COUNT(steps)];
        const unsigned vp = (unsigned)take(1) % host.partition.vp_count;

        rules_before(vp);
        step->run(&host.vp[vp]);
        rules_after(vp, step->alone);
    }
    return 0;
}
