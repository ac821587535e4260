/* SPDX-License-Identifier: MIT */
/* Hypercalls: every code, every fault of the control word and of the blocks, and each call. */
#include "hv/core/hypercall.h"

#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/abi/port.h"
#include "hv/abi/vp.h"
#include "hv/core/log.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define INPUT    0x1000u
#define OUTPUT   0x2000u
#define MESSAGES 0x3000u
#define EVENTS   0x4000u
#define FAST     HV_CONTROL_FAST
#define SINT     2u
#define VECTOR   0xf3u
#define SELF     HV_PARTITION_ID_SELF

static struct vp *const vp = &host.vp[0];

static int setup(void **state)
{
    (void)state;
    host_machine_init(HOST_VPS, PARTITION_PARENT);
    return 0;
}

static uint64_t call(uint64_t control, uint64_t rdx, uint64_t r8)
{
    vp->registers.rcx = control;
    vp->registers.rdx = rdx;
    vp->registers.r8 = r8;
    struct vp_registers before = vp->registers;

    hypercall_dispatch(vp);
    const uint64_t result = vp->registers.rax;

    before.rax = result;
    assert_memory_equal(&vp->registers, &before, sizeof before); /* only RAX changes */
    assert_true(host_windows_closed());
    return result;
}

static uint64_t varhead(uint64_t words)
{
    return words << HV_CONTROL_VARHEAD_SHIFT;
}

/* ---- the table ---- */

static const struct call_rule {
    uint16_t code;
    uint16_t input, output; /* bytes */
    bool variable, parent_only;
} rules[] = {
    {HVCALL_NOTIFY_LONG_SPIN_WAIT, 8, 0, false, false},
    {HVCALL_SEND_IPI, 16, 0, false, false},
    {HVCALL_SEND_IPI_EX, 24, 0, true, false},
    {HVCALL_FLUSH_SPACE, 24, 0, false, false},
    {HVCALL_FLUSH_SPACE_EX, 32, 0, true, false},
    {HVCALL_GET_PARTITION_ID, 0, 8, false, true},
    {HVCALL_SIGNAL_EVENT_DIRECT, 16, 8, false, true},
    {HVCALL_POST_MESSAGE_DIRECT, 280, 0, false, true},
    {BH_CALL_GET_INFO, 0, 4096, false, true},
    {BH_CALL_READ_LOG, 8, 4096, false, true},
    {BH_CALL_GET_STATS, 16, 4096, false, true},
};

/* Something that each call accepts, at INPUT. */
static void prepare(const struct call_rule *rule)
{
    uint8_t block[512] = {0};
    const struct hv_input_send_ipi ipi = {.vector = 0x80, .processor_mask = 1};
    const struct hv_input_signal_event_direct event = {.partition_id = SELF, .sint = SINT};
    const struct bh_stats_input stats = {.object = BH_STATS_VP, .partition_id = SELF};
    struct hv_input_post_message_direct post = {.partition_id = SELF, .sint = SINT};

    post.message[0] = 1;
    if (rule->code == HVCALL_SEND_IPI || rule->code == HVCALL_SEND_IPI_EX) {
        memcpy(block, &ipi, 8);
        memcpy(block + 8, &ipi.processor_mask, rule->variable ? 0 : 8);
    } else if (rule->code == HVCALL_SIGNAL_EVENT_DIRECT) {
        memcpy(block, &event, sizeof event);
    } else if (rule->code == HVCALL_POST_MESSAGE_DIRECT) {
        memcpy(block, &post, sizeof post);
    } else if (rule->code == BH_CALL_GET_STATS) {
        memcpy(block, &stats, sizeof stats);
    }
    host_guest_write(INPUT, block, sizeof block);
    assert_true(msr_write(vp, HV_MSR_SIMP, MESSAGES | 1));
    assert_true(msr_write(vp, HV_MSR_SIEFP, EVENTS | 1));
    assert_true(msr_write(vp, HV_MSR_SCONTROL, 1));
    assert_true(msr_write(vp, HV_MSR_SINT0 + SINT, VECTOR));
}

