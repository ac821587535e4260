/* SPDX-License-Identifier: MIT */
/* Hypercalls from VP to VP: IPIs and flushes. */
#include "hv/core/vp.h"
#include "tests/unit/hv/host_call.h"

static uint64_t send_ipi(uint64_t vector_and_vtl, uint64_t mask)
{
    return host_call(HVCALL_SEND_IPI | FAST, vector_and_vtl, mask);
}

static void test_send_ipi(void **state)
{
    (void)state;
    assert_int_equal(send_ipi(0x80, 0x5), HV_STATUS_SUCCESS);
    assert_int_equal(host_receivers(0x80), 0x5);
    assert_int_equal(send_ipi(0x10, ~0ull), HV_STATUS_SUCCESS); /* VPs that are not there */
    assert_int_equal(host_receivers(0x10), 0xf);
    assert_int_equal(send_ipi(0xff, 0), HV_STATUS_SUCCESS);
    assert_int_equal(host_receivers(0xff), 0);
    for (uint64_t vector = 0; vector < 16; vector++) {
        host_call_refused(HVCALL_SEND_IPI | FAST, vector, 0xf, HV_STATUS_INVALID_PARAMETER);
    }
    host_call_refused(HVCALL_SEND_IPI | FAST, 0x100, 0xf, HV_STATUS_INVALID_PARAMETER);
    host_call_refused(HVCALL_SEND_IPI | FAST, 0xffffff80, 0xf, HV_STATUS_INVALID_PARAMETER);
    host_call_refused(HVCALL_SEND_IPI | FAST, 1ull << 32 | 0x80, 0xf,
                      HV_STATUS_INVALID_PARAMETER); /* VTL */
}

static uint64_t send_ipi_ex(uint32_t vector, uint64_t format, uint64_t banks, uint64_t words)
{
    const uint64_t block[] = {vector, format, banks, 0x2, 0xffffffffffffffff, 0x1};

    host_guest_write(INPUT, block, sizeof block);
    return host_call(HVCALL_SEND_IPI_EX | host_varhead(words), INPUT, 0);
}

static void test_send_ipi_ex(void **state)
{
    (void)state;
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 1, 1), HV_STATUS_SUCCESS);
    assert_int_equal(host_receivers(0x80), 0x2);
    /* The first bank present need not be bank 0; VPs from 64 up are not there. */
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 1ull << 63 | 2, 2), HV_STATUS_SUCCESS);
    assert_int_equal(host_receivers(0x80), 0);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 0x1000001, 2), HV_STATUS_SUCCESS);
    assert_int_equal(host_receivers(0x80), 0x2);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_SPARSE_4K, 0, 0), HV_STATUS_SUCCESS);
    assert_int_equal(host_receivers(0x80), 0);
    assert_int_equal(send_ipi_ex(0x80, HV_VP_SET_ALL, 0, 0), HV_STATUS_SUCCESS);
    assert_int_equal(host_receivers(0x80), 0xf);
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
    assert_int_equal(host_receivers(0x80), 0);
}

static uint64_t call_flush(uint64_t control, uint64_t flags, uint64_t mask_or_format,
                           uint64_t banks, uint64_t bank)
{
    const uint64_t input[] = {0, flags, mask_or_format, banks, bank};

    host_guest_write(INPUT, input, sizeof input);
    return host_call(control, INPUT, 0);
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
    const uint64_t list_ex = HVCALL_FLUSH_LIST_EX | host_varhead(1) | 2ull << 32;

    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE, 0, 5, 0, 0), HV_STATUS_SUCCESS);
    expect_flushed(5); /* the caller, too */
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE, 2, 1ull << 63, 0, 0), HV_STATUS_SUCCESS);
    expect_flushed(0);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE, 5, 0, 0, 0), HV_STATUS_SUCCESS);
    expect_flushed(15);
    assert_int_equal(call_flush(list, 0, 8, 0, 0), 2ull << 32); /* all repetitions are done */
    expect_flushed(8);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX | host_varhead(1), 0, 0, 1, 6),
                     HV_STATUS_SUCCESS);
    expect_flushed(6);
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX | host_varhead(1), 0, 0, 2, 6),
                     HV_STATUS_SUCCESS);
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
    assert_int_equal(call_flush(HVCALL_FLUSH_SPACE_EX | host_varhead(1), 0, 1, 0, 0),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_send_ipi, host_call_setup),
        cmocka_unit_test_setup(test_send_ipi_ex, host_call_setup),
        cmocka_unit_test_setup(test_send_ipi_ex_faults, host_call_setup),
        cmocka_unit_test_setup(test_flush, host_call_setup),
        cmocka_unit_test_setup(test_flush_faults, host_call_setup),
        cmocka_unit_test_setup(test_flush_of_running_vps, host_call_setup),
    };

    return cmocka_run_group_tests_name("hypercall_ipi", tests, NULL, NULL);
}
