/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables while they are in use: what is split and joined, and what others see
 * meanwhile.
 */
#include "hv/arch.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_nested.h"

#define RW  NESTED_WRITE
#define RWX (NESTED_WRITE | NESTED_EXECUTE)

static void test_split_1g_to_4k(void **state)
{
    (void)state;
    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, NESTED_EXECUTE),
                     HV_STATUS_SUCCESS);
    assert_true(host_nested_unmap(SIZE_1G + 0x5000, SIZE_4K));
    for (uint64_t gpa = SIZE_1G; gpa < SIZE_1G + SIZE_2M; gpa += SIZE_4K) {
        if (gpa == SIZE_1G + 0x5000) {
            host_nested_hole(gpa, SIZE_4K);
        } else {
            host_nested_maps(gpa, gpa, SIZE_4K, NESTED_EXECUTE);
        }
    }
    for (uint64_t gpa = SIZE_1G + SIZE_2M; gpa < 2 * SIZE_1G; gpa += SIZE_2M) {
        host_nested_maps(gpa, gpa, SIZE_2M, NESTED_EXECUTE);
    }
    assert_int_equal(nested.table_pages, 4);
}

/* Bit 7 means "large" in a 2 MiB entry and something else in a 4 KiB one. */
static void test_split_entries_are_exact(void **state)
{
    (void)state;
    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    host_nested_unmap(SIZE_1G, SIZE_4K);
    uint64_t *entry = host_nested_entry_open(SIZE_1G + 0x3000);

    assert_int_equal(*entry, (SIZE_1G + 0x3000) | 0x7);
    host_nested_entry_close(entry);
    entry = host_nested_entry_open(SIZE_1G + SIZE_2M);
    assert_int_equal(*entry, (SIZE_1G + SIZE_2M) | 0x87);
    host_nested_entry_close(entry);
}

static void test_split_keeps_accessed_and_dirty(void **state)
{
    (void)state;
    const uint32_t used = NESTED_ACCESSED | NESTED_DIRTY;

    host_nested_map(0, SIZE_1G, SIZE_2M, RW);
    host_nested_touch(0, true);
    host_nested_unmap(0, SIZE_4K);
    host_nested_maps(0x1000, SIZE_1G + 0x1000, SIZE_4K, RW | used);
    host_nested_maps(SIZE_2M - 1, SIZE_1G + SIZE_2M - 1, SIZE_4K, RW | used);
    host_nested_map(SIZE_2M, SIZE_1G, SIZE_2M, RW);
    host_nested_unmap(SIZE_2M, SIZE_4K);
    host_nested_maps(SIZE_2M + 0x1000, SIZE_1G + 0x1000, SIZE_4K, RW);
}

static void dirty_the_first_page(void)
{
    host_nested_touch(0, true);
}

/* The processor marks the large page dirty after the split read it: nothing may be lost. */
static void test_split_races_with_the_processor(void **state)
{
    (void)state;
    host_nested_map(0, SIZE_1G, SIZE_2M, RW);
    pages.on_take = dirty_the_first_page;
    host_nested_unmap(0, SIZE_4K);
    pages.on_take = NULL;
    host_nested_maps(0x1000, SIZE_1G + 0x1000, SIZE_4K, RW | NESTED_ACCESSED | NESTED_DIRTY);
    host_nested_maps(SIZE_2M - SIZE_4K, SIZE_1G + SIZE_2M - SIZE_4K, SIZE_4K,
                     RW | NESTED_ACCESSED | NESTED_DIRTY);
}

/* True: joined, and the table is given back. */
static bool join(uint64_t gpa, uint64_t size)
{
    const unsigned tables = pages.out;
    struct nested_change change;

    if (!nested_prepare_join(&nested, gpa_make(gpa), size, &change)) {
        assert_int_equal(pages.out, tables);
        return false;
    }
    assert_true(nested_commit(&change)); /* processors have cached the way */
    assert_int_equal(pages.out, tables);
    nested_finish(&change);
    assert_int_equal(pages.out, tables - 1);
    return true;
}

