/* SPDX-License-Identifier: MIT */
/* Nested page tables, against a plain array of what every 4 KiB page must translate to. */
#include <string.h>

#include "hv/arch.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_nested.h"

#define RW  NESTED_WRITE
#define RWX (NESTED_WRITE | NESTED_EXECUTE)

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(nested.table_pages, 1);
    host_nested_hole(0, 1ull << 39);
    host_nested_hole((1ull << 48) - 1, 1ull << 39);
    host_nested_hole(1ull << 48, 1ull << 48);
    host_nested_hole(UINT64_MAX, 1ull << 48);
    assert_false(host_nested_unmap(0x1000, SIZE_4K));
    assert_false(host_nested_unmap(SIZE_2M, SIZE_2M));
    assert_int_equal(nested_harvest(&nested, gpa_make(0), NESTED_DIRTY, 0), 0);
    assert_int_equal(nested.table_pages, 1);
}

static void test_no_memory_for_the_root(void **state)
{
    (void)state;
    struct nested none;

    pages.left = 0;
    assert_int_equal(nested_init(&none, &nested_format_npt, &pages.source, SIZE_1G),
                     HV_STATUS_INSUFFICIENT_MEMORY);
    assert_true(nested_destroy(&none, 1));
}

static void test_npt_entry_bits(void **state)
{
    (void)state;
    const struct {
        uint32_t flags;
        uint64_t size, entry;
    } want[] = {
        {0, SIZE_4K, 0x8000000000000005ull},
        {RW, SIZE_4K, 0x8000000000000007ull},
        {NESTED_EXECUTE, SIZE_4K, 0x5},
        {RWX, SIZE_4K, 0x7},
        {RW | NESTED_UNCACHED, SIZE_4K, 0x800000000000001full},
        {RWX, SIZE_2M, 0x87},
        {0, SIZE_2M, 0x8000000000000085ull},
    };

    for (size_t i = 0; i < ARRAY_COUNT(want); i++) {
        uint64_t gpa = i * SIZE_2M;

        host_nested_map(gpa, 0x40000000, want[i].size, want[i].flags);
        uint64_t *entry = host_nested_entry_open(gpa);

        assert_int_equal(*entry, want[i].entry | 0x40000000);
        host_nested_entry_close(entry);
        host_nested_maps(gpa, 0x40000000, want[i].size, want[i].flags);
    }
    uint64_t *root = arch_window_map(nested.root);

    assert_int_equal(root[0] & ~nested_format_npt.address, 0x7);
    arch_window_unmap(root);
}

static void test_ept_entry_bits(void **state)
{
    (void)state;
    const struct {
        uint32_t flags;
        uint64_t size, entry;
    } want[] = {
        {0, SIZE_4K, 0x31},   {RW, SIZE_4K, 0x33},
        {RWX, SIZE_4K, 0x37}, {RW | NESTED_UNCACHED, SIZE_4K, 0x03},
        {RWX, SIZE_2M, 0xb7}, {NESTED_EXECUTE, SIZE_2M, 0xb5},
    };

    for (size_t i = 0; i < ARRAY_COUNT(want); i++) {
        uint64_t gpa = i * SIZE_2M;

        host_nested_map(gpa, 0x40000000, want[i].size, want[i].flags);
        uint64_t *entry = host_nested_entry_open(gpa);

        assert_int_equal(*entry, want[i].entry | 0x40000000);
        host_nested_entry_close(entry);
        host_nested_maps(gpa, 0x40000000, want[i].size, want[i].flags);
    }
    host_nested_touch(0, true);
    assert_int_equal(nested_harvest(&nested, gpa_make(0), 0, 0), NESTED_ACCESSED | NESTED_DIRTY);
}

