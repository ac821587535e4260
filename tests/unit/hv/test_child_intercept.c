/* SPDX-License-Identifier: MIT */
/* Intercepts that the parent asks for: which there are, and which are always there. */
#include "hv/abi/partition.h"
#include "tests/unit/hv/host_child.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define READ       HV_INTERCEPT_ACCESS_READ
#define WRITE      HV_INTERCEPT_ACCESS_WRITE
#define EXECUTE    HV_INTERCEPT_ACCESS_EXECUTE
#define READ_WRITE (READ | WRITE)

static enum hv_status install_for(uint64_t id, uint32_t type, uint32_t access)
{
    const struct hv_input_install_intercept input = {
        .partition_id = id, .access = access, .type = type};

    return child_call(HVCALL_INSTALL_INTERCEPT, 0, &input, sizeof input);
}

static uint32_t installed(void)
{
    enum hv_status status;
    struct partition *taken = partition_acquire(&host.partition, child_id, &status);
    const uint32_t access = taken->msr_intercepts;

    partition_release(taken);
    return access;
}

static void test_msrs(void **state)
{
    (void)state;
    assert_int_equal(installed(), 0);
    for (uint32_t access = READ_WRITE + 1; access-- > 0;) {
        assert_int_equal(install_for(child_id, HV_INTERCEPT_MSR, access), HV_STATUS_SUCCESS);
        assert_int_equal(installed(), access);
    }
    assert_int_equal(install_for(child_id, HV_INTERCEPT_MSR, READ_WRITE), HV_STATUS_SUCCESS);
    const uint32_t bad[] = {EXECUTE, READ_WRITE | EXECUTE, 8, 1u << 31, UINT32_MAX};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(install_for(child_id, HV_INTERCEPT_MSR, bad[i]),
                         HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(installed(), READ_WRITE);
}

/* They can not be taken away. */
static void test_ports_and_memory(void **state)
{
    (void)state;
    const uint32_t types[] = {HV_INTERCEPT_IO_PORT, HV_INTERCEPT_IO_PORT_RANGE, HV_INTERCEPT_MMIO};

    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        const bool is_memory = types[i] == HV_INTERCEPT_MMIO;

        assert_int_equal(install_for(child_id, types[i], READ), HV_STATUS_SUCCESS);
        assert_int_equal(install_for(child_id, types[i], READ_WRITE), HV_STATUS_SUCCESS);
        assert_int_equal(install_for(child_id, types[i], EXECUTE),
                         is_memory ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER);
        assert_int_equal(install_for(child_id, types[i], 0), HV_STATUS_OPERATION_DENIED);
        assert_int_equal(install_for(child_id, types[i], 8), HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(installed(), 0);
}

static void test_others_are_refused(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < 64; type++) {
        if (type != HV_INTERCEPT_MSR && type != HV_INTERCEPT_IO_PORT &&
            type != HV_INTERCEPT_IO_PORT_RANGE && type != HV_INTERCEPT_MMIO) {
            assert_int_equal(install_for(child_id, type, READ), HV_STATUS_INVALID_PARAMETER);
            assert_int_equal(install_for(child_id, type, 0), HV_STATUS_INVALID_PARAMETER);
        }
    }
    assert_int_equal(install_for(child_id, UINT32_MAX, READ), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(install_for(PARTITION_PARENT, HV_INTERCEPT_MSR, READ),
                     HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(install_for(child_id + 1, HV_INTERCEPT_MSR, READ),
                     HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(host.partition.msr_intercepts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_msrs, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_ports_and_memory, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_others_are_refused, child_setup, child_teardown),
    };

    return cmocka_run_group_tests_name("child_intercept", tests, NULL, NULL);
}