/* The call was refused with this status and nothing came of it. */
static void refused(uint64_t control, uint64_t rdx, uint64_t r8, enum hv_status status)
{
    const uint64_t messages = vp->stats.messages_delivered;

    assert_int_equal(call(control, rdx, r8), status);
    for (unsigned i = 0; i < HOST_VPS; i++) {
        assert_int_equal(vapic_next(&host.vp[i].apic), VAPIC_NONE);
        assert_int_equal(host.record[i].yields, 0);
    }
    assert_int_equal(vp->stats.messages_delivered, messages);
    assert_true(host_page_is(spa_make(OUTPUT), 0));
    assert_true(host_page_is(spa_make(EVENTS), 0));
    assert_true(host_page_is(spa_make(HOST_PAGE_HYPERVISOR << 12), 0));
    assert_true(host_page_is(spa_make(HOST_PAGE_UNASSIGNED << 12), 0));
    assert_true(host_page_is(spa_make(HOST_PAGE_DEPOSITED << 12), 0));
}

static void test_well_formed_calls_succeed(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        setup(state);
        prepare(&rules[i]);
        assert_int_equal(call(rules[i].code, INPUT, OUTPUT), HV_STATUS_SUCCESS);
        assert_int_equal(host.partition.hypercalls, 1);
    }
}

/* Calls on children and on ports have tests of their own (test_child.c, test_port.c). */
static const uint16_t child_calls[] = {
    HVCALL_CREATE_PARTITION,
    HVCALL_INITIALIZE_PARTITION,
    HVCALL_FINALIZE_PARTITION,
    HVCALL_DELETE_PARTITION,
    HVCALL_SET_PARTITION_PROPERTY,
    HVCALL_GET_PARTITION_PROPERTY_EX,
    HVCALL_DEPOSIT_MEMORY,
    HVCALL_WITHDRAW_MEMORY,
    HVCALL_MAP_GPA_PAGES,
    HVCALL_UNMAP_GPA_PAGES,
    HVCALL_CREATE_VP,
    HVCALL_DELETE_VP,
    HVCALL_GET_VP_REGISTERS,
    HVCALL_SET_VP_REGISTERS,
    HVCALL_MAP_VP_STATE_PAGE,
    HVCALL_UNMAP_VP_STATE_PAGE,
    HVCALL_ASSERT_VIRTUAL_INTERRUPT,
    HVCALL_REGISTER_INTERCEPT_RESULT,
    HVCALL_GET_VP_CPUID_VALUES,
    HVCALL_GET_PARTITION_PROPERTY,
    HVCALL_GET_GPA_PAGES_ACCESS_STATES,
    HVCALL_TRANSLATE_VIRTUAL_ADDRESS,
    HVCALL_GET_VP_STATE,
    HVCALL_SET_VP_STATE,
    HVCALL_CREATE_PORT,
    HVCALL_CONNECT_PORT,
    HVCALL_DISCONNECT_PORT,
    HVCALL_DELETE_PORT,
    HVCALL_NOTIFY_PORT_RING_EMPTY,
    BH_CALL_READ_MESSAGES,
    BH_CALL_RUN_VP,
};

static const uint16_t guest_calls[] = {HVCALL_POST_MESSAGE, HVCALL_SIGNAL_EVENT};