/* What a deposit split becomes whole again when all has come back. */
static void test_join(void **state)
{
    (void)state;
    const uint32_t used = NESTED_ACCESSED | NESTED_DIRTY;

    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    const unsigned tables = pages.out;

    assert_false(join(SIZE_1G, SIZE_1G)); /* whole already */
    host_nested_unmap(SIZE_1G + 0x7000, SIZE_4K);
    host_nested_unmap(SIZE_1G, SIZE_4K);
    host_nested_unmap(SIZE_1G + SIZE_2M - SIZE_4K, SIZE_4K);
    host_nested_touch(SIZE_1G + 0x3000, true);
    assert_int_equal(pages.out, tables + 2);
    assert_false(join(SIZE_1G + 0x5000, SIZE_2M));
    host_nested_map(SIZE_1G + SIZE_2M - SIZE_4K, SIZE_1G + SIZE_2M - SIZE_4K, SIZE_4K, RWX);
    assert_false(join(SIZE_1G + 0x5000, SIZE_2M));
    host_nested_map(SIZE_1G, SIZE_1G, SIZE_4K, RWX);
    assert_false(join(SIZE_1G + 0x5000, SIZE_2M));
    host_nested_map(SIZE_1G + 0x7000, SIZE_1G + 0x7000, SIZE_4K, RWX);
    assert_false(join(SIZE_1G, SIZE_1G)); /* not before its parts */
    assert_true(join(SIZE_1G + 0x5000, SIZE_2M));
    host_nested_maps(SIZE_1G, SIZE_1G, SIZE_2M, RWX | used);
    assert_false(join(SIZE_1G + 0x5000, SIZE_2M));
    assert_true(join(SIZE_1G + 0x5000, SIZE_1G));
    host_nested_maps(2 * SIZE_1G - 1, 2 * SIZE_1G - 1, SIZE_1G, RWX | used);
    assert_int_equal(pages.out, tables);
}

/* Pages that are not the parts of one: another order, other rights, an unaligned beginning. */
static void test_join_refused(void **state)
{
    (void)state;
    assert_false(join(0, SIZE_2M)); /* nothing there */
    for (uint64_t gpa = 0; gpa < SIZE_2M; gpa += SIZE_4K) {
        host_nested_map(gpa, SIZE_1G + SIZE_4K + gpa, SIZE_4K, RWX);
    }
    assert_false(join(0, SIZE_2M));
    for (uint64_t gpa = 0; gpa < SIZE_2M; gpa += SIZE_4K) {
        host_nested_map(gpa, SIZE_1G + gpa, SIZE_4K, RWX);
    }
    host_nested_map(0x8000, SIZE_1G + 0x8000, SIZE_4K, RW);
    assert_false(join(0, SIZE_2M));
    host_nested_map(0x8000, SIZE_1G + 0x9000, SIZE_4K, RWX);
    assert_false(join(0, SIZE_2M));
    host_nested_map(0x8000, SIZE_1G + 0x8000, SIZE_4K, RWX);
    nested.largest_leaf = SIZE_2M;
    assert_false(join(0, SIZE_1G));
    assert_true(join(0, SIZE_2M));
    assert_false(join(1ull << NESTED_GPA_BITS, SIZE_2M));
}

static unsigned looks;

static void look_at_other_pages(void)
{
    host_nested_maps_to(SIZE_1G + 0x6000, SIZE_1G + 0x6000, RWX);
    host_nested_maps_to(SIZE_1G + SIZE_2M, SIZE_1G + SIZE_2M, RWX);
    host_nested_maps_to(2 * SIZE_1G - 1, 2 * SIZE_1G - 1, RWX);
    looks++;
}

/* Another processor that looks whenever memory may have changed sees its pages all the time. */
static void test_other_pages_stay_mapped(void **state)
{
    (void)state;
    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    host_window_hook = look_at_other_pages;
    host_nested_unmap(SIZE_1G + 0x5000, SIZE_4K);
    host_nested_map(SIZE_1G + 0x5000, 0, SIZE_4K, RW);
    host_nested_map(SIZE_1G + 5 * SIZE_2M, 0, SIZE_2M, RW);
    host_nested_unmap(SIZE_1G + 5 * SIZE_2M, SIZE_2M);
    host_window_hook = NULL;
    assert_true(looks > 15);
}

