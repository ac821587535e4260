/* SPDX-License-Identifier: MIT */
/* Frame ownership: every operation on a frame in every state, and what keeps 2 MiB whole. */
#include <pthread.h>
#include <stdlib.h>

#include "hv/core/frame.h"
#include "tests/lib/frame_query.h"
#include "tests/unit/hv/unit.h"

#define FRAMES    2048u
#define CHILD     ((partition_id_t)2)
#define STRANGER  ((partition_id_t)3)
#define DENIED    HV_STATUS_ACCESS_DENIED
#define WRONG     HV_STATUS_OPERATION_DENIED
#define OK        HV_STATUS_SUCCESS
#define BAD       HV_STATUS_INVALID_PARAMETER
#define EXHAUSTED HV_STATUS_NO_RESOURCES

static uint32_t storage[FRAMES];
static struct frame_table table;

static int setup(void **state)
{
    (void)state;
    frame_table_init(&table, storage, FRAMES);
    return 0;
}

static int setup_parent(void **state)
{
    setup(state);
    assert_int_equal(frame_table_set_range(&table, 0, FRAMES, FRAME_PARENT, PARTITION_PARENT), OK);
    return 0;
}

/* The counters must always be what a count of the records gives. */
static void assert_counts(void)
{
    uint64_t count[FRAME_STATE_COUNT] = {0};

    for (frame_t frame = 0; frame < FRAMES; frame++) {
        count[frame_state(&table, frame)]++;
    }
    for (unsigned state = 0; state < FRAME_STATE_COUNT; state++) {
        assert_int_equal(frame_table_state_count(&table, (enum frame_state)state), count[state]);
    }
    assert_int_equal(frame_table_deposited_count(&table),
                     count[FRAME_DEPOSITED] + count[FRAME_POOL_FREE] + count[FRAME_POOL_USED]);
}

static void test_init_all_absent(void **state)
{
    (void)state;
    for (frame_t frame = 0; frame < FRAMES; frame++) {
        assert_int_equal(frame_state(&table, frame), FRAME_ABSENT);
        assert_int_equal(frame_owner(&table, frame), PARTITION_NONE);
        assert_int_equal(frame_map_count(&table, frame), 0);
    }
    assert_int_equal(frame_table_size(FRAMES), sizeof(storage));
    assert_counts();
}

static void test_set_range(void **state)
{
    (void)state;
    assert_int_equal(frame_table_set_range(&table, 0, 100, FRAME_PARENT, PARTITION_PARENT), OK);
    assert_int_equal(frame_table_set_range(&table, 10, 5, FRAME_HYPERVISOR, PARTITION_NONE), OK);
    assert_int_equal(frame_table_set_range(&table, 90, 10, FRAME_UNASSIGNED, PARTITION_NONE), OK);
    assert_int_equal(frame_table_set_range(&table, 99, 1, FRAME_ABSENT, PARTITION_NONE), OK);
    assert_int_equal(frame_state(&table, 9), FRAME_PARENT);
    assert_int_equal(frame_owner(&table, 9), PARTITION_PARENT);
    assert_int_equal(frame_state(&table, 10), FRAME_HYPERVISOR);
    assert_int_equal(frame_owner(&table, 14), PARTITION_NONE);
    assert_int_equal(frame_state(&table, 15), FRAME_PARENT);
    assert_int_equal(frame_state(&table, 98), FRAME_UNASSIGNED);
    assert_int_equal(frame_state(&table, 99), FRAME_ABSENT);
    assert_int_equal(frame_state(&table, 100), FRAME_ABSENT);
    assert_int_equal(frame_table_set_range(&table, FRAMES, 0, FRAME_PARENT, PARTITION_PARENT), OK);
    assert_counts();
}

static void test_set_range_refused(void **state)
{
    (void)state;
    const struct {
        frame_t first, count;
        enum frame_state to;
        partition_id_t partition;
    } bad[] = {
        {0, FRAMES + 1, FRAME_PARENT, PARTITION_PARENT},
        {FRAMES, 1, FRAME_PARENT, PARTITION_PARENT},
        {FRAMES + 1, 0, FRAME_PARENT, PARTITION_PARENT},
        {1, UINT64_MAX, FRAME_PARENT, PARTITION_PARENT},
        {UINT64_MAX, 2, FRAME_PARENT, PARTITION_PARENT},
        {0, 1, FRAME_PARENT, PARTITION_NONE},
        {0, 1, FRAME_PARENT, CHILD},
        {0, 1, FRAME_HYPERVISOR, PARTITION_PARENT},
        {0, 1, FRAME_UNASSIGNED, CHILD},
        {0, 1, FRAME_ABSENT, PARTITION_PARENT},
        {0, 1, FRAME_SHARED, CHILD},
        {0, 1, FRAME_DEPOSITED, CHILD},
        {0, 1, FRAME_POOL_FREE, CHILD},
        {0, 1, FRAME_POOL_USED, CHILD},
        {0, 1, FRAME_STATE_COUNT, PARTITION_NONE},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            frame_table_set_range(&table, bad[i].first, bad[i].count, bad[i].to, bad[i].partition),
            BAD);
        assert_int_equal(frame_table_state_count(&table, FRAME_ABSENT), FRAMES);
    }
}