static bool is_in(const uint16_t *codes, size_t count, uint32_t code)
{
    for (size_t i = 0; i < count; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

static bool is_known(uint32_t code)
{
    if (is_in(child_calls, ARRAY_COUNT(child_calls), code) ||
        is_in(guest_calls, ARRAY_COUNT(guest_calls), code)) {
        return true;
    }
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        if (rules[i].code == code) {
            return true;
        }
    }
    return code == HVCALL_FLUSH_LIST || code == HVCALL_FLUSH_LIST_EX; /* test_flush */
}

static void test_unknown_codes(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x10000; code++) {
        if (is_known(code)) {
            continue;
        }
        assert_int_equal(call(code, INPUT, OUTPUT), HV_STATUS_INVALID_HYPERCALL_CODE);
        assert_int_equal(call(code | FAST, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE);
    }
    refused(~0ull, ~0ull, ~0ull, HV_STATUS_INVALID_HYPERCALL_CODE);
}

static void test_control_word_faults(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        const uint64_t code = rules[i].code;

        setup(state);
        prepare(&rules[i]);
        for (unsigned bit = 27; bit < 64; bit++) {
            /* Reserved, nested, and the repetitions of calls that do not repeat. */
            refused(code | 1ull << bit, INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
        refused(code | 0xfffull << 32, INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        refused(code | 0xfffull << 48, INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        for (unsigned bit = 0; bit < 10 && !rules[i].variable; bit++) {
            refused(code | varhead(1u << bit), INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
    }
}

static void test_fast_calls(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        const uint64_t code = rules[i].code | FAST;

        setup(state);
        prepare(&rules[i]);
        refused(code | varhead(1), INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        if (rules[i].input > 16 || rules[i].output != 0) {
            refused(code, INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        } else {
            assert_int_equal(call(code, 0x80, 0), HV_STATUS_SUCCESS);
        }
    }
}

static const uint64_t bad_pages[] = {
    HOST_PAGE_HYPERVISOR, HOST_PAGE_UNASSIGNED, HOST_PAGE_DEPOSITED, HOST_PAGE_ABSENT,
    HOST_PAGE_COUNT,      1ull << 36,           1ull << 48,          0xfffffffffffffull};

static void test_input_block_faults(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        const struct call_rule *rule = &rules[i];

        setup(state);
        prepare(rule);
        if (rule->input == 0) {
            assert_int_equal(call(rule->code, ~0ull, OUTPUT), HV_STATUS_SUCCESS);
            continue;
        }
        for (uint64_t offset = 1; offset < 8; offset++) {
            refused(rule->code, INPUT + offset, OUTPUT, HV_STATUS_INVALID_ALIGNMENT);
        }
        for (uint64_t over = 8; over < rule->input; over += 8) {
            refused(rule->code, INPUT + PAGE_SIZE - over, OUTPUT,
                    HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
        for (unsigned p = 0; p < ARRAY_COUNT(bad_pages); p++) {
            refused(rule->code, bad_pages[p] << 12, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
    }
}

static void test_output_block_faults(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        const struct call_rule *rule = &rules[i];

        setup(state);
        prepare(rule);
        if (rule->output == 0) {
            assert_int_equal(call(rule->code, INPUT, ~0ull), HV_STATUS_SUCCESS);
            continue;
        }
        for (uint64_t offset = 1; offset < 8; offset++) {
            refused(rule->code, INPUT, OUTPUT + offset, HV_STATUS_INVALID_ALIGNMENT);
        }
        for (uint64_t over = 8; over < rule->output; over += 8) {
            refused(rule->code, INPUT, OUTPUT + PAGE_SIZE - over,
                    HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
        for (unsigned p = 0; p < ARRAY_COUNT(bad_pages); p++) {
            refused(rule->code, INPUT, bad_pages[p] << 12, HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
    }
}

/* Input and output in one place, and a block that ends with its page. */
static void test_blocks_that_are_allowed(void **state)
{
    (void)state;
    const struct bh_stats_input input = {.object = BH_STATS_PARTITION, .partition_id = SELF};
    struct bh_partition_stats stats;
    uint64_t id = 0;

    host_guest_write(INPUT, &input, sizeof input);
    assert_int_equal(call(BH_CALL_GET_STATS, INPUT, INPUT), HV_STATUS_SUCCESS);
    host_guest_read(INPUT, &stats, sizeof stats);
    assert_int_equal(stats.partition_id, PARTITION_PARENT);
    assert_int_equal(call(HVCALL_GET_PARTITION_ID, 0, OUTPUT + PAGE_SIZE - 8), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT + PAGE_SIZE - 8, &id, sizeof id);
    assert_int_equal(id, PARTITION_PARENT);
}

static void test_children_are_refused(void **state)
{
    (void)state;
    host_machine_init(HOST_VPS, 2);
    for (unsigned i = 0; i < ARRAY_COUNT(child_calls); i++) {
        refused(child_calls[i], INPUT, OUTPUT, HV_STATUS_ACCESS_DENIED);
        refused(child_calls[i] | 1ull << 32, INPUT, OUTPUT, HV_STATUS_ACCESS_DENIED);
        refused(child_calls[i] | FAST, 2, 0, HV_STATUS_ACCESS_DENIED);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        host_machine_init(HOST_VPS, 2);
        prepare(&rules[i]);
        if (rules[i].parent_only) {
            refused(rules[i].code, INPUT, OUTPUT, HV_STATUS_ACCESS_DENIED);
        } else {
            assert_int_equal(call(rules[i].code, INPUT, OUTPUT), HV_STATUS_SUCCESS);
        }
    }
}

/* ---- IPIs ---- */

static unsigned receivers(uint8_t vector)
{
    unsigned got = 0;

    for (unsigned i = 0; i < HOST_VPS; i++) {
        if (host_deliver(&host.vp[i]) == vector) {
            got |= 1u << i;
            assert_true(vapic_write(&host.vp[i], VAPIC_EOI, 0));
        }
    }
    return got;
}

static uint64_t send_ipi(uint64_t vector_and_vtl, uint64_t mask)
{
    return call(HVCALL_SEND_IPI | FAST, vector_and_vtl, mask);
}

static void test_send_ipi(void **state)
{
    (void)state;
    assert_int_equal(send_ipi(0x80, 0x5), HV_STATUS_SUCCESS);
    assert_int_equal(receivers(0x80), 0x5);
    assert_int_equal(send_ipi(0x10, ~0ull), HV_STATUS_SUCCESS); /* VPs that are not there */
    assert_int_equal(receivers(0x10), 0xf);
    assert_int_equal(send_ipi(0xff, 0), HV_STATUS_SUCCESS);
    assert_int_equal(receivers(0xff), 0);
    for (uint64_t vector = 0; vector < 16; vector++) {
        refused(HVCALL_SEND_IPI | FAST, vector, 0xf, HV_STATUS_INVALID_PARAMETER);
    }
    refused(HVCALL_SEND_IPI | FAST, 0x100, 0xf, HV_STATUS_INVALID_PARAMETER);
    refused(HVCALL_SEND_IPI | FAST, 0xffffff80, 0xf, HV_STATUS_INVALID_PARAMETER);
    refused(HVCALL_SEND_IPI | FAST, 1ull << 32 | 0x80, 0xf, HV_STATUS_INVALID_PARAMETER); /* VTL */
}

static uint64_t send_ipi_ex(uint32_t vector, uint64_t format, uint64_t banks, uint64_t words)
{
    const uint64_t block[] = {vector, format, banks, 0x2, 0xffffffffffffffff, 0x1};

    host_guest_write(INPUT, block, sizeof block);
    return call(HVCALL_SEND_IPI_EX | varhead(words), INPUT, 0);
}

static void test_send_ipi_ex(void **state)
{
    (void)state;
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 1, 1), HV_STATUS_SUCCESS);
    assert_int_equal(receivers(0x80), 0x2);
    /* The first bank present need not be bank 0; VPs from 64 up are not there. */
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 1ull << 63 | 2, 2), HV_STATUS_SUCCESS);
    assert_int_equal(receivers(0x80), 0);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 0x1000001, 2), HV_STATUS_SUCCESS);
    assert_int_equal(receivers(0x80), 0x2);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 0, 0), HV_STATUS_SUCCESS);
    assert_int_equal(receivers(0x80), 0);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_ALL, 0, 0), HV_STATUS_SUCCESS);
    assert_int_equal(receivers(0x80), 0xf);
}

static void test_send_ipi_ex_faults(void **state)
{
    (void)state;
    assert_int_equal(send_ipi_ex(15, HV_VP_SET_ALL, 0, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(send_ipi_ex(256, HV_VP_SET_ALL, 0, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_ALL, 0, 1), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(send_ipi_ex(0x80, 2, 0, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(send_ipi_ex(0x80, ~0ull, 1, 1), HV_STATUS_INVALID_PARAMETER);
    /* More or fewer words than banks. */
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 1, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 1, 2), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, ~0ull, 63),
                     HV_STATUS_INVALID_PARAMETER);
    /* The longest header: longer than a page with what stands before it. */
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, ~0ull, 1023),
                     HV_STATUS_INVALID_HYPERCALL_INPUT);
    assert_int_equal(receivers(0x80), 0);
}

/* ---- messages and events ---- */

static void synic_on(struct vp *target)
{
    assert_true(msr_write(target, HV_MSR_SIMP, MESSAGES | 1));
    assert_true(msr_write(target, HV_MSR_SIEFP, EVENTS | 1));
    assert_true(msr_write(target, HV_MSR_SINT0 + SINT, VECTOR));
    assert_true(msr_write(target, HV_MSR_SCONTROL, 1));
}

static struct hv_input_post_message_direct make_post(uint32_t vp_index)
{
    struct hv_input_post_message_direct input = {
        .partition_id = SELF, .vp_index = vp_index, .sint = SINT};
    const struct hv_message message = {
        .type = 1, .payload_size = 240, .sender = 77, .payload = "x"};

    memcpy(input.message, &message, sizeof message);
    return input;
}

static uint64_t post(const struct hv_input_post_message_direct *input)
{
    host_guest_write(INPUT, input, sizeof *input);
    return call(HVCALL_POST_MESSAGE_DIRECT, INPUT, 0);
}

/* ---- flushes ---- */

static uint64_t call_flush(uint64_t control, uint64_t flags, uint64_t mask_or_format,
                           uint64_t banks, uint64_t bank)
{
    const uint64_t input[] = {0, flags, mask_or_format, banks, bank};

    host_guest_write(INPUT, input, sizeof input);
    return call(control, INPUT, 0);
}

/* Which VPs forget at their next entry, and only there. */
static void expect_flushed(unsigned mask)
{
    for (unsigned i = 0; i < HOST_VPS; i++) {
        assert_int_equal(vp_enter_guest(&host.vp[i]), mask >> i & 1);
        vp_leave_guest(&host.vp[i]);
        assert_false(vp_enter_guest(&host.vp[i]));
        vp_leave_guest(&host.vp[i]);
    }
}

static void test_flush(void **state)
{
    (void)state;
    const uint64_t list = HVCALL_FLUSH_LIST | 2ull << 32;
    const uint64_t list_ex = HVCALL_FLUSH_LIST_EX | varhead(1) | 2ull << 32;

    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE, 0, 5, 0, 0), HV_STATUS_SUCCESS);
    expect_flushed(5); /* the caller, too */
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE, 2, 1ull << 63, 0, 0), HV_STATUS_SUCCESS);
    expect_flushed(0);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE, 5, 0, 0, 0), HV_STATUS_SUCCESS);
    expect_flushed(15);
    assert_int_equal(call_flush(list, 0, 8, 0, 0), 2ull << 32); /* all repetitions are done */
    expect_flushed(8);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX | varhead(1), 0, 0, 1, 6), HV_STATUS_SUCCESS);
    expect_flushed(6);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX | varhead(1), 0, 0, 2, 6), HV_STATUS_SUCCESS);
    expect_flushed(0);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX, 0, 1, 0, 0), HV_STATUS_SUCCESS);
    expect_flushed(15);
    assert_int_equal(call_flush(list_ex, 0, 0, 1, 2), 2ull << 32);
    expect_flushed(2);
}

