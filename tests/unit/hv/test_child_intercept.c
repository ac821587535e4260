/* SPDX-License-Identifier: MIT */
/* Intercepts that the parent asks for: which there are, and which are always there. */
#include "hv/abi/partition.h"
#include "hv/core/cpuid.h"
#include "hv/core/hypercall.h"
#include "tests/unit/hv/host_child.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define READ       HV_INTERCEPT_ACCESS_READ
#define WRITE      HV_INTERCEPT_ACCESS_WRITE
#define EXECUTE    HV_INTERCEPT_ACCESS_EXECUTE
#define READ_WRITE (READ | WRITE)

static enum hv_status install_with(uint64_t id, uint32_t type, uint32_t access, uint64_t parameter)
{
    const struct hv_input_install_intercept input = {
        .partition_id = id, .access = access, .type = type, .parameter = parameter};

    return child_call(HVCALL_INSTALL_INTERCEPT, 0, &input, sizeof input);
}

static enum hv_status install_for(uint64_t id, uint32_t type, uint32_t access)
{
    return install_with(id, type, access, 0);
}

static struct vp *vp;

/* A child that runs, with one VP. */
static int vp_setup(void **state)
{
    child_setup(state);
    child_activate();
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    vp = host.child_vps;
    return 0;
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

/* They are asked for by execution alone. */
static void refuse_accesses(uint32_t type)
{
    for (uint32_t access = 1; access < 16; access++) {
        if (access != EXECUTE) {
            assert_int_equal(install_for(child_id, type, access), HV_STATUS_INVALID_PARAMETER);
        }
    }
}

static bool is_intercepted(uint32_t leaf, uint32_t *eax)
{
    struct cpuid_result r;
    const bool intercepted = cpuid_emulate(vp, leaf, 7, &r);

    *eax = r.eax;
    return intercepted;
}

static void answer(uint32_t leaf, uint32_t eax)
{
    const struct hv_input_register_intercept_result input = {
        .partition_id = child_id,
        .vp_index = HV_ANY_VP,
        .type = HV_INTERCEPT_CPUID,
        .eax = leaf,
        .result = {{.value = eax, .mask = UINT32_MAX}}};

    assert_int_equal(child_call(HVCALL_REGISTER_INTERCEPT_RESULT, 0, &input, sizeof input),
                     HV_STATUS_SUCCESS);
}

/* Answers and intercepts of one leaf do not hide each other. */
static void test_cpuid(void **state)
{
    (void)state;
    const uint32_t leaves[] = {0, 1, 0x40000003, 0x80000008, UINT32_MAX};
    uint32_t eax;

    refuse_accesses(HV_INTERCEPT_CPUID);
    assert_int_equal(install_with(child_id, HV_INTERCEPT_CPUID, EXECUTE, 1ull << 32),
                     HV_STATUS_INVALID_PARAMETER);
    for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        assert_false(is_intercepted(leaves[i], &eax));
        answer(leaves[i], 100);
        assert_int_equal(install_with(child_id, HV_INTERCEPT_CPUID, EXECUTE, leaves[i]),
                         HV_STATUS_SUCCESS);
        assert_true(is_intercepted(leaves[i], &eax));
        assert_int_equal(eax, 100);
        answer(leaves[i], 101);
        assert_true(is_intercepted(leaves[i], &eax));
        assert_int_equal(eax, 101);
        assert_false(is_intercepted(leaves[i] ^ 2, &eax));
        assert_int_equal(install_with(child_id, HV_INTERCEPT_CPUID, 0, leaves[i]),
                         HV_STATUS_SUCCESS);
        assert_false(is_intercepted(leaves[i], &eax));
        assert_int_equal(eax, 101);
    }
}

static void test_exceptions(void **state)
{
    (void)state;
    const uint32_t machines_own = 1u << 2 | 1u << 18;
    uint32_t wanted = 0;

    refuse_accesses(HV_INTERCEPT_EXCEPTION);
    for (uint32_t vector = 0; vector < 70; vector++) {
        const bool may = vector < 32 && !(machines_own >> vector & 1);

        wanted |= may ? 1u << vector : 0;
        host.intercept_changes = 0;
        assert_int_equal(install_with(child_id, HV_INTERCEPT_EXCEPTION, EXECUTE, vector),
                         may ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER);
        assert_int_equal(vp->partition->exception_intercepts, wanted);
        assert_int_equal(host.intercept_changes, may ? 1 : 0); /* of its one VP */
    }
    assert_int_equal(install_with(child_id, HV_INTERCEPT_EXCEPTION, EXECUTE, 1ull << 32),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(install_with(child_id, HV_INTERCEPT_EXCEPTION, 0, 6), HV_STATUS_SUCCESS);
    assert_int_equal(vp->partition->exception_intercepts, wanted & ~(1u << 6));
}

/* Only of calls that there are not; those that a child may not make are refused as always. */
static void test_hypercalls(void **state)
{
    (void)state;
    refuse_accesses(HV_INTERCEPT_HYPERCALL);
    for (unsigned installed = 0; installed < 2; installed++) {
        assert_int_equal(
            install_for(child_id, HV_INTERCEPT_HYPERCALL, installed != 0 ? EXECUTE : 0),
            HV_STATUS_SUCCESS);
        vp->registers.rax = 77;
        vp->registers.rcx = 0x7777;
        assert_int_equal(hypercall_dispatch(vp), installed == 0);
        assert_int_equal(vp->registers.rax, installed != 0 ? 77 : HV_STATUS_INVALID_HYPERCALL_CODE);
        assert_int_equal(vp->intercept_suspend, installed != 0);
        vp->intercept_suspend = false;
        vp->registers.rcx = HVCALL_CREATE_PARTITION;
        assert_true(hypercall_dispatch(vp));
        assert_int_equal(vp->registers.rax, HV_STATUS_ACCESS_DENIED);
        assert_false(vp->intercept_suspend);
    }
}

static void test_others_are_refused(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < 64; type++) {
        if (type > HV_INTERCEPT_EXCEPTION && type != HV_INTERCEPT_HYPERCALL &&
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
        cmocka_unit_test_setup_teardown(test_cpuid, vp_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_exceptions, vp_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_hypercalls, vp_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_others_are_refused, child_setup, child_teardown),
    };

    return cmocka_run_group_tests_name("child_intercept", tests, NULL, NULL);
}
