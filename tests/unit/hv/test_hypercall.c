/* SPDX-License-Identifier: MIT */
/* Dispatch of hypercalls: every code, every fault of the control word and of the blocks. */
#include "hv/core/hypercall.h"

#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/partition.h"
#include "hv/abi/port.h"
#include "hv/abi/vp.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_call.h"

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
    host_synic_on(&host.vp[0]);
}

static void test_well_formed_calls_succeed(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        host_call_setup(state);
        prepare(&rules[i]);
        assert_int_equal(host_call(rules[i].code, INPUT, OUTPUT), HV_STATUS_SUCCESS);
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
    HVCALL_INSTALL_INTERCEPT,
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
        assert_int_equal(host_call(code, INPUT, OUTPUT), HV_STATUS_INVALID_HYPERCALL_CODE);
        assert_int_equal(host_call(code | FAST, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE);
    }
    host_call_refused(~0ull, ~0ull, ~0ull, HV_STATUS_INVALID_HYPERCALL_CODE);
}

static void test_control_word_faults(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        const uint64_t code = rules[i].code;

        host_call_setup(state);
        prepare(&rules[i]);
        for (unsigned bit = 27; bit < 64; bit++) {
            /* Reserved, nested, and the repetitions of calls that do not repeat. */
            host_call_refused(code | 1ull << bit, INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
        host_call_refused(code | 0xfffull << 32, INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        host_call_refused(code | 0xfffull << 48, INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        for (unsigned bit = 0; bit < 10 && !rules[i].variable; bit++) {
            host_call_refused(code | host_varhead(1u << bit), INPUT, OUTPUT,
                              HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
    }
}

static void test_fast_calls(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        const uint64_t code = rules[i].code | FAST;

        host_call_setup(state);
        prepare(&rules[i]);
        host_call_refused(code | host_varhead(1), INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        if (rules[i].input > 16 || rules[i].output != 0) {
            host_call_refused(code, INPUT, OUTPUT, HV_STATUS_INVALID_HYPERCALL_INPUT);
        } else {
            assert_int_equal(host_call(code, 0x80, 0), HV_STATUS_SUCCESS);
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

        host_call_setup(state);
        prepare(rule);
        if (rule->input == 0) {
            assert_int_equal(host_call(rule->code, ~0ull, OUTPUT), HV_STATUS_SUCCESS);
            continue;
        }
        for (uint64_t offset = 1; offset < 8; offset++) {
            host_call_refused(rule->code, INPUT + offset, OUTPUT, HV_STATUS_INVALID_ALIGNMENT);
        }
        for (uint64_t over = 8; over < rule->input; over += 8) {
            host_call_refused(rule->code, INPUT + PAGE_SIZE - over, OUTPUT,
                              HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
        for (unsigned p = 0; p < ARRAY_COUNT(bad_pages); p++) {
            host_call_refused(rule->code, bad_pages[p] << 12, OUTPUT,
                              HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
    }
}

static void test_output_block_faults(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        const struct call_rule *rule = &rules[i];

        host_call_setup(state);
        prepare(rule);
        if (rule->output == 0) {
            assert_int_equal(host_call(rule->code, INPUT, ~0ull), HV_STATUS_SUCCESS);
            continue;
        }
        for (uint64_t offset = 1; offset < 8; offset++) {
            host_call_refused(rule->code, INPUT, OUTPUT + offset, HV_STATUS_INVALID_ALIGNMENT);
        }
        for (uint64_t over = 8; over < rule->output; over += 8) {
            host_call_refused(rule->code, INPUT, OUTPUT + PAGE_SIZE - over,
                              HV_STATUS_INVALID_HYPERCALL_INPUT);
        }
        for (unsigned p = 0; p < ARRAY_COUNT(bad_pages); p++) {
            host_call_refused(rule->code, INPUT, bad_pages[p] << 12,
                              HV_STATUS_INVALID_HYPERCALL_INPUT);
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
    assert_int_equal(host_call(BH_CALL_GET_STATS, INPUT, INPUT), HV_STATUS_SUCCESS);
    host_guest_read(INPUT, &stats, sizeof stats);
    assert_int_equal(stats.partition_id, PARTITION_PARENT);
    assert_int_equal(host_call(HVCALL_GET_PARTITION_ID, 0, OUTPUT + PAGE_SIZE - 8),
                     HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT + PAGE_SIZE - 8, &id, sizeof id);
    assert_int_equal(id, PARTITION_PARENT);
}

static void test_children_are_refused(void **state)
{
    (void)state;
    host_machine_init(HOST_VPS, 2);
    for (unsigned i = 0; i < ARRAY_COUNT(child_calls); i++) {
        host_call_refused(child_calls[i], INPUT, OUTPUT, HV_STATUS_ACCESS_DENIED);
        host_call_refused(child_calls[i] | 1ull << 32, INPUT, OUTPUT, HV_STATUS_ACCESS_DENIED);
        host_call_refused(child_calls[i] | FAST, 2, 0, HV_STATUS_ACCESS_DENIED);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        host_machine_init(HOST_VPS, 2);
        prepare(&rules[i]);
        if (rules[i].parent_only) {
            host_call_refused(rules[i].code, INPUT, OUTPUT, HV_STATUS_ACCESS_DENIED);
        } else {
            assert_int_equal(host_call(rules[i].code, INPUT, OUTPUT), HV_STATUS_SUCCESS);
        }
    }
}

static void test_long_spin_wait(void **state)
{
    (void)state;
    assert_int_equal(host_call(HVCALL_NOTIFY_LONG_SPIN_WAIT | FAST, 1000, 0), HV_STATUS_SUCCESS);
    assert_int_equal(host.record[0].yields, 1);
    assert_int_equal(host.record[1].yields, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_well_formed_calls_succeed, host_call_setup),
        cmocka_unit_test_setup(test_unknown_codes, host_call_setup),
        cmocka_unit_test_setup(test_control_word_faults, host_call_setup),
        cmocka_unit_test_setup(test_fast_calls, host_call_setup),
        cmocka_unit_test_setup(test_input_block_faults, host_call_setup),
        cmocka_unit_test_setup(test_output_block_faults, host_call_setup),
        cmocka_unit_test_setup(test_blocks_that_are_allowed, host_call_setup),
        cmocka_unit_test_setup(test_children_are_refused, host_call_setup),
        cmocka_unit_test_setup(test_long_spin_wait, host_call_setup),
    };

    return cmocka_run_group_tests_name("hypercall", tests, NULL, NULL);
}