static void test_flush_faults(void **state)
{
    (void)state;
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE, 16, 15, 0, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX, 0, 0, 1, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX, 0, 2, 0, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX | varhead(1), 0, 1, 0, 0),
                     HV_STATUS_INVALID_PARAMETER);
    expect_flushed(0);
}

/* One that runs is sent out of the guest, the others are left alone. */
static void test_flush_of_running_vps(void **state)
{
    (void)state;
    host.vp[2].in_guest = true;
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE, 0, 6, 0, 0), HV_STATUS_SUCCESS);
    assert_int_equal(host.record[1].notified, 0);
    assert_int_equal(host.record[2].notified, 1);
    assert_false(vp_may_use_old_translations(&host.vp[2]));
    expect_flushed(6);
}

static void test_post_message(void **state)
{
    (void)state;
    struct hv_input_post_message_direct input = make_post(2);
    struct hv_message got;

    assert_int_equal(post(&input), HV_STATUS_INVALID_SYNIC_STATE);
    synic_on(&host.vp[2]);
    assert_int_equal(post(&input), HV_STATUS_SUCCESS);
    host_guest_read(MESSAGES + SINT * HV_MESSAGE_SIZE, &got, sizeof got);
    assert_memory_equal(&got, input.message, sizeof got);
    assert_int_equal(receivers(VECTOR), 1u << 2);
    assert_int_equal(post(&input), HV_STATUS_INSUFFICIENT_BUFFERS);
    host_guest_write32(MESSAGES + SINT * HV_MESSAGE_SIZE, 0);
    input.partition_id = PARTITION_PARENT;
    assert_int_equal(post(&input), HV_STATUS_SUCCESS);
}

