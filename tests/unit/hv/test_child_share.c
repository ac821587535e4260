/* SPDX-License-Identifier: MIT */
/* A child's share of the processors, what it is said to own, and its end in pieces. */
#include "hv/abi/bulkhead.h"
#include "hv/abi/partition.h"
#include "hv/core/hypercall.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_child.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

static enum hv_status set_share(uint64_t share)
{
    const struct hv_input_set_partition_property input = {
        .partition_id = child_id, .code = BH_PROPERTY_SHARE, .value = share};

    return child_call(HVCALL_SET_PARTITION_PROPERTY, 0, &input, sizeof input);
}

static struct bh_partition_stats stats(void)
{
    const struct bh_stats_input input = {.object = BH_STATS_PARTITION, .partition_id = child_id};
    struct bh_partition_stats stats;

    assert_int_equal(child_call(BH_CALL_GET_STATS, 0, &input, sizeof input), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &stats, sizeof stats);
    return stats;
}

static void test_share(void **state)
{
    (void)state;
    child_activate();
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    assert_int_equal(stats().share, BH_SHARE(BH_WEIGHT_DEFAULT, 0, 0));
    assert_int_equal(set_share(BH_SHARE(200, 1000, 5000)), HV_STATUS_SUCCESS);
    assert_int_equal(host.share_changes, 1);
    assert_int_equal(stats().share, BH_SHARE(200, 1000, 5000));
    assert_int_equal(set_share(BH_SHARE(BH_WEIGHT_MAX, BH_SHARE_RESERVE_MAX, BH_SHARE_WHOLE)),
                     HV_STATUS_SUCCESS);
    const uint64_t bad[] = {BH_SHARE(0, 0, 0),
                            BH_SHARE(BH_WEIGHT_MAX + 1, 0, 0),
                            BH_SHARE(1, BH_SHARE_WHOLE + 1, 0),
                            BH_SHARE(1, 0, BH_SHARE_WHOLE + 1),
                            BH_SHARE(1, 200, 100),
                            BH_SHARE(1, 0, 0) | 1ull << 48};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(set_share(bad[i]), HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(stats().share, BH_SHARE(BH_WEIGHT_MAX, BH_SHARE_RESERVE_MAX, BH_SHARE_WHOLE));
}

/* One LP of several can not keep the reserve: all VPs have the old share. */
static void test_share_refused_by_one_lp(void **state)
{
    (void)state;
    enum hv_status status;

    child_activate();
    assert_int_equal(child_create_vp(1), HV_STATUS_SUCCESS);
    assert_int_equal(child_create_vp(3), HV_STATUS_SUCCESS);
    assert_int_equal(set_share(BH_SHARE(300, 1000, 0)), HV_STATUS_SUCCESS);
    host.full_vp = 3;
    assert_int_equal(set_share(BH_SHARE(400, 2000, 0)), HV_STATUS_NO_RESOURCES);
    assert_int_equal(stats().share, BH_SHARE(300, 1000, 0));
    struct partition *taken = partition_acquire(&host.partition, child_id, &status);

    for (uint32_t i = 0; i < taken->vp_count; i++) {
        const struct vp *vp = taken->vp[i];

        assert_true(vp == NULL || vp->sched.params.weight == 300);
        assert_true(vp == NULL || vp->sched.params.reserve == 1000 * SCHED_SHARE_UNIT);
    }
    partition_release(taken);
    assert_int_equal(set_share(BH_SHARE(400, 500, 0)), HV_STATUS_SUCCESS);
}

/* Time ends a piece of the work, not only its size. */
static void test_finalize_in_pieces(void **state)
{
    (void)state;
    const struct hv_input_partition input = {child_id};
    struct vp *vp = &host.vp[0];
    unsigned pieces = 0;

    child_activate();
    assert_int_equal(child_map(3, SHARED, HV_MAP_READABLE), HV_STATUS_SUCCESS);
    assert_int_equal(child_map(5, SHARED + 1, HV_MAP_READABLE), HV_STATUS_SUCCESS);
    host_guest_write(INPUT, &input, sizeof input);
    vp->registers.rcx = HVCALL_FINALIZE_PARTITION;
    vp->registers.rdx = INPUT;
    host.step = HYPERCALL_TIME_MAX / 10;
    while (!hypercall_dispatch(vp)) {
        pieces++;
        assert_true(host_windows_closed());
    }
    assert_true(pieces >= (512 + 511) / 10 && pieces <= (4 * 512 + 10) / 10);
    host.step = 0;
    assert_int_equal(vp->registers.rax, HV_STATUS_SUCCESS);
    assert_int_equal(frame_state(&host.frames, SHARED + 1), FRAME_PARENT);
}

/* What a child costs is what it owns. */
static void test_memory_of_a_child_is_told(void **state)
{
    (void)state;
    child_activate();
    const struct bh_partition_stats before = stats();

    assert_int_equal(before.frames_owned, before.frames_deposited);
    assert_true(before.frames_deposited > before.frames_deposited_free);
    assert_int_equal(before.frames_mapped, 0);
    assert_int_equal(child_map(16, SHARED, HV_MAP_READABLE | HV_MAP_WRITABLE), HV_STATUS_SUCCESS);
    assert_int_equal(stats().frames_mapped, 1);
    assert_int_equal(stats().frames_owned, before.frames_owned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_share, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_share_refused_by_one_lp, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_finalize_in_pieces, child_setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_memory_of_a_child_is_told, child_setup,
                                        child_teardown),
    };

    return cmocka_run_group_tests_name("child_share", tests, NULL, NULL);
}
