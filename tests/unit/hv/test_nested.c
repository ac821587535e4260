/* SPDX-License-Identifier: MIT */
/* Nested page tables, against a plain array of what every 4 KiB page must translate to. */
#include <stdlib.h>
#include <string.h>

#include "hv/arch.h"
#include "hv/core/nested.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/unit.h"

#define RAM_PAGES 256u
#define RW        (NESTED_WRITE)
#define RWX       (NESTED_WRITE | NESTED_EXECUTE)

/* Intel's format, so that the walker is tested with other bits than AMD's too. */
static const struct nested_format format_ept = {
    .present = 7,
    .table = 7,
    .leaf = 1,
    .large = 1ull << 7,
    .write = 1ull << 1,
    .execute = 1ull << 2,
    .cached = 6ull << 3,
    .accessed = 1ull << 8,
    .dirty = 1ull << 9,
    .address = 0x000ffffffffff000ull,
};

/* Table pages from the machine's RAM; page 0 is never given out. */
struct page_source {
    struct nested_source source;
    bool used[RAM_PAGES];
    unsigned left; /* refuses when it is 0 */
    unsigned out;
    void (*on_take)(void); /* something that happens meanwhile */
};

static struct page_source pages;
static struct nested nested;

static bool source_take(struct nested_source *source, spa_t *page)
{
    struct page_source *from = CONTAINER_OF(source, struct page_source, source);

    if (from->on_take) {
        from->on_take();
    }
    if (from->left == 0) {
        return false;
    }
    for (frame_t frame = 1; frame < RAM_PAGES; frame++) {
        if (!from->used[frame]) {
            from->used[frame] = true;
            from->left--;
            from->out++;
            host_page_fill(frame_spa(frame), 0);
            *page = frame_spa(frame);
            return true;
        }
    }
    fail_msg("the test's memory is too small");
    return false;
}

static void source_give(struct nested_source *source, spa_t page)
{
    struct page_source *to = CONTAINER_OF(source, struct page_source, source);

    assert_true(to->used[spa_frame(page)]);
    to->used[spa_frame(page)] = false;
    to->left++;
    to->out--;
    host_page_fill(page, 0xdb);
}

static void start(const struct nested_format *format, uint64_t largest)
{
    host_memory_init(RAM_PAGES, 0xee);
    pages = (struct page_source){.source = {source_take, source_give}, .left = RAM_PAGES - 1};
    assert_int_equal(nested_init(&nested, format, &pages.source, largest), HV_STATUS_SUCCESS);
}

static int setup(void **state)
{
    (void)state;
    start(&nested_format_npt, SIZE_1G);
    return 0;
}

static int setup_ept(void **state)
{
    (void)state;
    start(&format_ept, SIZE_1G);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pages.on_take = NULL;
    assert_int_equal(nested.table_pages, pages.out);
    assert_true(nested_destroy(&nested, RAM_PAGES));
    assert_int_equal(nested.table_pages, 0);
    assert_int_equal(pages.out, 0);
    assert_true(nested_destroy(&nested, 0));
    host_memory_free();
    return 0;
}

static bool map(uint64_t gpa, uint64_t spa, uint64_t size, uint32_t flags)
{
    struct nested_change change;

    assert_int_equal(
        nested_prepare_map(&nested, gpa_make(gpa), spa_make(spa), size, flags, &change),
        HV_STATUS_SUCCESS);
    bool flush = nested_commit(&change);

    nested_finish(&change);
    return flush;
}

static bool unmap(uint64_t gpa, uint64_t size)
{
    struct nested_change change;

    assert_int_equal(nested_prepare_unmap(&nested, gpa_make(gpa), size, &change),
                     HV_STATUS_SUCCESS);
    bool flush = nested_commit(&change);

    nested_finish(&change);
    return flush;
}

static void assert_maps(uint64_t gpa, uint64_t spa, uint64_t size, uint32_t flags)
{
    struct nested_leaf leaf;

    assert_true(nested_lookup(&nested, gpa_make(gpa), &leaf));
    assert_int_equal(leaf.spa.raw, spa);
    assert_int_equal(leaf.size, size);
    assert_int_equal(leaf.gpa.raw, ALIGN_DOWN(gpa, size));
    assert_int_equal(leaf.base.raw, spa - gpa % size);
    assert_int_equal(leaf.flags, flags);
}

static void assert_maps_to(uint64_t gpa, uint64_t spa, uint32_t flags)
{
    struct nested_leaf leaf;

    assert_true(nested_lookup(&nested, gpa_make(gpa), &leaf));
    assert_int_equal(leaf.spa.raw, spa);
    assert_int_equal(leaf.flags, flags);
}