static void test_post_message_faults(void **state)
{
    (void)state;
    struct hv_input_post_message_direct input = make_post(2);

    synic_on(&host.vp[2]);
    for (uint64_t id = 0; id < 5; id++) {
        input.partition_id = id == PARTITION_PARENT ? SELF - 1 : id;
        assert_int_equal(post(&input), HV_STATUS_INVALID_PARTITION_ID);
    }
    input = make_post(HOST_VPS);
    assert_int_equal(post(&input), HV_STATUS_INVALID_VP_INDEX);
    input = make_post(HV_ANY_VP);
    assert_int_equal(post(&input), HV_STATUS_INVALID_VP_INDEX);
    input = make_post(2);
    input.target_vtl = 1;
    assert_int_equal(post(&input), HV_STATUS_INVALID_PARAMETER);
    input = make_post(2);
    input.sint = HV_SINT_COUNT;
    assert_int_equal(post(&input), HV_STATUS_INVALID_PARAMETER);
    input = make_post(2);
    input.message[4] = 241;
    assert_int_equal(post(&input), HV_STATUS_INVALID_PARAMETER);
    input = make_post(2);
    memset(input.message, 0, 4);
    assert_int_equal(post(&input), HV_STATUS_INVALID_PARAMETER);
    assert_true(host_page_is(spa_make(MESSAGES), 0));
    assert_int_equal(receivers(VECTOR), 0);
}

