/* SPDX-License-Identifier: MIT */
/* The SynIC: registers, message slots and their pending flag, event flags, kinds of SINT. */
#include "hv/core/synic.h"

#include <string.h>

#include "hv/abi/msr.h"
#include "hv/abi/port.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define MESSAGES 0x2000u
#define EVENTS   0x3000u
#define SINT     2u
#define VECTOR   0xf3u

static struct vp *const vp = &host.vp[1];

static void write_msr(uint32_t index, uint64_t value)
{
    assert_true(msr_write(vp, index, value));
}

static uint64_t read_msr(uint32_t index)
{
    uint64_t value = 0;

    assert_true(msr_read(vp, index, &value));
    return value;
}

static int setup_off(void **state)
{
    (void)state;
    host_machine_init(2, PARTITION_PARENT);
    return 0;
}

static int setup(void **state)
{
    setup_off(state);
    write_msr(HV_MSR_SIMP, MESSAGES | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SIEFP, EVENTS | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SINT0 + SINT, VECTOR);
    write_msr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
    return 0;
}

static uint64_t slot_gpa(uint32_t sint)
{
    return MESSAGES + sint * HV_MESSAGE_SIZE;
}

static struct hv_message slot(uint32_t sint)
{
    struct hv_message message;

    host_guest_read(slot_gpa(sint), &message, sizeof message);
    return message;
}

/* What a guest does when it has read a message: true if it must write EOM. */
static bool empty_slot(uint32_t sint)
{
    const bool pending = slot(sint).flags & HV_MESSAGE_FLAG_PENDING;

    host_guest_write32(slot_gpa(sint), HV_MESSAGE_NONE);
    return pending;
}

static struct hv_message make_message(uint32_t type)
{
    struct hv_message message = {.type = type, .payload_size = 5, .sender = 0x1234567890};

    memcpy(message.payload, "hello", 5);
    message.payload[239] = 0x77;
    return message;
}

static enum hv_status post(uint32_t sint)
{
    const struct hv_message message = make_message(7);

    return synic_post_message(vp, sint, &message);
}

static bool interrupted(uint8_t vector)
{
    const int delivered = host_deliver(vp);

    if (delivered == VAPIC_NONE) {
        return false;
    }
    assert_int_equal(delivered, vector);
    assert_true(vapic_write(vp, VAPIC_EOI, 0));
    return true;
}

/* ---- registers ---- */

static void test_reset_values(void **state)
{
    (void)state;
    assert_int_equal(read_msr(HV_MSR_SCONTROL), 0);
    assert_int_equal(read_msr(HV_MSR_SVERSION), 1);
    assert_int_equal(read_msr(HV_MSR_SIMP), 0);
    assert_int_equal(read_msr(HV_MSR_SIEFP), 0);
    assert_int_equal(read_msr(HV_MSR_EOM), 0);
    for (uint32_t i = 0; i < HV_SINT_COUNT; i++) {
        assert_int_equal(read_msr(HV_MSR_SINT0 + i), HV_SINT_MASKED);
    }
}

static void test_registers_read_back(void **state)
{
    (void)state;
    write_msr(HV_MSR_SCONTROL, 0xf0001);
    assert_int_equal(read_msr(HV_MSR_SCONTROL), 0xf0001);
    write_msr(HV_MSR_SIMP, MESSAGES | 0xffe);
    assert_int_equal(read_msr(HV_MSR_SIMP), MESSAGES | 0xffe);
    for (uint32_t i = 0; i < HV_SINT_COUNT; i++) {
        write_msr(HV_MSR_SINT0 + i, 0x60000 | (0x40 + i));
        assert_int_equal(read_msr(HV_MSR_SINT0 + i), 0x60000 | (0x40 + i));
    }
    /* Each VP has its own. */
    uint64_t value;

    assert_true(msr_read(&host.vp[0], HV_MSR_SCONTROL, &value));
    assert_int_equal(value, 0);
}

