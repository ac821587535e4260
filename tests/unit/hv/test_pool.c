/* SPDX-License-Identifier: MIT */
/* Deposit pools: exact counts, zeroed pages, and lists that somebody wrote over. */
#include "hv/arch.h"
#include "hv/core/pool.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/unit.h"

#define FRAMES   64u
#define CHILD    ((partition_id_t)2)
#define STRANGER ((partition_id_t)3)
#define GARBAGE  0xa5

static uint32_t storage[FRAMES];
static struct frame_table table;
static struct pool pool;

static int setup(void **state)
{
    (void)state;
    host_memory_init(FRAMES, GARBAGE);
    frame_table_init(&table, storage, FRAMES);
    frame_table_set_range(&table, 0, FRAMES, FRAME_PARENT, PARTITION_PARENT);
    pool_init(&pool, &table, CHILD);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_memory_free();
    return 0;
}

static void give(frame_t frame)
{
    assert_int_equal(frame_deposit(&table, frame, CHILD), HV_STATUS_SUCCESS);
    assert_int_equal(pool_add(&pool, frame), HV_STATUS_SUCCESS);
}

static void assert_pool(uint64_t free_pages, uint64_t used_pages)
{
    assert_int_equal(pool.free_pages, free_pages);
    assert_int_equal(pool.used_pages, used_pages);
    assert_int_equal(frame_table_state_count(&table, FRAME_POOL_FREE),
                     free_pages + pool.lost_pages);
    assert_int_equal(frame_table_state_count(&table, FRAME_POOL_USED), used_pages);
    assert_true(host_windows_closed());
}

static void test_empty(void **state)
{
    (void)state;
    spa_t page = spa_make(1);
    frame_t frame = 1;

    assert_false(pool_take(&pool, &page));
    assert_false(pool_withdraw(&pool, &frame));
    assert_int_equal(page.raw, 1);
    assert_int_equal(frame, 1);
    assert_pool(0, 0);
}

static void test_life_of_a_page(void **state)
{
    (void)state;
    spa_t page;
    frame_t frame;

    give(9);
    assert_pool(1, 0);
    assert_true(pool_take(&pool, &page));
    assert_int_equal(page.raw, 9 * PAGE_SIZE);
    assert_true(host_page_is(page, 0));
    assert_pool(0, 1);
    assert_false(pool_withdraw(&pool, &frame));
    host_page_fill(page, 0x5a);
    assert_int_equal(pool_return(&pool, page), HV_STATUS_SUCCESS);
    assert_pool(1, 0);
    assert_true(pool_withdraw(&pool, &frame));
    assert_int_equal(frame, 9);
    assert_true(host_page_is(frame_spa(9), 0));
    assert_pool(0, 0);
    assert_int_equal(frame_state(&table, 9), FRAME_DEPOSITED);
    assert_int_equal(frame_withdraw(&table, 9, CHILD), HV_STATUS_SUCCESS);
    assert_int_equal(frame_state(&table, 9), FRAME_PARENT);
}

static void test_no_secret_reaches_the_next_user(void **state)
{
    (void)state;
    spa_t page;

    give(3);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(pool_take(&pool, &page));
        assert_true(host_page_is(page, 0));
        host_page_fill(page, 0xc0 + (int)i);
        assert_int_equal(pool_return(&pool, page), HV_STATUS_SUCCESS);
    }
    /* What lies in a free page is at most the link to the next one. */
    const unsigned char *free_page = arch_window_map(frame_spa(3));

    for (unsigned i = sizeof(uint64_t); i < PAGE_SIZE; i++) {
        assert_int_equal(free_page[i], 0);
    }
    arch_window_unmap((void *)(uintptr_t)free_page);
}

static void test_all_pages_come_back(void **state)
{
    (void)state;
    bool seen[FRAMES] = {false};
    spa_t page[FRAMES];
    frame_t frame;

    for (frame_t i = 1; i < FRAMES; i++) {
        give(i);
    }
    for (unsigned i = 0; i < 40; i++) {
        assert_true(pool_take(&pool, &page[i]));
    }
    assert_pool(FRAMES - 1 - 40, 40);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(pool_return(&pool, page[i]), HV_STATUS_SUCCESS);
    }
    for (frame_t i = 1; i < FRAMES; i++) {
        assert_true(pool_withdraw(&pool, &frame));
        assert_in_range(frame, 1, FRAMES - 1);
        assert_false(seen[frame]);
        seen[frame] = true;
        assert_true(host_page_is(frame_spa(frame), 0));
    }
    assert_false(pool_withdraw(&pool, &frame));
    assert_pool(0, 0);
}