/* All states a frame can be in, as the rows of the table below. */
enum row {
    ROW_ABSENT,
    ROW_HYPERVISOR,
    ROW_UNASSIGNED,
    ROW_PARENT,
    ROW_SHARED_1,
    ROW_SHARED_2,
    ROW_SHARED_MAX,
    ROW_DEPOSITED,
    ROW_POOL_FREE,
    ROW_POOL_USED,
    ROWS,
};

/* Brings frame 0 into a row's state, for CHILD where a child is in it. */
static void make(enum row row)
{
    static const enum frame_state plain[] = {FRAME_ABSENT, FRAME_HYPERVISOR, FRAME_UNASSIGNED};
    static const uint32_t maps[] = {1, 2, FRAME_MAPS_MAX};

    setup(NULL);
    if (row < ROW_PARENT) {
        assert_int_equal(frame_table_set_range(&table, 0, 1, plain[row], PARTITION_NONE), OK);
        return;
    }
    assert_int_equal(frame_table_set_range(&table, 0, 1, FRAME_PARENT, PARTITION_PARENT), OK);
    if (row >= ROW_SHARED_1 && row <= ROW_SHARED_MAX) {
        for (uint32_t i = 0; i < maps[row - ROW_SHARED_1]; i++) {
            assert_int_equal(frame_share(&table, 0, CHILD), OK);
        }
    }
    if (row >= ROW_DEPOSITED) {
        assert_int_equal(frame_deposit(&table, 0, CHILD), OK);
    }
    if (row >= ROW_POOL_FREE) {
        assert_int_equal(frame_pool_enter(&table, 0, CHILD), OK);
    }
    if (row == ROW_POOL_USED) {
        assert_int_equal(frame_pool_take(&table, 0, CHILD), OK);
    }
}

typedef enum hv_status operation(struct frame_table *, frame_t, partition_id_t);