static void assert_hole(uint64_t gpa, uint64_t size)
{
    struct nested_leaf leaf;

    assert_false(nested_lookup(&nested, gpa_make(gpa), &leaf));
    assert_int_equal(leaf.size, size);
    assert_int_equal(leaf.gpa.raw, ALIGN_DOWN(gpa, size));
}

/* The entry that maps gpa, as the processor finds it. */
static uint64_t *entry_open(uint64_t gpa)
{
    uint64_t table = nested.root.raw;

    for (unsigned shift = 39;; shift -= 9) {
        uint64_t *entries = arch_window_map(spa_make(table));
        uint64_t *entry = &entries[(gpa >> shift) % 512];

        if (shift == 12 || (*entry & nested.format->large) || !(*entry & nested.format->present)) {
            return entry;
        }
        table = *entry & nested.format->address;
        arch_window_unmap(entries);
    }
}

static void entry_close(uint64_t *entry)
{
    arch_window_unmap((void *)ALIGN_DOWN((uintptr_t)entry, PAGE_SIZE));
}

/* What a processor does when it uses a page. */
static void touch(uint64_t gpa, bool write)
{
    uint64_t *entry = entry_open(gpa);

    *entry |= nested.format->accessed | (write ? nested.format->dirty : 0);
    entry_close(entry);
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(nested.table_pages, 1);
    assert_hole(0, 1ull << 39);
    assert_hole((1ull << 48) - 1, 1ull << 39);
    assert_hole(1ull << 48, 1ull << 48);
    assert_hole(UINT64_MAX, 1ull << 48);
    assert_false(unmap(0x1000, SIZE_4K));
    assert_false(unmap(SIZE_2M, SIZE_2M));
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

        map(gpa, 0x40000000, want[i].size, want[i].flags);
        uint64_t *entry = entry_open(gpa);

        assert_int_equal(*entry, want[i].entry | 0x40000000);
        entry_close(entry);
        assert_maps(gpa, 0x40000000, want[i].size, want[i].flags);
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

        map(gpa, 0x40000000, want[i].size, want[i].flags);
        uint64_t *entry = entry_open(gpa);

        assert_int_equal(*entry, want[i].entry | 0x40000000);
        entry_close(entry);
        assert_maps(gpa, 0x40000000, want[i].size, want[i].flags);
    }
    touch(0, true);
    assert_int_equal(nested_harvest(&nested, gpa_make(0), 0, 0), NESTED_ACCESSED | NESTED_DIRTY);
}