static void test_identity_takes_the_largest_pages(void **state)
{
    (void)state;
    assert_int_equal(nested_map_identity(&nested, spa_make(0x1000), 3 * SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    host_nested_hole(0, SIZE_4K);
    host_nested_maps(0x1000, 0x1000, SIZE_4K, RWX);
    host_nested_maps(SIZE_2M - 1, SIZE_2M - 1, SIZE_4K, RWX);
    host_nested_maps(SIZE_2M, SIZE_2M, SIZE_2M, RWX);
    host_nested_maps(SIZE_1G, SIZE_1G, SIZE_1G, RWX);
    host_nested_maps(3 * SIZE_1G - 1, 3 * SIZE_1G - 1, SIZE_1G, RWX);
    host_nested_maps(3 * SIZE_1G, 3 * SIZE_1G, SIZE_4K, RWX);
    host_nested_hole(3 * SIZE_1G + 0x1000, SIZE_4K);
    /* root, level 3, and for each ragged end a level 2 and a level 1 */
    assert_int_equal(nested.table_pages, 6);
}

static void test_identity_without_1g_pages(void **state)
{
    (void)state;
    assert_true(nested_destroy(&nested, 1));
    host_nested_start(&nested_format_npt, SIZE_2M);
    assert_int_equal(nested_map_identity(&nested, spa_make(0), 2 * SIZE_1G, RW), HV_STATUS_SUCCESS);
    host_nested_maps(SIZE_1G, SIZE_1G, SIZE_2M, RW);
    assert_int_equal(nested.table_pages, 4);
}

static void test_identity_over_older_tables(void **state)
{
    (void)state;
    host_nested_map(0x5000, 0x9000, SIZE_4K, RW);
    host_nested_map(SIZE_1G + SIZE_2M, 0, SIZE_2M, RW);
    assert_int_equal(nested_map_identity(&nested, spa_make(0), 2 * SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    host_nested_maps(0x5000, 0x5000, SIZE_1G, RWX);
    host_nested_maps(SIZE_1G + SIZE_2M, SIZE_1G + SIZE_2M, SIZE_1G, RWX);
    assert_int_equal(nested.table_pages, 2);
}

static void test_identity_refused(void **state)
{
    (void)state;
    const uint64_t bad[][2] = {
        {1, SIZE_4K},
        {0, SIZE_4K + 1},
        {1ull << 48, SIZE_4K},
        {0, (1ull << 48) + SIZE_4K},
        {SIZE_4K, UINT64_MAX - SIZE_4K + 1},
        {UINT64_MAX - 0xfff, 0x1000},
    };

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(nested_map_identity(&nested, spa_make(bad[i][0]), bad[i][1], RW),
                         HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(nested.table_pages, 1);
    pages.left = 2;
    assert_int_equal(nested_map_identity(&nested, spa_make(0), SIZE_2M + SIZE_4K, RW),
                     HV_STATUS_INSUFFICIENT_MEMORY);
    host_nested_maps(0, 0, SIZE_2M, RW);
    host_nested_hole(SIZE_2M, SIZE_2M);
    pages.left = HOST_NESTED_PAGES - 1 - pages.out;
}

static void test_highest_address(void **state)
{
    (void)state;
    uint64_t top = (1ull << 48) - SIZE_2M;

    host_nested_map(top, 0x200000, SIZE_2M, RW);
    host_nested_maps((1ull << 48) - 1, 0x3fffff, SIZE_2M, RW);
    assert_true(host_nested_unmap(top + 0x1000, SIZE_4K));
    host_nested_hole(top + 0x1000, SIZE_4K);
    host_nested_maps(top + 0x2000, 0x202000, SIZE_4K, RW);
}

static void test_prepare_refused(void **state)
{
    (void)state;
    struct nested_change change;
    const struct {
        uint64_t gpa, spa, size;
        enum hv_status status;
    } bad[] = {
        {0, 0, 0, HV_STATUS_INVALID_PARAMETER},
        {0, 0, SIZE_1G, HV_STATUS_INVALID_PARAMETER},
        {0, 0, 0x3000, HV_STATUS_INVALID_PARAMETER},
        {0x800, 0, SIZE_4K, HV_STATUS_INVALID_ALIGNMENT},
        {0, 1, SIZE_4K, HV_STATUS_INVALID_ALIGNMENT},
        {SIZE_4K, 0, SIZE_2M, HV_STATUS_INVALID_ALIGNMENT},
        {0, SIZE_4K, SIZE_2M, HV_STATUS_INVALID_ALIGNMENT},
        {1ull << 48, 0, SIZE_4K, HV_STATUS_INVALID_PARAMETER},
        {1ull << 63, 0, SIZE_2M, HV_STATUS_INVALID_PARAMETER},
        {0, 1ull << 52, SIZE_4K, HV_STATUS_INVALID_PARAMETER},
        {0, 1ull << 63, SIZE_4K, HV_STATUS_INVALID_PARAMETER},
    };

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(nested_prepare_map(&nested, gpa_make(bad[i].gpa), spa_make(bad[i].spa),
                                            bad[i].size, RW, &change),
                         bad[i].status);
        assert_false(nested_commit(&change));
        nested_finish(&change);
    }
    assert_int_equal(nested_prepare_unmap(&nested, gpa_make(1), SIZE_4K, &change),
                     HV_STATUS_INVALID_ALIGNMENT);
    assert_int_equal(nested_prepare_unmap(&nested, gpa_make(0), SIZE_1G, &change),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(nested_prepare_unmap(&nested, gpa_make(1ull << 48), SIZE_2M, &change),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(nested.table_pages, 1);
}

/* For every number of pages the source still has: either all works, or nothing has changed. */
static void check_short_of_memory(bool mapping, unsigned need)
{
    struct nested_change change;

    for (unsigned left = 0; left <= need; left++) {
        host_nested_setup(NULL);
        assert_int_equal(nested_map_identity(&nested, spa_make(0), SIZE_1G, RWX),
                         HV_STATUS_SUCCESS);
        pages.left = left;
        uint64_t gpa = mapping ? 1ull << 40 : 0x5000;
        enum hv_status status =
            mapping
                ? nested_prepare_map(&nested, gpa_make(gpa), spa_make(0x9000), SIZE_4K, RW, &change)
                : nested_prepare_unmap(&nested, gpa_make(gpa), SIZE_4K, &change);

        assert_int_equal(status, left < need ? HV_STATUS_INSUFFICIENT_MEMORY : HV_STATUS_SUCCESS);
        struct nested_leaf leaf;

        assert_int_equal(nested_lookup(&nested, gpa_make(gpa), &leaf), !mapping);
        for (uint64_t at = 0; at < SIZE_1G; at += SIZE_2M + SIZE_4K) {
            assert_true(nested_lookup(&nested, gpa_make(at), &leaf));
            assert_int_equal(leaf.spa.raw, at);
            assert_int_equal(leaf.flags, RWX);
        }
        pages.left = 100;
        host_nested_teardown(NULL);
    }
}

static void test_prepare_short_of_memory(void **state)
{
    (void)state;
    check_short_of_memory(true, 3);
    check_short_of_memory(false, 2);
}

static void test_harvest(void **state)
{
    (void)state;
    const uint32_t both = NESTED_ACCESSED | NESTED_DIRTY;

    host_nested_map(0x1000, 0x5000, SIZE_4K, RW);
    host_nested_map(SIZE_2M, SIZE_2M, SIZE_2M, RW);
    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, RW),
                     HV_STATUS_SUCCESS);
    const uint64_t at[] = {0x1000, SIZE_2M + 0x7000, SIZE_1G + 5 * SIZE_2M};

    for (size_t i = 0; i < ARRAY_COUNT(at); i++) {
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), both, 0), 0);
        host_nested_touch(at[i], false);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), 0, 0), NESTED_ACCESSED);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), both, 0), NESTED_ACCESSED);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), both, 0), 0);
        host_nested_touch(at[i], true);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), NESTED_DIRTY, 0), both);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), NESTED_DIRTY, 0),
                         NESTED_ACCESSED);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), both, 0), NESTED_ACCESSED);
    }
    host_nested_maps(0x1000, 0x5000, SIZE_4K, RW);
    host_nested_maps(SIZE_2M + 0x7000, SIZE_2M + 0x7000, SIZE_2M, RW);
}