static uint64_t signal_event(struct hv_input_signal_event_direct input)
{
    host_guest_write(INPUT, &input, sizeof input);
    return call(HVCALL_SIGNAL_EVENT_DIRECT, INPUT, OUTPUT);
}

static bool newly_signaled(void)
{
    struct hv_output_signal_event_direct output;

    host_guest_read(OUTPUT, &output, sizeof output);
    return output.newly_signaled;
}

static void test_signal_event(void **state)
{
    (void)state;
    const struct hv_input_signal_event_direct input = {
        .partition_id = SELF, .vp_index = 1, .sint = SINT, .flag_number = 2047};

    synic_on(&host.vp[1]);
    assert_int_equal(signal_event(input), HV_STATUS_SUCCESS);
    assert_true(newly_signaled());
    assert_int_equal(receivers(VECTOR), 1u << 1);
    assert_int_equal(host_guest_read32(EVENTS + SINT * 256 + 252), 1u << 31);
    assert_int_equal(signal_event(input), HV_STATUS_SUCCESS);
    assert_false(newly_signaled());
    assert_int_equal(receivers(VECTOR), 0);
}

static void test_signal_event_faults(void **state)
{
    (void)state;
    const struct hv_input_signal_event_direct good = {
        .partition_id = SELF, .vp_index = 1, .sint = SINT, .flag_number = 5};
    struct hv_input_signal_event_direct input = good;

    assert_int_equal(signal_event(input), HV_STATUS_INVALID_SYNIC_STATE);
    synic_on(&host.vp[1]);
    input.partition_id = 2;
    assert_int_equal(signal_event(input), HV_STATUS_INVALID_PARTITION_ID);
    input = good;
    input.vp_index = HOST_VPS;
    assert_int_equal(signal_event(input), HV_STATUS_INVALID_VP_INDEX);
    input = good;
    input.target_vtl = 1;
    assert_int_equal(signal_event(input), HV_STATUS_INVALID_PARAMETER);
    input = good;
    input.sint = 16;
    assert_int_equal(signal_event(input), HV_STATUS_INVALID_PARAMETER);
    input = good;
    input.flag_number = 2048;
    assert_int_equal(signal_event(input), HV_STATUS_INVALID_PARAMETER);
    assert_true(msr_write(&host.vp[1], HV_MSR_SINT0 + SINT, HV_SINT_MASKED | VECTOR));
    assert_int_equal(signal_event(good), HV_STATUS_INVALID_SYNIC_STATE);
    assert_true(host_page_is(spa_make(EVENTS), 0));
    assert_true(host_page_is(spa_make(OUTPUT), 0)); /* written on success only */
}

/* ---- spin wait, identity ---- */

static void test_long_spin_wait(void **state)
{
    (void)state;
    assert_int_equal(call(HVCALL_NOTIFY_LONG_SPIN_WAIT | FAST, 1000, 0), HV_STATUS_SUCCESS);
    assert_int_equal(host.record[0].yields, 1);
    assert_int_equal(host.record[1].yields, 0);
}

/* ---- Bulkhead's own ---- */