static const struct column {
    operation *run;
    const char *name;
    /* Per row: the status for CHILD, the state after it, the status for STRANGER. */
    struct {
        enum hv_status child;
        enum frame_state after;
        enum hv_status stranger;
    } want[ROWS];
} columns[] = {
    {frame_deposit,
     "deposit",
     {{BAD, FRAME_ABSENT, BAD},
      {DENIED, FRAME_HYPERVISOR, DENIED},
      {DENIED, FRAME_UNASSIGNED, DENIED},
      {OK, FRAME_DEPOSITED, OK},
      {WRONG, FRAME_SHARED, WRONG},
      {WRONG, FRAME_SHARED, WRONG},
      {WRONG, FRAME_SHARED, WRONG},
      {DENIED, FRAME_DEPOSITED, DENIED},
      {DENIED, FRAME_POOL_FREE, DENIED},
      {DENIED, FRAME_POOL_USED, DENIED}}},
    {frame_withdraw,
     "withdraw",
     {{BAD, FRAME_ABSENT, BAD},
      {DENIED, FRAME_HYPERVISOR, DENIED},
      {DENIED, FRAME_UNASSIGNED, DENIED},
      {DENIED, FRAME_PARENT, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {OK, FRAME_PARENT, DENIED},
      {WRONG, FRAME_POOL_FREE, DENIED},
      {WRONG, FRAME_POOL_USED, DENIED}}},
    {frame_pool_enter,
     "pool_enter",
     {{BAD, FRAME_ABSENT, BAD},
      {DENIED, FRAME_HYPERVISOR, DENIED},
      {DENIED, FRAME_UNASSIGNED, DENIED},
      {DENIED, FRAME_PARENT, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {OK, FRAME_POOL_FREE, DENIED},
      {WRONG, FRAME_POOL_FREE, DENIED},
      {WRONG, FRAME_POOL_USED, DENIED}}},
    {frame_pool_leave,
     "pool_leave",
     {{BAD, FRAME_ABSENT, BAD},
      {DENIED, FRAME_HYPERVISOR, DENIED},
      {DENIED, FRAME_UNASSIGNED, DENIED},
      {DENIED, FRAME_PARENT, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {WRONG, FRAME_DEPOSITED, DENIED},
      {OK, FRAME_DEPOSITED, DENIED},
      {WRONG, FRAME_POOL_USED, DENIED}}},
    {frame_pool_take,
     "pool_take",
     {{BAD, FRAME_ABSENT, BAD},
      {DENIED, FRAME_HYPERVISOR, DENIED},
      {DENIED, FRAME_UNASSIGNED, DENIED},
      {DENIED, FRAME_PARENT, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {WRONG, FRAME_DEPOSITED, DENIED},
      {OK, FRAME_POOL_USED, DENIED},
      {WRONG, FRAME_POOL_USED, DENIED}}},
    {frame_pool_return,
     "pool_return",
     {{BAD, FRAME_ABSENT, BAD},
      {DENIED, FRAME_HYPERVISOR, DENIED},
      {DENIED, FRAME_UNASSIGNED, DENIED},
      {DENIED, FRAME_PARENT, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {DENIED, FRAME_SHARED, DENIED},
      {WRONG, FRAME_DEPOSITED, DENIED},
      {WRONG, FRAME_POOL_FREE, DENIED},
      {OK, FRAME_POOL_FREE, DENIED}}},
    {frame_share,
     "share",
     {{BAD, FRAME_ABSENT, BAD},
      {DENIED, FRAME_HYPERVISOR, DENIED},
      {DENIED, FRAME_UNASSIGNED, DENIED},
      {OK, FRAME_SHARED, OK},
      {OK, FRAME_SHARED, WRONG},
      {OK, FRAME_SHARED, WRONG},
      {EXHAUSTED, FRAME_SHARED, WRONG},
      {DENIED, FRAME_DEPOSITED, DENIED},
      {DENIED, FRAME_POOL_FREE, DENIED},
      {DENIED, FRAME_POOL_USED, DENIED}}},
    {frame_unshare,
     "unshare",
     {{BAD, FRAME_ABSENT, BAD},
      {DENIED, FRAME_HYPERVISOR, DENIED},
      {DENIED, FRAME_UNASSIGNED, DENIED},
      {WRONG, FRAME_PARENT, WRONG},
      {OK, FRAME_PARENT, WRONG},
      {OK, FRAME_SHARED, WRONG},
      {OK, FRAME_SHARED, WRONG},
      {DENIED, FRAME_DEPOSITED, DENIED},
      {DENIED, FRAME_POOL_FREE, DENIED},
      {DENIED, FRAME_POOL_USED, DENIED}}},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void check_cell(const struct column *column, enum row row)
{
    make(row);
    uint32_t before = storage[0];
    enum hv_status status = column->run(&table, 0, CHILD);

    if (status != column->want[row].child || frame_state(&table, 0) != column->want[row].after) {
        fail_msg("%s on row %d: status %#x, state %d", column->name, row, status,
                 frame_state(&table, 0));
    }
    if (status != OK) {
        assert_int_equal(storage[0], before);
    }
    assert_counts();
    make(row);
    status = column->run(&table, 0, STRANGER);
    if (status != column->want[row].stranger) {
        fail_msg("%s on row %d by a stranger: status %#x", column->name, row, status);
    }
    if (status != OK) {
        assert_int_equal(storage[0], before);
    }
    assert_counts();
}

static void test_every_operation_on_every_state(void **state)
{
    (void)state;
    for (size_t column = 0; column < COLUMNS; column++) {
        for (enum row row = 0; row < ROWS; row++) {
            check_cell(&columns[column], row);
        }
    }
}

static void test_bad_partition_or_frame(void **state)
{
    (void)state;
    const partition_id_t partition[] = {PARTITION_NONE, PARTITION_PARENT, PARTITION_MAX,
                                        PARTITION_MAX + 1, UINT16_MAX};
    const frame_t frame[] = {FRAMES, FRAMES + 1, UINT64_MAX - 1, UINT64_MAX};

    for (size_t column = 0; column < COLUMNS; column++) {
        for (enum row row = 0; row < ROWS; row++) {
            make(row);
            uint32_t before = storage[0];

            for (size_t i = 0; i < sizeof(partition) / sizeof(partition[0]); i++) {
                assert_int_equal(columns[column].run(&table, 0, partition[i]),
                                 HV_STATUS_INVALID_PARTITION_ID);
            }
            assert_int_equal(storage[0], before);
        }
        for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
            assert_int_equal(columns[column].run(&table, frame[i], CHILD), BAD);
        }
    }
    assert_counts();
    assert_int_equal(frame_state(&table, UINT64_MAX), FRAME_ABSENT);
    assert_int_equal(frame_owner(&table, FRAMES), PARTITION_NONE);
}

static void test_owner_sharer_and_parent_map(void **state)
{
    (void)state;
    const struct {
        partition_id_t owner, sharer;
        uint32_t maps;
        bool parent_may_map;
    } want[ROWS] = {
        [ROW_ABSENT] = {PARTITION_NONE, PARTITION_NONE, 0, true},
        [ROW_HYPERVISOR] = {PARTITION_NONE, PARTITION_NONE, 0, false},
        [ROW_UNASSIGNED] = {PARTITION_NONE, PARTITION_NONE, 0, false},
        [ROW_PARENT] = {PARTITION_PARENT, PARTITION_NONE, 0, true},
        [ROW_SHARED_1] = {PARTITION_PARENT, CHILD, 1, true},
        [ROW_SHARED_2] = {PARTITION_PARENT, CHILD, 2, true},
        [ROW_SHARED_MAX] = {PARTITION_PARENT, CHILD, FRAME_MAPS_MAX, true},
        [ROW_DEPOSITED] = {CHILD, PARTITION_NONE, 0, false},
        [ROW_POOL_FREE] = {CHILD, PARTITION_NONE, 0, false},
        [ROW_POOL_USED] = {CHILD, PARTITION_NONE, 0, false},
    };
    for (enum row row = 0; row < ROWS; row++) {
        make(row);
        assert_int_equal(frame_owner(&table, 0), want[row].owner);
        assert_int_equal(frame_sharer(&table, 0), want[row].sharer);
        assert_int_equal(frame_map_count(&table, 0), want[row].maps);
        assert_int_equal(frame_parent_may_map(&table, 0), want[row].parent_may_map);
    }
    assert_true(frame_parent_may_map(&table, FRAMES));
}

static void test_set_range_spares_what_children_have(void **state)
{
    (void)state;
    for (enum row row = ROW_SHARED_1; row < ROWS; row++) {
        make(row);
        uint32_t before = storage[0];

        assert_int_equal(frame_table_set_range(&table, 0, 2, FRAME_HYPERVISOR, PARTITION_NONE),
                         WRONG);
        assert_int_equal(storage[0], before);
        assert_int_equal(frame_state(&table, 1), FRAME_ABSENT);
    }
}

static void test_map_count_stops_at_its_end(void **state)
{
    (void)state;
    make(ROW_SHARED_MAX);
    assert_int_equal(frame_share(&table, 0, CHILD), EXHAUSTED);
    assert_int_equal(frame_map_count(&table, 0), FRAME_MAPS_MAX);
    for (uint32_t left = FRAME_MAPS_MAX; left > 0; left--) {
        assert_int_equal(frame_state(&table, 0), FRAME_SHARED);
        assert_int_equal(frame_unshare(&table, 0, CHILD), OK);
    }
    assert_int_equal(frame_state(&table, 0), FRAME_PARENT);
    assert_int_equal(frame_unshare(&table, 0, CHILD), WRONG);
    assert_int_equal(frame_share(&table, 0, STRANGER), OK);
}

static void test_2m(void **state)
{
    (void)state;
    assert_int_equal(frame_share_2m(&table, 512, CHILD), OK);
    assert_int_equal(frame_state(&table, 511), FRAME_PARENT);
    assert_int_equal(frame_state(&table, 512), FRAME_SHARED);
    assert_int_equal(frame_state(&table, 1023), FRAME_SHARED);
    assert_int_equal(frame_state(&table, 1024), FRAME_PARENT);
    assert_int_equal(frame_table_state_count(&table, FRAME_SHARED), 512);
    assert_int_equal(frame_share(&table, 600, CHILD), OK);
    assert_int_equal(frame_unshare_2m(&table, 512, CHILD), OK);
    assert_int_equal(frame_table_state_count(&table, FRAME_SHARED), 1);
    assert_int_equal(frame_unshare_2m(&table, 512, CHILD), WRONG);
    assert_int_equal(frame_map_count(&table, 600), 1);
    assert_counts();
}

static void test_2m_all_or_none(void **state)
{
    (void)state;
    const frame_t at[] = {0, 1, 255, 510, 511};

    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        setup_parent(NULL);
        assert_int_equal(frame_deposit(&table, at[i], CHILD), OK);
        assert_int_equal(frame_share_2m(&table, 0, CHILD), DENIED);
        assert_int_equal(frame_table_state_count(&table, FRAME_SHARED), 0);
        setup_parent(NULL);
        assert_int_equal(frame_share_2m(&table, 0, CHILD), OK);
        assert_int_equal(frame_unshare(&table, at[i], CHILD), OK);
        assert_int_equal(frame_unshare_2m(&table, 0, CHILD), WRONG);
        assert_int_equal(frame_table_state_count(&table, FRAME_SHARED), 511);
        assert_int_equal(frame_share_2m(&table, 0, STRANGER), WRONG);
        assert_int_equal(frame_map_count(&table, 2), 1);
        assert_int_equal(frame_table_set_range(&table, at[i], 1, FRAME_HYPERVISOR, PARTITION_NONE),
                         OK);
        assert_int_equal(frame_share_2m(&table, 0, CHILD), DENIED);
        assert_int_equal(frame_map_count(&table, 2), 1);
        assert_counts();
    }
}

static void test_2m_bad_arguments(void **state)
{
    (void)state;
    operation *const both[] = {frame_share_2m, frame_unshare_2m};

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i](&table, 1, CHILD), HV_STATUS_INVALID_ALIGNMENT);
        assert_int_equal(both[i](&table, 511, CHILD), HV_STATUS_INVALID_ALIGNMENT);
        assert_int_equal(both[i](&table, FRAMES, CHILD), BAD);
        assert_int_equal(both[i](&table, UINT64_MAX - 511, CHILD), BAD);
        assert_int_equal(both[i](&table, 0, PARTITION_PARENT), HV_STATUS_INVALID_PARTITION_ID);
    }
    frame_table_init(&table, storage, FRAMES - 1);
    assert_int_equal(frame_table_set_range(&table, 0, FRAMES - 1, FRAME_PARENT, PARTITION_PARENT),
                     OK);
    assert_int_equal(frame_share_2m(&table, FRAMES - 512, CHILD), BAD);
    assert_int_equal(frame_table_state_count(&table, FRAME_SHARED), 0);
}

static void test_2m_stops_at_map_count(void **state)
{
    (void)state;
    assert_int_equal(frame_share_2m(&table, 0, CHILD), OK);
    for (uint32_t i = 1; i < FRAME_MAPS_MAX; i++) {
        assert_int_equal(frame_share(&table, 511, CHILD), OK);
    }
    assert_int_equal(frame_share_2m(&table, 0, CHILD), EXHAUSTED);
    assert_int_equal(frame_map_count(&table, 0), 1);
    assert_int_equal(frame_map_count(&table, 511), FRAME_MAPS_MAX);
}

static void *race(void *argument)
{
    partition_id_t partition = (partition_id_t)(uintptr_t)argument;
    uint64_t random = 1 + partition;
    uint64_t mine[64] = {0};

    for (unsigned i = 0; i < 1000; i++) {
        frame_t frame = random_next(&random) % 64;

        if (random_next(&random) % 2 && frame_share(&table, frame, partition) == OK) {
            mine[frame]++;
        } else if (mine[frame] && frame_unshare(&table, frame, partition) == OK) {
            mine[frame]--;
        }
    }
    for (frame_t frame = 0; frame < 64; frame++) {
        while (mine[frame]--) {
            if (frame_unshare(&table, frame, partition) != OK) {
                return "a mapping was lost";
            }
        }
    }
    return NULL;
}

static void test_processors_race(void **state)
{
    (void)state;
    pthread_t thread[2];

    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, race, (void *)(CHILD + i)), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        void *error = NULL;

        assert_int_equal(pthread_join(thread[i], &error), 0);
        assert_null(error);
    }
    assert_int_equal(frame_table_state_count(&table, FRAME_PARENT), FRAMES);
    assert_counts();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_init_all_absent, setup),
        cmocka_unit_test_setup(test_set_range, setup),
        cmocka_unit_test_setup(test_set_range_refused, setup),
        cmocka_unit_test(test_every_operation_on_every_state),
        cmocka_unit_test(test_bad_partition_or_frame),
        cmocka_unit_test(test_owner_sharer_and_parent_map),
        cmocka_unit_test(test_set_range_spares_what_children_have),
        cmocka_unit_test(test_map_count_stops_at_its_end),
        cmocka_unit_test_setup(test_2m, setup_parent),
        cmocka_unit_test(test_2m_all_or_none),
        cmocka_unit_test_setup(test_2m_bad_arguments, setup_parent),
        cmocka_unit_test_setup(test_2m_stops_at_map_count, setup_parent),
        cmocka_unit_test_setup(test_processors_race, setup_parent),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