static void test_destroy_in_steps(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        host_nested_map(i * SIZE_1G, 0, SIZE_4K, RW);
    }
    unsigned out = pages.out;

    assert_int_equal(out, 42);
    assert_false(nested_destroy(&nested, 0));
    assert_int_equal(pages.out, out);
    while (out > 5) {
        assert_false(nested_destroy(&nested, 5));
        assert_int_equal(pages.out, out - 5);
        out = pages.out;
    }
    assert_false(nested_destroy(&nested, out - 1));
    assert_int_equal(pages.out, 1);
}

/* A visit of everything by steps of lookup finds each page once. */
static void test_stepping_visits_everything(void **state)
{
    (void)state;
    struct nested_leaf leaf;
    uint64_t found = 0;
    unsigned steps = 0;

    host_nested_map(0x3000, 0, SIZE_4K, RW);
    host_nested_map(SIZE_1G, 0, SIZE_2M, RW);
    host_nested_map(1ull << 45, 0, SIZE_4K, RW);
    assert_int_equal(nested_map_identity(&nested, spa_make(5 * SIZE_1G), SIZE_1G, RW),
                     HV_STATUS_SUCCESS);
    for (uint64_t gpa = 0; gpa < 1ull << 48; gpa = leaf.gpa.raw + leaf.size) {
        if (nested_lookup(&nested, gpa_make(gpa), &leaf)) {
            found += leaf.size;
        }
        steps++;
    }
    assert_int_equal(found, 2 * SIZE_4K + SIZE_2M + SIZE_1G);
    assert_true(steps < 10 * 512);
}