static void test_flush_is_asked_for_when_needed(void **state)
{
    (void)state;
    assert_false(host_nested_map(0x1000, 0x5000, SIZE_4K, RW));
    assert_false(host_nested_map(0x1000, 0x5000, SIZE_4K, RW));
    host_nested_touch(0x1000, true);
    assert_false(host_nested_map(0x1000, 0x5000, SIZE_4K, RW));
    assert_true(host_nested_map(0x1000, 0x5000, SIZE_4K, 0));
    assert_true(host_nested_map(0x1000, 0x6000, SIZE_4K, 0));
    assert_true(host_nested_unmap(0x1000, SIZE_4K));
    assert_false(host_nested_unmap(0x1000, SIZE_4K));
    assert_false(host_nested_map(0x1000, 0x6000, SIZE_4K, RW));
    assert_false(host_nested_map(SIZE_2M, SIZE_2M, SIZE_2M, RW));
    assert_true(host_nested_map(SIZE_2M + 0x3000, 0, SIZE_4K, RW));
    /* A table, even an empty one, may be cached by the processor. */
    host_nested_unmap(0x1000, SIZE_4K);
    assert_true(host_nested_map(0, 0, SIZE_2M, RW));
}

static void test_replaced_table_is_given_back_after_the_flush(void **state)
{
    (void)state;
    struct nested_change change;

    host_nested_map(0x1000, 0x5000, SIZE_4K, RW);
    unsigned out = pages.out;

    assert_int_equal(
        nested_prepare_map(&nested, gpa_make(0), spa_make(SIZE_2M), SIZE_2M, RWX, &change),
        HV_STATUS_SUCCESS);
    host_nested_maps(0x1000, 0x5000, SIZE_4K, RW);
    assert_true(nested_commit(&change));
    assert_int_equal(pages.out, out);
    host_nested_maps(0x1000, SIZE_2M + 0x1000, SIZE_2M, RWX);
    nested_finish(&change);
    assert_int_equal(pages.out, out - 1);
    nested_finish(&change);
    assert_int_equal(pages.out, out - 1);
    host_nested_map(0, 0x5000, SIZE_4K, RW);
    out = pages.out;
    assert_true(host_nested_unmap(0, SIZE_2M));
    assert_int_equal(pages.out, out - 1);
    host_nested_hole(0, SIZE_2M);
}

static void test_prepare_alone_changes_nothing(void **state)
{
    (void)state;
    struct nested_change change;

    host_nested_map(0, SIZE_1G, SIZE_2M, RWX);
    assert_int_equal(nested_prepare_unmap(&nested, gpa_make(0x3000), SIZE_4K, &change),
                     HV_STATUS_SUCCESS);
    assert_int_equal(
        nested_prepare_map(&nested, gpa_make(SIZE_1G), spa_make(0), SIZE_4K, RW, &change),
        HV_STATUS_SUCCESS);
    for (uint64_t gpa = 0; gpa < SIZE_2M; gpa += SIZE_4K) {
        host_nested_maps(gpa, SIZE_1G + gpa, SIZE_4K, RWX);
    }
    host_nested_hole(SIZE_1G, SIZE_4K);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_split_1g_to_4k, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_split_entries_are_exact, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_split_keeps_accessed_and_dirty, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_split_races_with_the_processor, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_join, host_nested_setup, host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_join, host_nested_setup_ept, host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_join_refused, host_nested_setup, host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_other_pages_stay_mapped, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_flush_is_asked_for_when_needed, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_replaced_table_is_given_back_after_the_flush,
                                        host_nested_setup, host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_prepare_alone_changes_nothing, host_nested_setup,
                                        host_nested_teardown),
    };

    return cmocka_run_group_tests_name("nested_change", tests, NULL, NULL);
}
