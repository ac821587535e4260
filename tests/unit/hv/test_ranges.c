/* SPDX-License-Identifier: MIT */
/* The memory map: overlaps, splits, limits, places; at random against a map with a byte a page. */
#include "hv/x86/boot/ranges.h"

#include <string.h>

#include "tests/unit/hv/unit.h"

#define RAM      BOOT_RANGE_RAM
#define RESERVED BOOT_RANGE_RESERVED
#define ACPI     BOOT_RANGE_ACPI
#define K        1024ull
#define M        (1024 * K)
#define G        (1024 * M)

static struct boot_info boot;
static struct ranges ranges;

static int setup(void **state)
{
    (void)state;
    memset(&boot, 0, sizeof boot);
    memset(&ranges, 0xee, sizeof ranges);
    return 0;
}

static void add(uint64_t base, uint64_t size, uint32_t type)
{
    boot.range[boot.range_count++] = (struct boot_range){base, size, type};
}

static void init(void)
{
    assert_true(ranges_init(&ranges, &boot));
}

/* What the list says of an address: 0 where it says nothing. RAM must be said once only. */
static uint32_t type_at(uint64_t address)
{
    uint32_t type = 0;
    unsigned rams = 0, others = 0;

    for (unsigned i = 0; i < ranges.count; i++) {
        const struct boot_range *range = &ranges.range[i];

        if (address < range->base || address - range->base >= range->size) {
            continue;
        }
        type = range->type == RAM && others ? type : range->type;
        rams += range->type == RAM;
        others += range->type != RAM;
    }
    assert_true(rams == 0 || (rams == 1 && others == 0));
    return type;
}

static void check_form(void)
{
    for (unsigned i = 0; i < ranges.count; i++) {
        const struct boot_range *range = &ranges.range[i];

        assert_true(range->size != 0);
        assert_true(i == 0 || ranges.range[i - 1].base <= range->base);
        if (range->type == RAM) {
            assert_int_equal(range->base % PAGE_SIZE, 0);
            assert_int_equal(range->size % PAGE_SIZE, 0);
        }
    }
}

/* A PC of 4 GiB. */
static void add_pc(void)
{
    add(0, 0x9fc00, RAM);
    add(0x9fc00, 0x400, RESERVED);
    add(0xf0000, 0x10000, RESERVED);
    add(1 * M, 3 * G - 1 * M - 128 * K, RAM);
    add(3 * G - 128 * K, 128 * K, ACPI);
    add(0xfffc0000, 256 * K, RESERVED);
    add(4 * G, 1 * G, RAM);
}

static void test_pc(void **state)
{
    (void)state;
    add_pc();
    init();
    check_form();
    assert_int_equal(type_at(0x9efff), RAM);
    assert_int_equal(type_at(0x9f000), 0); /* the page that is reserved in part is not RAM */
    assert_int_equal(type_at(0x9fc00), RESERVED);
    assert_int_equal(type_at(5 * G - 1), RAM);
    assert_int_equal(type_at(5 * G), 0);
    assert_int_equal(ranges_ram_bytes(&ranges), 0x9f000 + 3 * G - 1 * M - 128 * K + 1 * G);
    assert_int_equal(ranges_ram_end(&ranges), 5 * G);
}

static void test_empty(void **state)
{
    (void)state;
    uint64_t base;

    init();
    assert_int_equal(ranges.count, 0);
    assert_int_equal(ranges_ram_bytes(&ranges), 0);
    assert_int_equal(ranges_ram_end(&ranges), 0);
    assert_false(ranges_find(&ranges, RANGES_LOW, 1, 1, 0, UINT64_MAX, &base));
    assert_false(ranges_find(&ranges, RANGES_HIGH, 1, 1, 0, UINT64_MAX, &base));
    assert_true(ranges_retype(&ranges, 0, G, RESERVED));
    assert_true(ranges_limit_ram(&ranges, 0, RESERVED));
    assert_int_equal(ranges.count, 0);
}