static void test_registers_fault(void **state)
{
    (void)state;
    uint64_t value;

    assert_false(msr_write(vp, HV_MSR_SVERSION, 1));
    for (uint32_t index = HV_MSR_SIRBP + 1; index < HV_MSR_SINT0; index++) {
        assert_false(msr_read(vp, index, &value));
        assert_false(msr_write(vp, index, 0));
    }
    for (uint32_t vector = 0; vector < 16; vector++) {
        assert_false(msr_write(vp, HV_MSR_SINT0 + SINT, vector));
        write_msr(HV_MSR_SINT0 + SINT, HV_SINT_MASKED | vector); /* masked: any vector */
    }
    assert_int_equal(read_msr(HV_MSR_SINT0 + SINT), HV_SINT_MASKED | 15);
    write_msr(HV_MSR_SINT0 + SINT, 16);
}

/* Pages that are not the partition's, or nowhere. */
static void test_pages_that_can_not_be_lent(void **state)
{
    (void)state;
    static const uint32_t registers[] = {HV_MSR_SIMP, HV_MSR_SIEFP};
    static const uint64_t pages[] = {HOST_PAGE_HYPERVISOR, HOST_PAGE_UNASSIGNED,
                                     HOST_PAGE_DEPOSITED,  HOST_PAGE_ABSENT,
                                     HOST_PAGE_COUNT,      0xfffffffffffffull};

    for (unsigned r = 0; r < ARRAY_COUNT(registers); r++) {
        write_msr(registers[r], MESSAGES | HV_PAGE_MSR_ENABLE);
        for (unsigned i = 0; i < ARRAY_COUNT(pages); i++) {
            const uint64_t msr = pages[i] << PAGE_SHIFT;

            assert_false(msr_write(vp, registers[r], msr | HV_PAGE_MSR_ENABLE));
            assert_int_equal(read_msr(registers[r]), MESSAGES | HV_PAGE_MSR_ENABLE);
        }
        for (unsigned i = 0; i < ARRAY_COUNT(pages); i++) {
            write_msr(registers[r], pages[i] << PAGE_SHIFT); /* not enabled: only remembered */
        }
    }
}

/* ---- messages ---- */

static void test_message_arrives(void **state)
{
    (void)state;
    const struct hv_message sent = make_message(7);

    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    const struct hv_message got = slot(SINT);

    assert_memory_equal(&got, &sent, sizeof sent);
    assert_true(interrupted(VECTOR));
    assert_int_equal(vp->stats.messages_delivered, 1);
    for (uint32_t i = 0; i < HV_SINT_COUNT; i++) {
        assert_int_equal(slot(i).type, i == SINT ? 7 : HV_MESSAGE_NONE);
    }
    assert_true(host_windows_closed());
}

static void test_sender_notifies_other_lp(void **state)
{
    (void)state;
    host.record[1].notified = 0;
    vp->notified = 0;
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_int_equal(host.record[1].notified, 1);
}

static void test_busy_slot_asks_for_eom(void **state)
{
    (void)state;
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_true(interrupted(VECTOR));
    assert_false(slot(SINT).flags & HV_MESSAGE_FLAG_PENDING);
    assert_int_equal(post(SINT), HV_STATUS_INSUFFICIENT_BUFFERS);
    assert_false(interrupted(VECTOR));
    assert_int_equal(slot(SINT).type, 7);
    assert_true(empty_slot(SINT));
    write_msr(HV_MSR_EOM, 0);
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_false(slot(SINT).flags & HV_MESSAGE_FLAG_PENDING);
    assert_false(empty_slot(SINT));
    assert_int_equal(vp->stats.messages_delivered, 2);
}

static void test_slots_are_independent(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < HV_SINT_COUNT; i++) {
        write_msr(HV_MSR_SINT0 + i, 0x40 + i * 8);
        assert_int_equal(post(i), HV_STATUS_SUCCESS);
        assert_int_equal(post(i), HV_STATUS_INSUFFICIENT_BUFFERS);
        assert_true(interrupted((uint8_t)(0x40 + i * 8)));
    }
}

/* A hostile guest's slot: any type is "busy", nothing else in it matters. */
static void test_guest_fills_slot_itself(void **state)
{
    (void)state;
    struct hv_message forged;

    memset(&forged, 0xff, sizeof forged);
    host_guest_write(slot_gpa(SINT), &forged, sizeof forged);
    assert_int_equal(post(SINT), HV_STATUS_INSUFFICIENT_BUFFERS);
    host_guest_write32(slot_gpa(SINT), HV_MESSAGE_NONE);
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_int_equal(slot(SINT).flags, 0);
}