static void test_identity_takes_the_largest_pages(void **state)
{
    (void)state;
    assert_int_equal(nested_map_identity(&nested, spa_make(0x1000), 3 * SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    assert_hole(0, SIZE_4K);
    assert_maps(0x1000, 0x1000, SIZE_4K, RWX);
    assert_maps(SIZE_2M - 1, SIZE_2M - 1, SIZE_4K, RWX);
    assert_maps(SIZE_2M, SIZE_2M, SIZE_2M, RWX);
    assert_maps(SIZE_1G, SIZE_1G, SIZE_1G, RWX);
    assert_maps(3 * SIZE_1G - 1, 3 * SIZE_1G - 1, SIZE_1G, RWX);
    assert_maps(3 * SIZE_1G, 3 * SIZE_1G, SIZE_4K, RWX);
    assert_hole(3 * SIZE_1G + 0x1000, SIZE_4K);
    /* root, level 3, and for each ragged end a level 2 and a level 1 */
    assert_int_equal(nested.table_pages, 6);
}

static void test_identity_without_1g_pages(void **state)
{
    (void)state;
    assert_true(nested_destroy(&nested, 1));
    start(&nested_format_npt, SIZE_2M);
    assert_int_equal(nested_map_identity(&nested, spa_make(0), 2 * SIZE_1G, RW), HV_STATUS_SUCCESS);
    assert_maps(SIZE_1G, SIZE_1G, SIZE_2M, RW);
    assert_int_equal(nested.table_pages, 4);
}

static void test_identity_over_older_tables(void **state)
{
    (void)state;
    map(0x5000, 0x9000, SIZE_4K, RW);
    map(SIZE_1G + SIZE_2M, 0, SIZE_2M, RW);
    assert_int_equal(nested_map_identity(&nested, spa_make(0), 2 * SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    assert_maps(0x5000, 0x5000, SIZE_1G, RWX);
    assert_maps(SIZE_1G + SIZE_2M, SIZE_1G + SIZE_2M, SIZE_1G, RWX);
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
    assert_maps(0, 0, SIZE_2M, RW);
    assert_hole(SIZE_2M, SIZE_2M);
    pages.left = RAM_PAGES - 1 - pages.out;
}

static void test_highest_address(void **state)
{
    (void)state;
    uint64_t top = (1ull << 48) - SIZE_2M;

    map(top, 0x200000, SIZE_2M, RW);
    assert_maps((1ull << 48) - 1, 0x3fffff, SIZE_2M, RW);
    assert_true(unmap(top + 0x1000, SIZE_4K));
    assert_hole(top + 0x1000, SIZE_4K);
    assert_maps(top + 0x2000, 0x202000, SIZE_4K, RW);
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
        setup(NULL);
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
        teardown(NULL);
    }
}

static void test_prepare_short_of_memory(void **state)
{
    (void)state;
    check_short_of_memory(true, 3);
    check_short_of_memory(false, 2);
}

static void test_split_1g_to_4k(void **state)
{
    (void)state;
    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, NESTED_EXECUTE),
                     HV_STATUS_SUCCESS);
    assert_true(unmap(SIZE_1G + 0x5000, SIZE_4K));
    for (uint64_t gpa = SIZE_1G; gpa < SIZE_1G + SIZE_2M; gpa += SIZE_4K) {
        if (gpa == SIZE_1G + 0x5000) {
            assert_hole(gpa, SIZE_4K);
        } else {
            assert_maps(gpa, gpa, SIZE_4K, NESTED_EXECUTE);
        }
    }
    for (uint64_t gpa = SIZE_1G + SIZE_2M; gpa < 2 * SIZE_1G; gpa += SIZE_2M) {
        assert_maps(gpa, gpa, SIZE_2M, NESTED_EXECUTE);
    }
    assert_int_equal(nested.table_pages, 4);
}

/* Bit 7 means "large" in a 2 MiB entry and something else in a 4 KiB one. */
static void test_split_entries_are_exact(void **state)
{
    (void)state;
    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    unmap(SIZE_1G, SIZE_4K);
    uint64_t *entry = entry_open(SIZE_1G + 0x3000);

    assert_int_equal(*entry, (SIZE_1G + 0x3000) | 0x7);
    entry_close(entry);
    entry = entry_open(SIZE_1G + SIZE_2M);
    assert_int_equal(*entry, (SIZE_1G + SIZE_2M) | 0x87);
    entry_close(entry);
}

static void test_split_keeps_accessed_and_dirty(void **state)
{
    (void)state;
    const uint32_t used = NESTED_ACCESSED | NESTED_DIRTY;

    map(0, SIZE_1G, SIZE_2M, RW);
    touch(0, true);
    unmap(0, SIZE_4K);
    assert_maps(0x1000, SIZE_1G + 0x1000, SIZE_4K, RW | used);
    assert_maps(SIZE_2M - 1, SIZE_1G + SIZE_2M - 1, SIZE_4K, RW | used);
    map(SIZE_2M, SIZE_1G, SIZE_2M, RW);
    unmap(SIZE_2M, SIZE_4K);
    assert_maps(SIZE_2M + 0x1000, SIZE_1G + 0x1000, SIZE_4K, RW);
}

static void dirty_the_first_page(void)
{
    touch(0, true);
}

/* The processor marks the large page dirty after the split read it: nothing may be lost. */
static void test_split_races_with_the_processor(void **state)
{
    (void)state;
    map(0, SIZE_1G, SIZE_2M, RW);
    pages.on_take = dirty_the_first_page;
    unmap(0, SIZE_4K);
    pages.on_take = NULL;
    assert_maps(0x1000, SIZE_1G + 0x1000, SIZE_4K, RW | NESTED_ACCESSED | NESTED_DIRTY);
    assert_maps(SIZE_2M - SIZE_4K, SIZE_1G + SIZE_2M - SIZE_4K, SIZE_4K,
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
    unmap(SIZE_1G + 0x7000, SIZE_4K);
    unmap(SIZE_1G, SIZE_4K);
    unmap(SIZE_1G + SIZE_2M - SIZE_4K, SIZE_4K);
    touch(SIZE_1G + 0x3000, true);
    assert_int_equal(pages.out, tables + 2);
    assert_false(join(SIZE_1G + 0x5000, SIZE_2M));
    map(SIZE_1G + SIZE_2M - SIZE_4K, SIZE_1G + SIZE_2M - SIZE_4K, SIZE_4K, RWX);
    assert_false(join(SIZE_1G + 0x5000, SIZE_2M));
    map(SIZE_1G, SIZE_1G, SIZE_4K, RWX);
    assert_false(join(SIZE_1G + 0x5000, SIZE_2M));
    map(SIZE_1G + 0x7000, SIZE_1G + 0x7000, SIZE_4K, RWX);
    assert_false(join(SIZE_1G, SIZE_1G)); /* not before its parts */
    assert_true(join(SIZE_1G + 0x5000, SIZE_2M));
    assert_maps(SIZE_1G, SIZE_1G, SIZE_2M, RWX | used);
    assert_false(join(SIZE_1G + 0x5000, SIZE_2M));
    assert_true(join(SIZE_1G + 0x5000, SIZE_1G));
    assert_maps(2 * SIZE_1G - 1, 2 * SIZE_1G - 1, SIZE_1G, RWX | used);
    assert_int_equal(pages.out, tables);
}

/* Pages that are not the parts of one: another order, other rights, an unaligned beginning. */
static void test_join_refused(void **state)
{
    (void)state;
    assert_false(join(0, SIZE_2M)); /* nothing there */
    for (uint64_t gpa = 0; gpa < SIZE_2M; gpa += SIZE_4K) {
        map(gpa, SIZE_1G + SIZE_4K + gpa, SIZE_4K, RWX);
    }
    assert_false(join(0, SIZE_2M));
    for (uint64_t gpa = 0; gpa < SIZE_2M; gpa += SIZE_4K) {
        map(gpa, SIZE_1G + gpa, SIZE_4K, RWX);
    }
    map(0x8000, SIZE_1G + 0x8000, SIZE_4K, RW);
    assert_false(join(0, SIZE_2M));
    map(0x8000, SIZE_1G + 0x9000, SIZE_4K, RWX);
    assert_false(join(0, SIZE_2M));
    map(0x8000, SIZE_1G + 0x8000, SIZE_4K, RWX);
    nested.largest_leaf = SIZE_2M;
    assert_false(join(0, SIZE_1G));
    assert_true(join(0, SIZE_2M));
    assert_false(join(1ull << NESTED_GPA_BITS, SIZE_2M));
}

static unsigned looks;

static void look_at_other_pages(void)
{
    assert_maps_to(SIZE_1G + 0x6000, SIZE_1G + 0x6000, RWX);
    assert_maps_to(SIZE_1G + SIZE_2M, SIZE_1G + SIZE_2M, RWX);
    assert_maps_to(2 * SIZE_1G - 1, 2 * SIZE_1G - 1, RWX);
    looks++;
}

/* Another processor that looks whenever memory may have changed sees its pages all the time. */
static void test_other_pages_stay_mapped(void **state)
{
    (void)state;
    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, RWX),
                     HV_STATUS_SUCCESS);
    host_window_hook = look_at_other_pages;
    unmap(SIZE_1G + 0x5000, SIZE_4K);
    map(SIZE_1G + 0x5000, 0, SIZE_4K, RW);
    map(SIZE_1G + 5 * SIZE_2M, 0, SIZE_2M, RW);
    unmap(SIZE_1G + 5 * SIZE_2M, SIZE_2M);
    host_window_hook = NULL;
    assert_true(looks > 15);
}