static void test_add_refused(void **state)
{
    (void)state;
    assert_int_equal(pool_add(&pool, 5), HV_STATUS_ACCESS_DENIED);
    assert_int_equal(pool_add(&pool, FRAMES), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(frame_deposit(&table, 5, STRANGER), HV_STATUS_SUCCESS);
    assert_int_equal(pool_add(&pool, 5), HV_STATUS_ACCESS_DENIED);
    assert_true(host_page_is(frame_spa(5), GARBAGE));
    give(6);
    assert_int_equal(pool_add(&pool, 6), HV_STATUS_OPERATION_DENIED);
    assert_pool(1, 0);
}

static void test_return_refused(void **state)
{
    (void)state;
    struct pool other;
    spa_t page;

    pool_init(&other, &table, STRANGER);
    give(6);
    assert_int_equal(pool_return(&pool, frame_spa(6)), HV_STATUS_OPERATION_DENIED);
    assert_int_equal(pool_return(&pool, frame_spa(7)), HV_STATUS_ACCESS_DENIED);
    assert_int_equal(pool_return(&pool, frame_spa(FRAMES)), HV_STATUS_INVALID_PARAMETER);
    assert_true(host_page_is(frame_spa(7), GARBAGE));
    assert_true(pool_take(&pool, &page));
    host_page_fill(page, 0x77);
    assert_int_equal(pool_return(&other, page), HV_STATUS_ACCESS_DENIED);
    assert_true(host_page_is(page, 0x77));
    assert_int_equal(pool_return(&pool, page), HV_STATUS_SUCCESS);
    assert_int_equal(pool_return(&pool, page), HV_STATUS_OPERATION_DENIED);
    assert_pool(1, 0);
    assert_int_equal(other.free_pages, 0);
}

static void test_withdrawal_by_number_needs_the_pool(void **state)
{
    (void)state;
    spa_t page;

    give(6);
    give(7);
    assert_true(pool_take(&pool, &page));
    assert_int_equal(frame_withdraw(&table, 6, CHILD), HV_STATUS_OPERATION_DENIED);
    assert_int_equal(frame_withdraw(&table, 7, CHILD), HV_STATUS_OPERATION_DENIED);
    assert_pool(1, 1);
}

/* Puts a link into the first free page, as a device of the parent without an IOMMU could. */
static void overwrite_link(uint64_t link)
{
    uint64_t *page = arch_window_map(frame_spa(pool.first));

    page[0] = link;
    arch_window_unmap(page);
}

static void check_overwritten(uint64_t link)
{
    spa_t page;
    frame_t frame;
    uint64_t left;

    setup(NULL);
    for (frame_t i = 10; i < 14; i++) {
        give(i);
    }
    overwrite_link(link);
    assert_true(pool_take(&pool, &page));
    assert_int_equal(page.raw, 13 * PAGE_SIZE);
    left = pool.free_pages;
    assert_false(pool_take(&pool, &page));
    assert_false(pool_withdraw(&pool, &frame));
    assert_int_equal(pool.lost_pages, left);
    assert_int_equal(left, 3);
    assert_pool(0, 1);
    /* The pool goes on with what it gets from then on. */
    give(20);
    assert_int_equal(pool_return(&pool, frame_spa(13)), HV_STATUS_SUCCESS);
    assert_pool(2, 0);
    assert_true(pool_withdraw(&pool, &frame));
    assert_true(pool_withdraw(&pool, &frame));
    assert_false(pool_withdraw(&pool, &frame));
}

static void test_overwritten_links_are_not_followed(void **state)
{
    (void)state;
    const uint64_t link[] = {
        0,              /* the parent's frame */
        13,             /* the page itself: in use by then */
        FRAMES,         /* no RAM */
        UINT64_MAX,     /* the end, too early */
        UINT64_MAX - 1, /* no RAM at all */
        1ull << 52,
    };

    for (size_t i = 0; i < sizeof(link) / sizeof(link[0]); i++) {
        check_overwritten(link[i]);
    }
    setup(NULL);
    assert_int_equal(frame_deposit(&table, 30, STRANGER), HV_STATUS_SUCCESS);
    give(31);
    give(32);
    overwrite_link(30);
    spa_t page;

    assert_true(pool_take(&pool, &page));
    assert_false(pool_take(&pool, &page));
    assert_int_equal(pool.lost_pages, 1);
}

/* A link that skips pages of the same pool is not noticed before the end, which then is early. */
static void test_skipped_pages_are_counted(void **state)
{
    (void)state;
    spa_t page;

    for (frame_t i = 10; i < 14; i++) {
        give(i);
    }
    overwrite_link(10);
    assert_true(pool_take(&pool, &page));
    assert_true(pool_take(&pool, &page));
    assert_int_equal(page.raw, 10 * PAGE_SIZE);
    assert_false(pool_take(&pool, &page));
    assert_int_equal(pool.lost_pages, 2);
    assert_pool(0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_life_of_a_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_secret_reaches_the_next_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_pages_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_add_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_return_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_withdrawal_by_number_needs_the_pool, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overwritten_links_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_skipped_pages_are_counted, setup, teardown),
    };

    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
