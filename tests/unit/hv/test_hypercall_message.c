/* SPDX-License-Identifier: MIT */
/* Messages and events that the parent sends. */
#include <string.h>

#include "hv/abi/msr.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_call.h"

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
    return host_call(HVCALL_POST_MESSAGE_DIRECT, INPUT, 0);
}

static void test_post_message(void **state)
{
    (void)state;
    struct hv_input_post_message_direct input = make_post(2);
    struct hv_message got;

    assert_int_equal(post(&input), HV_STATUS_INVALID_SYNIC_STATE);
    host_synic_on(&host.vp[2]);
    assert_int_equal(post(&input), HV_STATUS_SUCCESS);
    host_guest_read(MESSAGES + SINT * HV_MESSAGE_SIZE, &got, sizeof got);
    assert_memory_equal(&got, input.message, sizeof got);
    assert_int_equal(host_receivers(VECTOR), 1u << 2);
    assert_int_equal(post(&input), HV_STATUS_INSUFFICIENT_BUFFERS);
    host_guest_write32(MESSAGES + SINT * HV_MESSAGE_SIZE, 0);
    input.partition_id = PARTITION_PARENT;
    assert_int_equal(post(&input), HV_STATUS_SUCCESS);
}

static void test_post_message_faults(void **state)
{
    (void)state;
    struct hv_input_post_message_direct input = make_post(2);

    host_synic_on(&host.vp[2]);
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
    assert_int_equal(host_receivers(VECTOR), 0);
}

static uint64_t signal_event(struct hv_input_signal_event_direct input)
{
    host_guest_write(INPUT, &input, sizeof input);
    return host_call(HVCALL_SIGNAL_EVENT_DIRECT, INPUT, OUTPUT);
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

    host_synic_on(&host.vp[1]);
    assert_int_equal(signal_event(input), HV_STATUS_SUCCESS);
    assert_true(newly_signaled());
    assert_int_equal(host_receivers(VECTOR), 1u << 1);
    assert_int_equal(host_guest_read32(EVENTS + SINT * 256 + 252), 1u << 31);
    assert_int_equal(signal_event(input), HV_STATUS_SUCCESS);
    assert_false(newly_signaled());
    assert_int_equal(host_receivers(VECTOR), 0);
}

static void test_signal_event_faults(void **state)
{
    (void)state;
    const struct hv_input_signal_event_direct good = {
        .partition_id = SELF, .vp_index = 1, .sint = SINT, .flag_number = 5};
    struct hv_input_signal_event_direct input = good;

    assert_int_equal(signal_event(input), HV_STATUS_INVALID_SYNIC_STATE);
    host_synic_on(&host.vp[1]);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_post_message, host_call_setup),
        cmocka_unit_test_setup(test_post_message_faults, host_call_setup),
        cmocka_unit_test_setup(test_signal_event, host_call_setup),
        cmocka_unit_test_setup(test_signal_event_faults, host_call_setup),
    };

    return cmocka_run_group_tests_name("hypercall_message", tests, NULL, NULL);
}