static void test_order_and_overlap(void **state)
{
    (void)state;
    add(4 * G, 1 * G, RAM);
    add(0, 2 * G, RAM);
    add(1 * G, 1 * M, ACPI);
    add(2 * G - 1 * M, 4 * M, RESERVED);
    add(4 * G - 1 * M, 2 * M, RESERVED);
    init();
    check_form();
    assert_int_equal(type_at(1 * G - 1), RAM);
    assert_int_equal(type_at(1 * G), ACPI);
    assert_int_equal(type_at(1 * G + 1 * M), RAM);
    assert_int_equal(type_at(2 * G - 1 * M), RESERVED);
    assert_int_equal(type_at(4 * G), RESERVED);
    assert_int_equal(type_at(4 * G + 1 * M), RAM);
    assert_int_equal(ranges_ram_bytes(&ranges), 2 * G - 2 * M + 1 * G - 1 * M);
}

/* RAM named twice is counted once. */
static void test_ram_over_ram(void **state)
{
    (void)state;
    add(1 * G, 1 * G, RAM);
    add(1 * G, 1 * G, RAM);
    add(1 * G + 512 * M, 1 * G, RAM);
    add(1 * G + 1 * M, 1 * M, RAM);
    init();
    check_form();
    assert_int_equal(ranges_ram_bytes(&ranges), 1 * G + 512 * M);
    assert_int_equal(type_at(1 * G + 1 * M), RAM);
    assert_int_equal(type_at(2 * G + 1 * M), RAM);
}

/* A reserved piece that begins and ends inside pages takes these whole pages from RAM. */
static void test_odd_borders(void **state)
{
    (void)state;
    add(0x800, 10 * M, RAM);
    add(1 * M + 0x123, 0x1000, RESERVED);
    init();
    check_form();
    assert_int_equal(type_at(0x800), 0);
    assert_int_equal(type_at(0x1000), RAM);
    assert_int_equal(type_at(1 * M + 0x122), 0);
    assert_int_equal(type_at(1 * M + 0x123), RESERVED);
    assert_int_equal(type_at(1 * M + 0x1123), 0);
    assert_int_equal(type_at(1 * M + 0x2000), RAM);
    assert_int_equal(type_at(10 * M - 1), RAM);
    assert_int_equal(type_at(10 * M), 0);
    add(30 * M + 1, 0x1fff, RAM); /* one whole page within */
    add(40 * M + 1, 0x1ffd, RAM); /* none */
    init();
    assert_int_equal(type_at(30 * M + 0x1000), RAM);
    assert_int_equal(type_at(40 * M + 0x1000), 0);
}

/* Ranges at and beyond the end of the address space. */
static void test_absurd_ranges(void **state)
{
    (void)state;
    add(1 * M, 1 * M, RAM);
    add(UINT64_MAX - 4095 + 1, 4095, RAM);
    add(UINT64_MAX, 1, RAM);
    add(UINT64_MAX - 100, UINT64_MAX, RESERVED);
    add(UINT64_MAX - PAGE_SIZE + 2, UINT64_MAX, RAM);
    add(0, 0, RAM);
    init();
    check_form();
    assert_int_equal(ranges_ram_bytes(&ranges), 1 * M);
    assert_int_equal(ranges_ram_end(&ranges), 2 * M);
    setup(NULL);
    add(0, UINT64_MAX, RAM);
    add(1 * G, UINT64_MAX, RESERVED);
    init();
    assert_int_equal(ranges_ram_bytes(&ranges), 1 * G);
}

static void test_retype(void **state)
{
    (void)state;
    add_pc();
    init();
    const uint64_t before = ranges_ram_bytes(&ranges);

    assert_true(ranges_retype(&ranges, 2 * M, 4 * M, RESERVED));
    check_form();
    assert_int_equal(type_at(2 * M - 1), RAM);
    assert_int_equal(type_at(2 * M), RESERVED);
    assert_int_equal(type_at(6 * M - 1), RESERVED);
    assert_int_equal(type_at(6 * M), RAM);
    assert_int_equal(ranges_ram_bytes(&ranges), before - 4 * M);
    /* Over the hole between 3 and 4 GiB: only RAM changes. */
    assert_true(ranges_retype(&ranges, 3 * G - 1 * M, 1 * G + 2 * M, RESERVED));
    assert_int_equal(type_at(3 * G - 128 * K), ACPI);
    assert_int_equal(type_at(3 * G), 0);
    assert_int_equal(type_at(4 * G), RESERVED);
    assert_int_equal(type_at(4 * G + 1 * M), RAM);
    /* A page in part is a page as a whole. */
    assert_true(ranges_retype(&ranges, 50 * M + 0xfff, 2, RESERVED));
    check_form();
    assert_int_equal(type_at(50 * M), RESERVED);
    assert_int_equal(type_at(50 * M + 0x1fff), RESERVED);
    assert_int_equal(type_at(50 * M + 0x2000), RAM);
    /* Nothing of it is RAM, or there is nothing of it. */
    const unsigned count = ranges.count;

    assert_true(ranges_retype(&ranges, 3 * G, 1 * M, RESERVED));
    assert_true(ranges_retype(&ranges, 100 * M, 0, RESERVED));
    assert_true(ranges_retype(&ranges, UINT64_MAX, UINT64_MAX, RESERVED));
    assert_int_equal(ranges.count, count);
    assert_true(ranges_retype(&ranges, 0, UINT64_MAX, RESERVED));
    assert_int_equal(ranges_ram_bytes(&ranges), 0);
}

