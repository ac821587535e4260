/* SPDX-License-Identifier: MIT */
#include "tests/unit/hv/host_child.h"

#include "hv/abi/partition.h"
#include "hv/abi/vp.h"
#include "hv/core/hypercall.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

uint64_t child_id;

enum hv_status child_call(uint32_t code, uint32_t reps, const void *input, size_t size)
{
    struct vp *vp = &host.vp[0];

    if (size > 0) {
        host_guest_write(INPUT, input, size);
    }
    vp->registers.rcx = code | (uint64_t)reps << HV_CONTROL_REP_COUNT_SHIFT;
    vp->registers.rdx = INPUT;
    vp->registers.r8 = OUTPUT;
    while (!hypercall_dispatch(vp)) {
    }
    assert_true(host_windows_closed());
    return (enum hv_status)(vp->registers.rax & 0xffff);
}

enum hv_status child_call_partition(uint32_t code)
{
    const struct hv_input_partition input = {child_id};

    return child_call(code, 0, &input, sizeof input);
}

enum hv_status child_deposit(unsigned count)
{
    uint64_t input[1 + DEPOSITS] = {child_id};

    for (unsigned i = 0; i < count; i++) {
        input[1 + i] = DEPOSIT + i;
    }
    return child_call(HVCALL_DEPOSIT_MEMORY, count, input, 8 * (1 + (size_t)count));
}

enum hv_status child_withdraw(unsigned count)
{
    const struct hv_input_withdraw_memory input = {.partition_id = child_id};

    return child_call(HVCALL_WITHDRAW_MEMORY, count, &input, sizeof input);
}

enum hv_status child_map(uint64_t target, uint64_t source, uint32_t flags)
{
    const uint64_t input[] = {child_id, target, flags, source};

    return child_call(HVCALL_MAP_GPA_PAGES, 1, input, sizeof input);
}

enum hv_status child_unmap(uint64_t target)
{
    const struct hv_input_unmap_gpa_pages input = {.partition_id = child_id, .target_base = target};

    return child_call(HVCALL_UNMAP_GPA_PAGES, 1, &input, sizeof input);
}

enum hv_status child_create_vp(uint32_t index)
{
    const struct hv_input_create_vp input = {.partition_id = child_id, .vp_index = index};

    return child_call(HVCALL_CREATE_VP, 0, &input, sizeof input);
}

enum hv_status child_set_register(uint32_t name, uint64_t value)
{
    const struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc element;
    } input = {.head = {.partition_id = child_id},
               .element = {.name = name, .value = {.u128 = {value, 0}}}};

    return child_call(HVCALL_SET_VP_REGISTERS, 1, &input, sizeof input);
}

enum hv_status child_get_register(uint32_t name, uint64_t *value)
{
    const struct {
        struct hv_input_vp_registers head;
        uint32_t name;
    } input = {.head = {.partition_id = child_id}, .name = name};
    const enum hv_status status =
        child_call(HVCALL_GET_VP_REGISTERS, 1, &input, sizeof input.head + sizeof input.name);

    host_guest_read(OUTPUT, value, sizeof *value);
    return status;
}

enum hv_status child_map_state_page(uint16_t type, uint64_t frame)
{
    const struct hv_input_map_state_page input = {.partition_id = child_id,
                                                  .type = type,
                                                  .flags = HV_STATE_PAGE_LOCATION_GIVEN,
                                                  .requested_location = frame};

    return child_call(HVCALL_MAP_VP_STATE_PAGE, 0, &input, sizeof input);
}

/* The parent's tables for the pages that are deposited and returned. */
int child_setup(void **state)
{
    (void)state;
    host_machine_init(1, PARTITION_PARENT);
    host_make_tables();
    const struct hv_input_create_partition input = {.flags = HV_CREATE_EXO | HV_CREATE_LAPIC |
                                                             HV_CREATE_X2APIC};

    assert_int_equal(child_call(HVCALL_CREATE_PARTITION, 0, &input, sizeof input),
                     HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &child_id, sizeof child_id);
    assert_int_not_equal(child_id, PARTITION_PARENT);
    assert_int_equal(partition_count(), 2);
    return 0;
}

void child_activate(void)
{
    assert_int_equal(child_deposit(DEPOSITS), HV_STATUS_SUCCESS);
    assert_int_equal(child_call_partition(HVCALL_INITIALIZE_PARTITION), HV_STATUS_SUCCESS);
}

static void check_all_returned(void)
{
    for (frame_t frame = 0; frame < HOST_GUEST_PAGES; frame++) {
        assert_int_equal(frame_state(&host.frames, frame), FRAME_PARENT);
    }
}

int child_teardown(void **state)
{
    (void)state;
    assert_int_equal(child_call_partition(HVCALL_FINALIZE_PARTITION), HV_STATUS_SUCCESS);
    if (frame_table_state_count(&host.frames, FRAME_POOL_FREE) > 0) {
        assert_int_equal(child_call_partition(HVCALL_DELETE_PARTITION),
                         HV_STATUS_INVALID_PARTITION_STATE);
    }
    assert_int_equal(child_withdraw(DEPOSITS + 1), HV_STATUS_NO_RESOURCES);
    assert_int_equal(child_call_partition(HVCALL_DELETE_PARTITION), HV_STATUS_SUCCESS);
    assert_int_equal(child_call_partition(HVCALL_DELETE_PARTITION), HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(partition_count(), 1);
    check_all_returned();
    return 0;
}