static void test_get_info(void **state)
{
    (void)state;
    struct bh_info info;

    host_page_fill(spa_make(OUTPUT), 0xff);
    assert_int_equal(call(BH_CALL_GET_INFO, 0, OUTPUT), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &info, sizeof info);
    assert_int_equal(info.abi_version, BH_ABI_VERSION);
    assert_int_equal(info.vendor, BH_VENDOR_SVM);
    assert_int_equal(info.lp_count, HOST_VPS);
    assert_int_equal(info.partition_count, 1);
    assert_int_equal(info.tsc_hz, HOST_TSC_HZ);
    assert_int_equal(info.uptime, host.now);
    assert_string_equal(info.release, "test");
    /* The rest of the page is zero: nothing of the hypervisor's memory shows. */
    for (uint64_t at = sizeof info; at < PAGE_SIZE; at += 4) {
        assert_int_equal(host_guest_read32(OUTPUT + at), 0);
    }
}

static void read_log_at(uint64_t position, struct bh_log_output *output)
{
    const struct bh_log_input input = {position};

    host_guest_write(INPUT, &input, sizeof input);
    assert_int_equal(call(BH_CALL_READ_LOG, INPUT, OUTPUT), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, output, sizeof *output);
}

static void test_read_log(void **state)
{
    (void)state;
    static struct bh_log_output output;
    const uint64_t begin = log_written();

    log_line(LOG_DEBUG, "hello %u", 5u);
    read_log_at(begin, &output);
    assert_int_equal(output.position, begin);
    assert_int_equal(output.end, log_written());
    assert_int_equal(output.length, output.end - begin);
    assert_memory_equal(output.text, "bulkhead: hello 5\n", output.length);
    read_log_at(output.end, &output);
    assert_int_equal(output.length, 0);
    assert_int_equal(output.position, output.end);
    read_log_at(UINT64_MAX, &output); /* from the future: as from the end */
    assert_int_equal(output.length, 0);
    assert_int_equal(output.position, output.end);
}

/* A long log is read piece by piece, and what was overwritten shows by the position. */
static void test_read_log_in_pieces(void **state)
{
    (void)state;
    static struct bh_log_output output;
    uint64_t position = 0, lines = 0;

    for (unsigned i = 0; i < 8000; i++) {
        log_line(LOG_DEBUG, "line %u", i);
    }
    read_log_at(position, &output);
    assert_int_equal(output.position, log_written() - LOG_RING_SIZE);
    assert_int_equal(output.length, BH_LOG_TEXT_SIZE);
    for (position = output.position; position < output.end; position += output.length) {
        read_log_at(position, &output);
        assert_int_equal(output.position, position);
        for (uint32_t i = 0; i < output.length; i++) {
            lines += output.text[i] == '\n';
        }
    }
    assert_in_range(lines, LOG_RING_SIZE / 21, LOG_RING_SIZE / 19);
}

static uint64_t get_stats(uint32_t object, uint32_t index, uint64_t partition)
{
    const struct bh_stats_input input = {object, index, partition};

    host_guest_write(INPUT, &input, sizeof input);
    return call(BH_CALL_GET_STATS, INPUT, OUTPUT);
}

static void test_hypervisor_stats(void **state)
{
    (void)state;
    struct bh_hypervisor_stats stats;

    assert_int_equal(get_stats(BH_STATS_HYPERVISOR, 99, 99), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &stats, sizeof stats);
    assert_int_equal(stats.uptime, host.now);
    assert_int_equal(stats.frames_total, HOST_PAGE_COUNT - 1);
    assert_int_equal(stats.frames_hypervisor, 1);
    assert_int_equal(stats.frames_parent, HOST_GUEST_PAGES + 1);
    assert_int_equal(stats.frames_shared, 1);
    assert_int_equal(stats.frames_deposited, 1);
    assert_int_equal(stats.frames_unassigned, 1);
    assert_int_equal(stats.frames_total, stats.frames_hypervisor + stats.frames_parent +
                                             stats.frames_deposited + stats.frames_unassigned);
    assert_int_equal(stats.pool_pages_total, 8);
    assert_int_equal(stats.pool_pages_free, 5);
    assert_int_equal(stats.log_bytes, log_written());
    assert_int_equal(stats.log_lost_bytes, log_lost());
}