static void test_limit(void **state)
{
    (void)state;
    static const uint64_t limits[] = {0, 4 * K, 512 * K, 1 * G, 3 * G};

    for (unsigned i = 0; i < ARRAY_COUNT(limits); i++) {
        setup(state);
        add_pc();
        init();
        assert_true(ranges_limit_ram(&ranges, limits[i], RESERVED));
        check_form();
        assert_int_equal(ranges_ram_bytes(&ranges), limits[i]);
        assert_int_equal(type_at(5 * G - 1), RESERVED);
    }
    setup(state);
    add_pc();
    init();
    const uint64_t all = ranges_ram_bytes(&ranges);

    assert_true(ranges_limit_ram(&ranges, all, RESERVED));
    assert_int_equal(ranges_ram_bytes(&ranges), all);
    assert_true(ranges_limit_ram(&ranges, UINT64_MAX, RESERVED));
    assert_int_equal(ranges_ram_bytes(&ranges), all);
    assert_true(ranges_limit_ram(&ranges, all - 1, RESERVED)); /* whole pages only */
    check_form();
    assert_int_equal(ranges_ram_bytes(&ranges), all - PAGE_SIZE);
}

static void test_find(void **state)
{
    (void)state;
    uint64_t base;

    add_pc();
    init();
    assert_true(ranges_find(&ranges, RANGES_HIGH, 16 * M, SIZE_2M, 0, UINT64_MAX, &base));
    assert_int_equal(base, 5 * G - 16 * M);
    assert_true(ranges_find(&ranges, RANGES_HIGH, 16 * M, SIZE_2M, 0, 4 * G, &base));
    assert_int_equal(base, 3 * G - 18 * M); /* below the ACPI tables, aligned down */
    assert_true(ranges_find(&ranges, RANGES_HIGH, 4 * K, 4 * K, 0, 1 * M, &base));
    assert_int_equal(base, 0x9e000);
    assert_false(ranges_find(&ranges, RANGES_HIGH, 1 * M, 4 * K, 0, 1 * M, &base));
    assert_false(
        ranges_find(&ranges, RANGES_HIGH, 2 * M, 2 * M, 5 * G - 3 * M, 5 * G - 1 * M, &base));
    assert_true(
        ranges_find(&ranges, RANGES_HIGH, 2 * M, 2 * M, 5 * G - 4 * M, 5 * G - 1 * M, &base));
    assert_int_equal(base, 5 * G - 4 * M);
    assert_false(ranges_find(&ranges, RANGES_HIGH, 8 * G, 4 * K, 0, UINT64_MAX, &base));
    assert_false(ranges_find(&ranges, RANGES_HIGH, 4 * K, 4 * K, 2 * G, 1 * G, &base));

    assert_true(ranges_find(&ranges, RANGES_LOW, 16 * M, SIZE_2M, 0, UINT64_MAX, &base));
    assert_int_equal(base, 2 * M);
    assert_true(ranges_find(&ranges, RANGES_LOW, 32 * K, 4 * K, 0x10000, 0x90000, &base));
    assert_int_equal(base, 0x10000);
    assert_true(ranges_find(&ranges, RANGES_LOW, 512 * M, 4 * K, 2800 * M, UINT64_MAX, &base));
    assert_int_equal(base, 4 * G);
    assert_false(ranges_find(&ranges, RANGES_LOW, 512 * M, 4 * K, 2800 * M, 4 * G, &base));
    assert_false(ranges_find(&ranges, RANGES_LOW, 4 * G, 4 * K, 0, UINT64_MAX, &base));
    assert_false(ranges_find(&ranges, RANGES_LOW, UINT64_MAX, 4 * K, 0, UINT64_MAX, &base));
    assert_false(ranges_find(&ranges, RANGES_LOW, 4 * K, 4 * K, 2 * G, 1 * G, &base));
    assert_true(ranges_find(&ranges, RANGES_LOW, 1 * G, 1 * G, 0, UINT64_MAX, &base));
    assert_int_equal(base, 1 * G);
}