static void test_flush_is_asked_for_when_needed(void **state)
{
    (void)state;
    assert_false(map(0x1000, 0x5000, SIZE_4K, RW));
    assert_false(map(0x1000, 0x5000, SIZE_4K, RW));
    touch(0x1000, true);
    assert_false(map(0x1000, 0x5000, SIZE_4K, RW));
    assert_true(map(0x1000, 0x5000, SIZE_4K, 0));
    assert_true(map(0x1000, 0x6000, SIZE_4K, 0));
    assert_true(unmap(0x1000, SIZE_4K));
    assert_false(unmap(0x1000, SIZE_4K));
    assert_false(map(0x1000, 0x6000, SIZE_4K, RW));
    assert_false(map(SIZE_2M, SIZE_2M, SIZE_2M, RW));
    assert_true(map(SIZE_2M + 0x3000, 0, SIZE_4K, RW));
    /* A table, even an empty one, may be cached by the processor. */
    unmap(0x1000, SIZE_4K);
    assert_true(map(0, 0, SIZE_2M, RW));
}

static void test_replaced_table_is_given_back_after_the_flush(void **state)
{
    (void)state;
    struct nested_change change;

    map(0x1000, 0x5000, SIZE_4K, RW);
    unsigned out = pages.out;

    assert_int_equal(
        nested_prepare_map(&nested, gpa_make(0), spa_make(SIZE_2M), SIZE_2M, RWX, &change),
        HV_STATUS_SUCCESS);
    assert_maps(0x1000, 0x5000, SIZE_4K, RW);
    assert_true(nested_commit(&change));
    assert_int_equal(pages.out, out);
    assert_maps(0x1000, SIZE_2M + 0x1000, SIZE_2M, RWX);
    nested_finish(&change);
    assert_int_equal(pages.out, out - 1);
    nested_finish(&change);
    assert_int_equal(pages.out, out - 1);
    map(0, 0x5000, SIZE_4K, RW);
    out = pages.out;
    assert_true(unmap(0, SIZE_2M));
    assert_int_equal(pages.out, out - 1);
    assert_hole(0, SIZE_2M);
}

