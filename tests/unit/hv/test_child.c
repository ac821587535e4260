/* SPDX-License-Identifier: MIT */
/* A child's whole life by the parent's hypercalls, on the small machine: who owns what after each.
 */
#include "hv/core/hypercall.h"

#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/intercept.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/abi/vp.h"
#include "hv/core/intercept.h"
#include "hv/core/lib.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_child.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define MESSAGES  0x3000u
#define INTERCEPT 4u /* frames of the parent */
#define REGISTERS 5u

static void test_order(void **state)
{
    (void)state;
    assert_int_equal(child_call_partition(HVCALL_INITIALIZE_PARTITION),
                     HV_STATUS_INSUFFICIENT_MEMORY);
    assert_int_equal(child_map(0, SHARED, HV_MAP_READABLE), HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(child_create_vp(0), HV_STATUS_INVALID_PARTITION_STATE);
    child_activate();
    assert_int_equal(child_call_partition(HVCALL_INITIALIZE_PARTITION),
                     HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(child_call_partition(HVCALL_DELETE_PARTITION),
                     HV_STATUS_INVALID_PARTITION_STATE);
}

static void test_deposit(void **state)
{
    (void)state;
    gpa_t gpa = gpa_make(DEPOSIT << 12);
    spa_t page;

    assert_int_equal(child_deposit(1), HV_STATUS_SUCCESS);
    assert_int_equal(host.flushes, 1);
    assert_int_equal(frame_state(&host.frames, DEPOSIT), FRAME_POOL_FREE);
    assert_false(partition_translate(&host.partition, gpa, false, &page));
    assert_int_equal(child_deposit(1), HV_STATUS_ACCESS_DENIED); /* not the parent's any more */
    assert_int_equal(child_withdraw(1), HV_STATUS_SUCCESS);
    assert_true(partition_translate(&host.partition, gpa, false, &page));
    assert_int_equal(child_withdraw(1), HV_STATUS_NO_RESOURCES);
}

static void test_memory(void **state)
{
    (void)state;
    child_activate();
    assert_int_equal(child_map(3, SHARED, HV_MAP_READABLE | HV_MAP_WRITABLE), HV_STATUS_SUCCESS);
    assert_int_equal(frame_state(&host.frames, SHARED), FRAME_SHARED);
    assert_int_equal(child_map(3, SHARED + 1, HV_MAP_READABLE), HV_STATUS_OPERATION_DENIED);
    assert_int_equal(child_map(4, HOST_PAGE_HYPERVISOR, HV_MAP_READABLE), HV_STATUS_ACCESS_DENIED);
    assert_int_equal(child_map(4, DEPOSIT, HV_MAP_READABLE), HV_STATUS_ACCESS_DENIED);
    assert_int_equal(child_map(1ull << 36, SHARED, HV_MAP_READABLE), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(child_map(4, SHARED, HV_MAP_WRITABLE), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(child_unmap(4), HV_STATUS_INVALID_PARAMETER);
    host.flushes = 0;
    assert_int_equal(child_unmap(3), HV_STATUS_SUCCESS);
    assert_int_equal(host.flushes, 1);
    assert_int_equal(frame_state(&host.frames, SHARED), FRAME_PARENT);
    assert_int_equal(child_map(3, SHARED, HV_MAP_READABLE), HV_STATUS_SUCCESS);
} /* the teardown finds it given back */

static void test_registers(void **state)
{
    (void)state;
    uint64_t value;

    child_activate();
    assert_int_equal(child_get_register(HV_REGISTER_RAX, &value), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    assert_int_equal(child_create_vp(0), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(child_create_vp(PARTITION_MAX_VPS), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(child_set_register(HV_REGISTER_R15, 0x1234), HV_STATUS_SUCCESS);
    assert_int_equal(child_get_register(HV_REGISTER_R15, &value), HV_STATUS_SUCCESS);
    assert_int_equal(value, 0x1234);
    assert_int_equal(child_set_register(HV_REGISTER_RIP, 0x5678), HV_STATUS_SUCCESS);
    assert_int_equal(child_get_register(HV_REGISTER_RIP, &value), HV_STATUS_SUCCESS);
    assert_int_equal(value, 0x5678);
    assert_int_equal(child_set_register(HV_REGISTER_CR8, 16), HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(child_set_register(0xffffffff, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(child_get_register(HV_REGISTER_EXPLICIT_SUSPEND, &value), HV_STATUS_SUCCESS);
    assert_int_equal(value, 1);
    assert_int_equal(child_set_register(HV_REGISTER_INTERCEPT_SUSPEND, 1),
                     HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(child_set_register(HV_REGISTER_EXPLICIT_SUSPEND, 0), HV_STATUS_SUCCESS);
    assert_int_equal(host.suspend_changes, 1);
}

static void expect_apic(uint32_t reg, uint64_t expected)
{
    uint64_t value;

    assert_int_equal(child_get_register(HV_REGISTER_APIC + reg, &value), HV_STATUS_SUCCESS);
    assert_int_equal(value, expected);
}

/* The parent does for a VP what the VP did to the page of its local APIC. */
static void test_apic_registers(void **state)
{
    (void)state;
    child_activate();
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    assert_int_equal(child_set_register(HV_REGISTER_APIC + VAPIC_DFR, 0),
                     HV_STATUS_INVALID_PARAMETER); /* not in x2APIC mode */
    assert_int_equal(child_set_register(HV_REGISTER_APIC_BASE, HOST_APIC_BASE | APIC_BASE_BSP),
                     HV_STATUS_SUCCESS);
    assert_int_equal(child_set_register(HV_REGISTER_APIC_BASE,
                                        HOST_APIC_BASE | APIC_BASE_BSP | APIC_BASE_ENABLE),
                     HV_STATUS_SUCCESS);
    assert_int_equal(child_set_register(HV_REGISTER_APIC + VAPIC_DFR, 0x0fffffff),
                     HV_STATUS_SUCCESS);
    expect_apic(VAPIC_DFR, 0x0fffffff);
    assert_int_equal(child_set_register(HV_REGISTER_APIC + VAPIC_SPURIOUS, 0x1ff),
                     HV_STATUS_SUCCESS);
    assert_int_equal(child_set_register(HV_REGISTER_APIC + VAPIC_ICR_HIGH, 0), HV_STATUS_SUCCESS);
    assert_int_equal(child_set_register(HV_REGISTER_APIC + VAPIC_ICR, 0x4041), HV_STATUS_SUCCESS);
    expect_apic(VAPIC_IRR + 2, 2);
    assert_int_equal(child_set_register(HV_REGISTER_APIC + HV_REGISTER_APIC_COUNT, 0),
                     HV_STATUS_INVALID_PARAMETER);
}

/* ---- CPUID ---- */

#define LEAF 0x8000000bu /* one that no rule changes */

static enum hv_status fix_cpuid(uint32_t vp_index, uint32_t leaf, int subleaf, uint32_t value,
                                uint32_t mask)
{
    const struct hv_input_register_intercept_result input = {
        .partition_id = child_id,
        .vp_index = vp_index,
        .type = HV_INTERCEPT_CPUID,
        .eax = leaf,
        .ecx = (uint32_t)subleaf,
        .subleaf_specific = subleaf >= 0,
        .always_override = 1,
        .result = {{value, mask}, {0, 0}, {0, 0}, {value, mask}},
    };

    return child_call(HVCALL_REGISTER_INTERCEPT_RESULT, 0, &input, sizeof input);
}

static struct cpuid_result get_cpuid(uint32_t vp_index, uint32_t leaf, uint32_t subleaf,
                                     uint32_t flags)
{
    const struct {
        struct hv_input_get_cpuid head;
        struct hv_cpuid_leaf leaf;
    } input = {.head = {.partition_id = child_id, .vp_index = vp_index, .flags = flags},
               .leaf = {.eax = leaf, .ecx = subleaf}};
    struct cpuid_result result;

    assert_int_equal(child_call(HVCALL_GET_VP_CPUID_VALUES, 1, &input, sizeof input),
                     HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &result, sizeof result);
    return result;
}

static uint32_t fixed_eax(uint32_t vp_index, uint32_t leaf, uint32_t subleaf)
{
    return get_cpuid(vp_index, leaf, subleaf, HV_GET_CPUID_APPLY_OVERRIDES).eax;
}

static void test_cpuid(void **state)
{
    (void)state;
    struct hv_input_register_intercept_result bad = {.partition_id = child_id,
                                                     .type = HV_INTERCEPT_MSR};

    assert_int_equal(fix_cpuid(HV_ANY_VP, LEAF, -1, 0, 0), HV_STATUS_INVALID_PARTITION_STATE);
    child_activate();
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    assert_int_equal(child_create_vp(1), HV_STATUS_SUCCESS);
    assert_int_equal(child_call(HVCALL_REGISTER_INTERCEPT_RESULT, 0, &bad, sizeof bad),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(fix_cpuid(2, LEAF, -1, 0, 0), HV_STATUS_INVALID_VP_INDEX);
    host.cpuid = (struct cpuid_result){0x1234, 0x5678, 0x9abc, 0xdef0};
    assert_int_equal(fixed_eax(0, LEAF, 0), 0x1234);
    assert_int_equal(fix_cpuid(HV_ANY_VP, LEAF, -1, 0xff, 0xf0), HV_STATUS_SUCCESS);
    assert_int_equal(fixed_eax(0, LEAF, 7), 0x12f4);
    assert_int_equal(fixed_eax(1, LEAF, 0), 0x12f4);
    assert_int_equal(fixed_eax(1, LEAF + 1, 0), 0x1234);
    const struct cpuid_result all = get_cpuid(1, LEAF, 0, HV_GET_CPUID_APPLY_OVERRIDES);

    assert_true(all.ebx == 0x5678 && all.ecx == 0x9abc && all.edx == 0xdef0);
    /* For one VP and one subleaf only; the newest that fits counts. */
    assert_int_equal(fix_cpuid(1, LEAF, 3, 0x0, 0xf000), HV_STATUS_SUCCESS);
    assert_int_equal(fix_cpuid(1, LEAF, 3, 0x8000, 0xf000), HV_STATUS_SUCCESS);
    assert_int_equal(fixed_eax(1, LEAF, 3), 0x8234);
    assert_int_equal(fixed_eax(1, LEAF, 2), 0x12f4);
    assert_int_equal(fixed_eax(0, LEAF, 3), 0x12f4);
    assert_int_equal(get_cpuid(1, LEAF, 3, HV_GET_CPUID_USE_VP_XFEM).eax, 0x1234);
}

/* Many answers take more pages, which the teardown finds given back. */
static void test_cpuid_many(void **state)
{
    (void)state;
    enum hv_status status = HV_STATUS_SUCCESS;
    uint32_t count = 0;

    child_activate();
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    for (; status == HV_STATUS_SUCCESS; count++) {
        status = fix_cpuid(0, 0x80001000 + count, -1, count, ~0u);
    }
    assert_int_equal(status, HV_STATUS_INSUFFICIENT_MEMORY);
    assert_true(count > 100);
    for (uint32_t i = 0; i + 1 < count; i++) {
        assert_int_equal(fixed_eax(0, 0x80001000 + i, 0), i);
    }
}

static struct hv_message read_message(uint64_t gpa)
{
    struct hv_message message;

    host_guest_read(gpa, &message, sizeof message);
    return message;
}

/* The message in the VP's page, the note in the parent's slot, one note at a time. */
static void test_intercept(void **state)
{
    (void)state;
    const struct hv_intercept_header header = {.rip = 0x77};
    struct vp *parent_vp = &host.vp[0];

    child_activate();
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    assert_int_equal(child_map_state_page(2, INTERCEPT), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(child_map_state_page(HV_STATE_PAGE_INTERCEPT_MESSAGE, HOST_PAGE_HYPERVISOR),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(child_map_state_page(HV_STATE_PAGE_INTERCEPT_MESSAGE, INTERCEPT),
                     HV_STATUS_SUCCESS);
    assert_int_equal(child_map_state_page(HV_STATE_PAGE_REGISTERS, REGISTERS), HV_STATUS_SUCCESS);

    enum hv_status status;
    struct partition *child = partition_acquire(&host.partition, child_id, &status);
    struct vp *vp = partition_vp(child, 0);

    partition_release(child);
    intercept_raise(vp, HV_MESSAGE_HALT, &header, sizeof header);
    assert_true(vp->intercept_suspend);
    const struct hv_message full = read_message(INTERCEPT << 12);

    assert_int_equal(full.type, HV_MESSAGE_HALT);
    assert_int_equal(full.sender, child_id);
    assert_memory_equal(full.payload, &header, sizeof header);
    /* The parent does not listen yet; it hears of it as soon as it does. */
    assert_true(msr_write(parent_vp, HV_MSR_SIMP, MESSAGES | 1));
    assert_int_equal(read_message(MESSAGES).type, HV_MESSAGE_NONE);
    assert_true(msr_write(parent_vp, HV_MSR_SCONTROL, 1));
    assert_int_equal(read_message(MESSAGES).type, HV_MESSAGE_OPAQUE_INTERCEPT);
    assert_int_equal(read_message(MESSAGES).sender, child_id);
    /* The slot is busy: the next note waits for the end of the message. */
    intercept_tell_eoi(vp, 0x41);
    assert_int_equal(read_message(MESSAGES).type, HV_MESSAGE_OPAQUE_INTERCEPT);
    host_guest_write32(MESSAGES, HV_MESSAGE_NONE);
    assert_true(msr_write(parent_vp, HV_MSR_EOM, 0));
    assert_int_equal(read_message(MESSAGES).type, HV_MESSAGE_APIC_EOI);
    /* What the parent changed in the register page is loaded when the VP goes on. */
    host_guest_write32((REGISTERS << 12) + offsetof(struct hv_register_page, dirty),
                       HV_REGISTER_PAGE_DIRTY_RIP);
    host_guest_write32((REGISTERS << 12) + offsetof(struct hv_register_page, rip), 0x99);
    assert_int_equal(child_set_register(HV_REGISTER_INTERCEPT_SUSPEND, 0), HV_STATUS_SUCCESS);
    assert_false(vp->intercept_suspend);
    assert_int_equal(host.register_value.u64 & 0xffffffff, 0x99);
}

static enum hv_status run_vp(uint32_t flags)
{
    const struct bh_run_vp_input input = {.partition_id = child_id, .flags = flags};

    return child_call(BH_CALL_RUN_VP, 0, &input, sizeof input);
}

/* A parent's VP that waits is woken by the intercept itself; one that is awake gets the note. */
static void test_run_vp(void **state)
{
    (void)state;
    const struct hv_intercept_header header = {.rip = 0x77};
    struct vp *parent_vp = &host.vp[0];

    child_activate();
    assert_int_equal(run_vp(0), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    assert_int_equal(child_map_state_page(HV_STATE_PAGE_INTERCEPT_MESSAGE, INTERCEPT),
                     HV_STATUS_SUCCESS);
    assert_true(msr_write(parent_vp, HV_MSR_SIMP, MESSAGES | 1));
    assert_true(msr_write(parent_vp, HV_MSR_SCONTROL, 1));
    enum hv_status status;
    struct partition *child = partition_acquire(&host.partition, child_id, &status);
    struct vp *vp = partition_vp(child, 0);

    partition_release(child);
    vp->explicit_suspend = true;
    assert_int_equal(run_vp(~BH_RUN_WAIT), HV_STATUS_INVALID_PARAMETER);
    assert_true(vp->explicit_suspend);
    assert_int_equal(run_vp(0), HV_STATUS_SUCCESS);
    assert_false(vp->explicit_suspend);
    assert_true(vp_is_runnable(parent_vp));

    assert_int_equal(run_vp(BH_RUN_WAIT), HV_STATUS_SUCCESS);
    assert_false(vp_is_runnable(parent_vp));
    intercept_raise(vp, HV_MESSAGE_HALT, &header, sizeof header);
    assert_true(vp_is_runnable(parent_vp));
    assert_int_equal(read_message(INTERCEPT << 12).type, HV_MESSAGE_HALT);
    assert_int_equal(read_message(MESSAGES).type, HV_MESSAGE_NONE);
    parent_vp->activity = VP_ACTIVE; /* as the run loop does */

    assert_int_equal(run_vp(0), HV_STATUS_SUCCESS);
    assert_false(vp->intercept_suspend);
    intercept_raise(vp, HV_MESSAGE_HALT, &header, sizeof header);
    assert_int_equal(read_message(MESSAGES).type, HV_MESSAGE_OPAQUE_INTERCEPT);
    vp_halt(parent_vp); /* a HLT does not end by what an earlier call waited for */
    assert_false(vp_is_runnable(parent_vp));
    parent_vp->activity = VP_ACTIVE;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_deposit, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_memory, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_registers, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_apic_registers, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_cpuid, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_cpuid_many, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_intercept, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_run_vp, child_setup, child_teardown),
    };

    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