static void test_masked_message_has_no_interrupt(void **state)
{
    (void)state;
    write_msr(HV_MSR_SINT0 + SINT, HV_SINT_MASKED | VECTOR);
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_int_equal(slot(SINT).type, 7);
    assert_false(interrupted(VECTOR));
}

static void test_polled_message_has_no_interrupt(void **state)
{
    (void)state;
    write_msr(HV_MSR_SINT0 + SINT, HV_SINT_POLLING | VECTOR);
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_int_equal(slot(SINT).type, 7);
    assert_false(interrupted(VECTOR));
}

static void test_auto_eoi(void **state)
{
    (void)state;
    uint64_t in_service = 0;

    write_msr(HV_MSR_SINT0 + SINT, HV_SINT_AUTO_EOI | VECTOR);
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_int_equal(host_deliver(vp), VECTOR);
    for (uint32_t word = 0; word < 8; word++) {
        assert_true(vapic_read(vp, VAPIC_ISR + word, &in_service));
        assert_int_equal(in_service, 0);
    }
    (void)empty_slot(SINT);
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_int_equal(host_deliver(vp), VECTOR);
    /* Masked, the SINT has no part in what its vector does. */
    write_msr(HV_MSR_SINT0 + SINT, HV_SINT_MASKED | HV_SINT_AUTO_EOI | VECTOR);
    vapic_send_fixed(vp, VECTOR);
    assert_int_equal(host_deliver(vp), VECTOR);
    assert_true(vapic_read(vp, VAPIC_ISR + 7, &in_service));
    assert_int_equal(in_service, 1u << (VECTOR % 32));
}

/* A level interrupt that happens to have the vector: its line must be told. */
static void test_auto_eoi_of_level(void **state)
{
    (void)state;
    write_msr(HV_MSR_SINT0 + SINT, HV_SINT_AUTO_EOI | VECTOR);
    vapic_raise(&vp->apic, VECTOR, true);
    assert_int_equal(host_deliver(vp), VECTOR);
    assert_int_equal(host.record[1].level_eoi[VECTOR], 1);
}