static void test_prepare_alone_changes_nothing(void **state)
{
    (void)state;
    struct nested_change change;

    map(0, SIZE_1G, SIZE_2M, RWX);
    assert_int_equal(nested_prepare_unmap(&nested, gpa_make(0x3000), SIZE_4K, &change),
                     HV_STATUS_SUCCESS);
    assert_int_equal(
        nested_prepare_map(&nested, gpa_make(SIZE_1G), spa_make(0), SIZE_4K, RW, &change),
        HV_STATUS_SUCCESS);
    for (uint64_t gpa = 0; gpa < SIZE_2M; gpa += SIZE_4K) {
        assert_maps(gpa, SIZE_1G + gpa, SIZE_4K, RWX);
    }
    assert_hole(SIZE_1G, SIZE_4K);
}

static void test_harvest(void **state)
{
    (void)state;
    const uint32_t both = NESTED_ACCESSED | NESTED_DIRTY;

    map(0x1000, 0x5000, SIZE_4K, RW);
    map(SIZE_2M, SIZE_2M, SIZE_2M, RW);
    assert_int_equal(nested_map_identity(&nested, spa_make(SIZE_1G), SIZE_1G, RW),
                     HV_STATUS_SUCCESS);
    const uint64_t at[] = {0x1000, SIZE_2M + 0x7000, SIZE_1G + 5 * SIZE_2M};

    for (size_t i = 0; i < ARRAY_COUNT(at); i++) {
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), both, 0), 0);
        touch(at[i], false);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), 0, 0), NESTED_ACCESSED);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), both, 0), NESTED_ACCESSED);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), both, 0), 0);
        touch(at[i], true);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), NESTED_DIRTY, 0), both);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), NESTED_DIRTY, 0),
                         NESTED_ACCESSED);
        assert_int_equal(nested_harvest(&nested, gpa_make(at[i]), both, 0), NESTED_ACCESSED);
    }
    assert_maps(0x1000, 0x5000, SIZE_4K, RW);
    assert_maps(SIZE_2M + 0x7000, SIZE_2M + 0x7000, SIZE_2M, RW);
}

static void test_destroy_in_steps(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        map(i * SIZE_1G, 0, SIZE_4K, RW);
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

    map(0x3000, 0, SIZE_4K, RW);
    map(SIZE_1G, 0, SIZE_2M, RW);
    map(1ull << 45, 0, SIZE_4K, RW);
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
        map(gpa, to, size, how);
    } else {
        unmap(gpa, size);
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
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory_for_the_root, setup, teardown),
        cmocka_unit_test_setup_teardown(test_npt_entry_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ept_entry_bits, setup_ept, teardown),
        cmocka_unit_test_setup_teardown(test_identity_takes_the_largest_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity_without_1g_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity_over_older_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_highest_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prepare_refused, setup, teardown),
        cmocka_unit_test(test_prepare_short_of_memory),
        cmocka_unit_test_setup_teardown(test_split_1g_to_4k, setup, teardown),
        cmocka_unit_test_setup_teardown(test_split_entries_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_split_keeps_accessed_and_dirty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_split_races_with_the_processor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_join, setup, teardown),
        cmocka_unit_test_setup_teardown(test_join, setup_ept, teardown),
        cmocka_unit_test_setup_teardown(test_join_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_pages_stay_mapped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_is_asked_for_when_needed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_table_is_given_back_after_the_flush, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_prepare_alone_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_harvest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroy_in_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stepping_visits_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_changes, setup, teardown),
    };

    return cmocka_run_group_tests_name("nested", tests, NULL, NULL);
}