/* The list has an end; reaching it is told, not written over. */
static void test_full(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BOOT_MAX_RANGES; i++) {
        add(i * M, 512 * K, RAM);
    }
    init();
    unsigned done = 0;

    while (done < 1000 && ranges_retype(&ranges, done % 128ull * M + (done / 128 + 1ull) * 64 * K,
                                        4 * K, RESERVED)) {
        done++;
    }
    assert_in_range(done, 10, RANGES_MAX);
    assert_true(ranges.count <= RANGES_MAX);
}

/* ---- at random ---- */

#define PAGES 256u

static uint8_t model[PAGES];

/* RAM where some entry says RAM and none says otherwise. */
static void fill_model(void)
{
    memset(model, 0, sizeof model);
    for (unsigned i = 0; i < boot.range_count; i++) {
        for (uint64_t page = 0; page < PAGES; page++) {
            const uint64_t from = page * PAGE_SIZE, to = from + PAGE_SIZE;
            const uint64_t base = boot.range[i].base, end = base + boot.range[i].size;

            if (boot.range[i].type == RAM && base <= from && end >= to && model[page] == 0) {
                model[page] = 1;
            }
            if (boot.range[i].type != RAM && base < to && end > from) {
                model[page] = 2;
            }
        }
    }
}

static void compare_model(void)
{
    check_form();
    for (uint64_t page = 0; page < PAGES; page++) {
        assert_int_equal(type_at(page * PAGE_SIZE) == RAM, model[page] == 1);
        assert_int_equal(type_at(page * PAGE_SIZE + PAGE_SIZE - 1) == RAM, model[page] == 1);
    }
}

static void test_random_maps(void **state)
{
    uint64_t random = 77;

    for (unsigned round = 0; round < 2000; round++) {
        setup(state);
        const unsigned entries = (unsigned)(random_next(&random) % 12);

        for (unsigned i = 0; i < entries; i++) {
            const uint64_t unit = random_next(&random) % 2 ? PAGE_SIZE : 0x100;
            const uint64_t base = random_next(&random) % (PAGES * PAGE_SIZE / 2) / unit * unit;
            const uint64_t size =
                1 + random_next(&random) % (PAGES * PAGE_SIZE / 2 - 1) / unit * unit;

            add(base, size, random_next(&random) % 3 ? RAM : (uint32_t)(2 + random % 4));
        }
        init();
        fill_model();
        compare_model();
        for (unsigned i = 0; i < 5; i++) {
            const uint64_t first = random_next(&random) % PAGES, count = random_next(&random) % 64;

            assert_true(ranges_retype(&ranges, first * PAGE_SIZE, count * PAGE_SIZE, RESERVED));
            for (uint64_t page = first; page < first + count && page < PAGES; page++) {
                model[page] = model[page] == 1 ? 2 : model[page];
            }
            compare_model();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pc, setup),
        cmocka_unit_test_setup(test_empty, setup),
        cmocka_unit_test_setup(test_order_and_overlap, setup),
        cmocka_unit_test_setup(test_ram_over_ram, setup),
        cmocka_unit_test_setup(test_odd_borders, setup),
        cmocka_unit_test_setup(test_absurd_ranges, setup),
        cmocka_unit_test_setup(test_retype, setup),
        cmocka_unit_test_setup(test_limit, setup),
        cmocka_unit_test_setup(test_find, setup),
        cmocka_unit_test_setup(test_full, setup),
        cmocka_unit_test_setup(test_random_maps, setup),
    };

    return cmocka_run_group_tests_name("ranges", tests, NULL, NULL);
}