static void test_message_refused(void **state)
{
    (void)state;
    struct hv_message message = make_message(7);

    assert_int_equal(synic_post_message(vp, HV_SINT_COUNT, &message), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(synic_post_message(vp, ~0u, &message), HV_STATUS_INVALID_PARAMETER);
    message.payload_size = HV_MESSAGE_PAYLOAD_SIZE + 1;
    assert_int_equal(synic_post_message(vp, SINT, &message), HV_STATUS_INVALID_PARAMETER);
    message.payload_size = HV_MESSAGE_PAYLOAD_SIZE;
    message.type = HV_MESSAGE_NONE;
    assert_int_equal(synic_post_message(vp, SINT, &message), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(slot(SINT).type, HV_MESSAGE_NONE);
    write_msr(HV_MSR_SCONTROL, 0);
    assert_int_equal(post(SINT), HV_STATUS_INVALID_SYNIC_STATE);
    write_msr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
    write_msr(HV_MSR_SIMP, MESSAGES);
    assert_int_equal(post(SINT), HV_STATUS_INVALID_SYNIC_STATE);
    assert_int_equal(slot(SINT).type, HV_MESSAGE_NONE);
    assert_int_equal(vp->stats.messages_delivered, 0);
}

static void test_page_moves(void **state)
{
    (void)state;
    write_msr(HV_MSR_SIMP, 0x5000 | HV_PAGE_MSR_ENABLE);
    assert_int_equal(post(SINT), HV_STATUS_SUCCESS);
    assert_int_equal(slot(SINT).type, HV_MESSAGE_NONE);
    assert_int_equal(host_guest_read32(0x5000 + SINT * HV_MESSAGE_SIZE), 7);
}

/* ---- event flags ---- */

static enum hv_status signal_flag(uint32_t flag, bool *newly)
{
    return synic_signal_event(vp, SINT, flag, newly);
}

static bool flag_is_set(uint32_t flag)
{
    return host_guest_read32(EVENTS + SINT * 256 + flag / 32 * 4) >> (flag % 32) & 1;
}

static void test_event_flags(void **state)
{
    (void)state;
    static const uint32_t flags[] = {0, 1, 31, 32, 63, 64, 1000, 2047};
    bool newly;

    for (unsigned i = 0; i < ARRAY_COUNT(flags); i++) {
        assert_int_equal(signal_flag(flags[i], &newly), HV_STATUS_SUCCESS);
        assert_true(newly);
        assert_true(flag_is_set(flags[i]));
        assert_true(interrupted(VECTOR));
        assert_int_equal(signal_flag(flags[i], &newly), HV_STATUS_SUCCESS);
        assert_false(newly);
        assert_false(interrupted(VECTOR));
    }
    for (uint32_t flag = 0, set = 0; flag < HV_EVENT_FLAGS_PER_SINT; flag++) {
        set += flag_is_set(flag);
        assert_true(set <= ARRAY_COUNT(flags));
    }
    /* The neighbours' flags. */
    assert_int_equal(host_guest_read32(EVENTS + (SINT - 1) * 256 + 252), 0);
    assert_int_equal(host_guest_read32(EVENTS + (SINT + 1) * 256), 0);
}

static void test_event_refused(void **state)
{
    (void)state;
    bool newly = true;

    assert_int_equal(signal_flag(HV_EVENT_FLAGS_PER_SINT, &newly), HV_STATUS_INVALID_PARAMETER);
    assert_false(newly);
    assert_int_equal(synic_signal_event(vp, HV_SINT_COUNT, 0, &newly), HV_STATUS_INVALID_PARAMETER);
    write_msr(HV_MSR_SINT0 + SINT, HV_SINT_MASKED | VECTOR);
    assert_int_equal(signal_flag(3, &newly), HV_STATUS_INVALID_SYNIC_STATE);
    write_msr(HV_MSR_SINT0 + SINT, VECTOR);
    write_msr(HV_MSR_SIEFP, EVENTS);
    assert_int_equal(signal_flag(3, &newly), HV_STATUS_INVALID_SYNIC_STATE);
    write_msr(HV_MSR_SIEFP, EVENTS | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SCONTROL, 0);
    assert_int_equal(signal_flag(3, &newly), HV_STATUS_INVALID_SYNIC_STATE);
    assert_false(flag_is_set(3));
    assert_false(newly);
}

static void test_polled_event(void **state)
{
    (void)state;
    bool newly;

    write_msr(HV_MSR_SINT0 + SINT, HV_SINT_POLLING | VECTOR);
    assert_int_equal(signal_flag(9, &newly), HV_STATUS_SUCCESS);
    assert_true(newly);
    assert_true(flag_is_set(9));
    assert_false(interrupted(VECTOR));
}

static void test_reset(void **state)
{
    (void)state;
    synic_reset(vp);
    test_reset_values(state);
    assert_int_equal(post(SINT), HV_STATUS_INVALID_SYNIC_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reset_values, setup_off),
        cmocka_unit_test_setup(test_registers_read_back, setup_off),
        cmocka_unit_test_setup(test_registers_fault, setup_off),
        cmocka_unit_test_setup(test_pages_that_can_not_be_lent, setup_off),
        cmocka_unit_test_setup(test_message_arrives, setup),
        cmocka_unit_test_setup(test_sender_notifies_other_lp, setup),
        cmocka_unit_test_setup(test_busy_slot_asks_for_eom, setup),
        cmocka_unit_test_setup(test_slots_are_independent, setup),
        cmocka_unit_test_setup(test_guest_fills_slot_itself, setup),
        cmocka_unit_test_setup(test_masked_message_has_no_interrupt, setup),
        cmocka_unit_test_setup(test_polled_message_has_no_interrupt, setup),
        cmocka_unit_test_setup(test_auto_eoi, setup),
        cmocka_unit_test_setup(test_auto_eoi_of_level, setup),
        cmocka_unit_test_setup(test_message_refused, setup),
        cmocka_unit_test_setup(test_page_moves, setup),
        cmocka_unit_test_setup(test_event_flags, setup),
        cmocka_unit_test_setup(test_event_refused, setup),
        cmocka_unit_test_setup(test_polled_event, setup),
        cmocka_unit_test_setup(test_reset, setup),
    };

    return cmocka_run_group_tests_name("synic", tests, NULL, NULL);
}