#define MODEL_PAGES 2048u /* four 2 MiB regions */

/* One random step on four 2 MiB regions and on the array that says what they translate to. */
static void random_step(uint64_t *random, uint64_t spa[MODEL_PAGES], uint32_t flags[MODEL_PAGES])
{
    uint64_t size = random_next(random) % 8 ? SIZE_4K : SIZE_2M;
    uint64_t gpa = random_next(random) % (4 * SIZE_2M) / size * size;
    uint64_t to = random_next(random) % SIZE_1G / size * size;
    uint32_t how = (uint32_t)(random_next(random) % 8);
    bool mapping = random_next(random) % 3 != 0;

    if (mapping) {
        host_nested_map(gpa, to, size, how);
    } else {
        host_nested_unmap(gpa, size);
    }
    for (uint64_t i = 0; i < size / SIZE_4K; i++) {
        spa[gpa / SIZE_4K + i] = mapping ? to + i * SIZE_4K : UINT64_MAX;
        flags[gpa / SIZE_4K + i] = how;
    }
}

static void test_random_changes(void **state)
{
    (void)state;
    static uint64_t spa[MODEL_PAGES];
    static uint32_t flags[MODEL_PAGES];
    uint64_t random = 99;
    struct nested_leaf leaf;

    memset(spa, 0xff, sizeof(spa));
    for (unsigned step = 0; step < 2000; step++) {
        random_step(&random, spa, flags);
        for (uint64_t i = step % 7; i < MODEL_PAGES; i += 7) {
            bool mapped = nested_lookup(&nested, gpa_make(i * SIZE_4K + 0x123), &leaf);

            assert_int_equal(mapped, spa[i] != UINT64_MAX);
            if (mapped) {
                assert_int_equal(leaf.spa.raw, spa[i] + 0x123);
                assert_int_equal(leaf.flags, flags[i]);
            }
        }
        assert_int_equal(nested.table_pages, pages.out);
        assert_true(host_windows_closed());
    }
    assert_true(nested.table_pages <= 3 + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, host_nested_setup, host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_no_memory_for_the_root, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_npt_entry_bits, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_ept_entry_bits, host_nested_setup_ept,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_identity_takes_the_largest_pages, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_identity_without_1g_pages, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_identity_over_older_tables, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_identity_refused, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_highest_address, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_prepare_refused, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test(test_prepare_short_of_memory),
        cmocka_unit_test_setup_teardown(test_harvest, host_nested_setup, host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_destroy_in_steps, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_stepping_visits_everything, host_nested_setup,
                                        host_nested_teardown),
        cmocka_unit_test_setup_teardown(test_random_changes, host_nested_setup,
                                        host_nested_teardown),
    };

    return cmocka_run_group_tests_name("nested", tests, NULL, NULL);
}