static void test_lp_stats(void **state)
{
    (void)state;
    struct bh_lp_stats stats;

    for (uint32_t i = 0; i < HOST_VPS; i++) {
        assert_int_equal(get_stats(BH_STATS_LP, i, 0), HV_STATUS_SUCCESS);
        host_guest_read(OUTPUT, &stats, sizeof stats);
        assert_int_equal(stats.apic_id, i);
    }
    assert_int_equal(get_stats(BH_STATS_LP, HOST_VPS, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(get_stats(BH_STATS_LP, ~0u, 0), HV_STATUS_INVALID_PARAMETER);
}

static void test_partition_stats(void **state)
{
    (void)state;
    struct bh_partition_stats stats;

    host.partition.crash_parameter[3] = 0x33;
    host.partition.nested.table_pages = 12;
    assert_int_equal(get_stats(BH_STATS_PARTITION, 0, SELF), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &stats, sizeof stats);
    assert_int_equal(stats.partition_id, PARTITION_PARENT);
    assert_int_equal(stats.vp_count, HOST_VPS);
    assert_int_equal(stats.frames_owned, HOST_GUEST_PAGES + 1);
    assert_int_equal(stats.nested_table_pages, 12);
    assert_int_equal(stats.hypercalls, 0); /* completed ones */
    assert_int_equal(stats.crash_parameter[3], 0x33);
    assert_int_equal(get_stats(BH_STATS_PARTITION, 0, PARTITION_PARENT), HV_STATUS_SUCCESS);
    assert_int_equal(get_stats(BH_STATS_PARTITION, 0, 0), HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(get_stats(BH_STATS_PARTITION, 0, 0x10001), HV_STATUS_INVALID_PARTITION_ID);
}

static void test_vp_stats(void **state)
{
    (void)state;
    struct bh_vp_stats stats;

    host.vp[3].stats.time_guest = 500 * HOST_TSC_PER_UNIT;
    host.vp[3].stats.exits[BH_EXIT_CPUID] = 17;
    assert_int_equal(get_stats(BH_STATS_VP, 3, SELF), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &stats, sizeof stats);
    assert_int_equal(stats.time_guest, 500);
    assert_int_equal(stats.exits[BH_EXIT_CPUID], 17);
    assert_int_equal(get_stats(BH_STATS_VP, HOST_VPS, SELF), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(get_stats(BH_STATS_VP, ~0u, SELF), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(get_stats(BH_STATS_VP, 0, 7), HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(get_stats(BH_STATS_VP + 1, 0, SELF), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(get_stats(~0u, 0, SELF), HV_STATUS_INVALID_PARAMETER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_well_formed_calls_succeed, setup),
        cmocka_unit_test_setup(test_unknown_codes, setup),
        cmocka_unit_test_setup(test_control_word_faults, setup),
        cmocka_unit_test_setup(test_fast_calls, setup),
        cmocka_unit_test_setup(test_input_block_faults, setup),
        cmocka_unit_test_setup(test_output_block_faults, setup),
        cmocka_unit_test_setup(test_blocks_that_are_allowed, setup),
        cmocka_unit_test_setup(test_children_are_refused, setup),
        cmocka_unit_test_setup(test_send_ipi, setup),
        cmocka_unit_test_setup(test_send_ipi_ex, setup),
        cmocka_unit_test_setup(test_send_ipi_ex_faults, setup),
        cmocka_unit_test_setup(test_flush, setup),
        cmocka_unit_test_setup(test_flush_faults, setup),
        cmocka_unit_test_setup(test_flush_of_running_vps, setup),
        cmocka_unit_test_setup(test_post_message, setup),
        cmocka_unit_test_setup(test_post_message_faults, setup),
        cmocka_unit_test_setup(test_signal_event, setup),
        cmocka_unit_test_setup(test_signal_event_faults, setup),
        cmocka_unit_test_setup(test_long_spin_wait, setup),
        cmocka_unit_test_setup(test_get_info, setup),
        cmocka_unit_test_setup(test_read_log, setup),
        cmocka_unit_test_setup(test_read_log_in_pieces, setup),
        cmocka_unit_test_setup(test_hypervisor_stats, setup),
        cmocka_unit_test_setup(test_lp_stats, setup),
        cmocka_unit_test_setup(test_partition_stats, setup),
        cmocka_unit_test_setup(test_vp_stats, setup),
    };

    return cmocka_run_group_tests_name("hypercall", tests, NULL, NULL);
}
