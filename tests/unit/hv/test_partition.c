/* SPDX-License-Identifier: MIT */
/* A partition's memory as the hypervisor reaches it: copies, lent pages, the guest's own tables. */
#include "hv/core/partition.h"
#include "hv/core/registers.h"

#include <string.h>

#include "hv/arch.h"
#include "hv/core/decode.h"
#include "hv/core/guest_walk.h"
#include "hv/core/overlay.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define TABLE 3u /* present, writable */
#define LARGE 0x83u

static struct partition *const partition = &host.partition;

static int setup(void **state)
{
    (void)state;
    host_machine_init(1, PARTITION_PARENT);
    return 0;
}

/* ---- who is meant ---- */

static void test_find(void **state)
{
    (void)state;
    static const uint64_t nobody[] = {0, 2, PARTITION_MAX, 0x100000001,
                                      0x10001}; /* not cut to 16 bits */
    enum hv_status status;

    for (unsigned i = 0; i < ARRAY_COUNT(nobody); i++) {
        assert_null(partition_acquire(partition, nobody[i], &status));
        assert_int_equal(status, HV_STATUS_INVALID_PARTITION_ID);
    }
    assert_ptr_equal(partition_acquire(partition, PARTITION_PARENT, &status), partition);
    assert_null(partition_acquire(partition, HV_PARTITION_ID_SELF, &status)); /* busy */
    assert_int_equal(status, HV_STATUS_SUCCESS);
    partition_release(partition);
    assert_ptr_equal(partition_acquire(partition, HV_PARTITION_ID_SELF, &status), partition);
    partition_release(partition);
}

/* ---- copies ---- */

static void test_copy(void **state)
{
    (void)state;
    static const char text[] = "some bytes";
    char got[sizeof text];

    assert_true(partition_write(partition, gpa_make(0x1ff6), text, 10));
    assert_true(partition_read(partition, gpa_make(0x1ff6), got, 10));
    assert_memory_equal(got, text, 10);
    assert_true(partition_write(partition, gpa_make(HOST_PAGE_SHARED << 12), text, sizeof text));
    assert_true(host_windows_closed());
}

static void test_copy_refused(void **state)
{
    (void)state;
    static const uint64_t places[] = {HOST_PAGE_HYPERVISOR << 12,
                                      HOST_PAGE_UNASSIGNED << 12,
                                      HOST_PAGE_DEPOSITED << 12,
                                      HOST_PAGE_ABSENT << 12,
                                      HOST_PAGE_COUNT << 12,
                                      1ull << 52,
                                      ~0xfffull,
                                      ~0ull - 7};
    uint64_t value = 5;
    spa_t page;

    for (unsigned i = 0; i < ARRAY_COUNT(places); i++) {
        assert_false(partition_read(partition, gpa_make(places[i]), &value, 8));
        assert_false(partition_write(partition, gpa_make(places[i]), &value, 8));
        assert_false(partition_translate(partition, gpa_make(places[i]), i % 2, &page));
    }
    assert_int_equal(value, 5);
}

static void test_copy_across_pages(void **state)
{
    (void)state;
    static char bytes[2 * PAGE_SIZE];

    assert_true(partition_read(partition, gpa_make(0x1000), bytes, PAGE_SIZE));
    assert_false(partition_read(partition, gpa_make(0x1001), bytes, PAGE_SIZE));
    assert_false(partition_read(partition, gpa_make(0x1000), bytes, PAGE_SIZE + 1));
    assert_false(partition_read(partition, gpa_make(0x1ffc), bytes, 5));
    assert_false(partition_write(partition, gpa_make(0x1ffc), bytes, 5));
    assert_false(partition_read(partition, gpa_make(0x1ffc), bytes, SIZE_MAX));
    assert_true(partition_read(partition, gpa_make(0x1fff), bytes, 1));
    assert_true(partition_read(partition, gpa_make(0x1fff), bytes, 0));
}

/* ---- lent pages ---- */

static void test_overlay(void **state)
{
    (void)state;
    struct overlay overlay = {0};

    assert_null(overlay_map(&overlay));
    assert_true(overlay_place(&overlay, partition, 0x3000)); /* not enabled */
    assert_int_equal(overlay.msr, 0x3000);
    assert_null(overlay_map(&overlay));
    assert_true(overlay_place(&overlay, partition, 0x3ffd));
    assert_int_equal(overlay.msr, 0x3ffd);
    assert_int_equal(overlay.page.raw, 0x3000);
    char *page = overlay_map(&overlay);

    assert_non_null(page);
    page[5] = 'x';
    arch_window_unmap(page);
    assert_int_equal(host_guest_read32(0x3004), 'x' << 8);
    assert_false(overlay_place(&overlay, partition, HOST_PAGE_HYPERVISOR << 12 | 1));
    assert_int_equal(overlay.page.raw, 0x3000); /* as before */
    overlay_drop(&overlay);
    assert_null(overlay_map(&overlay));
    assert_int_equal(overlay.msr, 0);
}

/* ---- the guest's own page tables ---- */

static void entry64(uint64_t table, unsigned index, uint64_t value)
{
    host_guest_write(table + index * 8ull, &value, sizeof value);
}

static bool walk(const struct guest_paging *paging, uint64_t address, uint64_t *to)
{
    gpa_t gpa = gpa_make(0xdead);
    const bool found = guest_walk(partition, paging, address, &gpa);

    *to = gpa.raw;
    assert_true(host_windows_closed());
    return found;
}

static void test_walk_without_paging(void **state)
{
    (void)state;
    const struct guest_paging off = {0, ~0ull, 0, 0};
    uint64_t to;

    assert_true(walk(&off, 0x12345, &to));
    assert_int_equal(to, 0x12345);
}

static void test_walk_four_levels(void **state)
{
    (void)state;
    const struct guest_paging paging = {CR0_PG, 0x1000, CR4_PAE, EFER_LMA};
    const uint64_t address = 0xffff888000000000 | 3ull << 30 | 5ull << 21 | 7ull << 12 | 0x9ab;
    uint64_t to;

    entry64(0x1000, 0x111, 0x2000 | TABLE);
    entry64(0x2000, 3, 0x3000 | TABLE);
    entry64(0x3000, 5, 0x4000 | TABLE);
    entry64(0x4000, 7, 0x8000000000006000 | TABLE); /* no-execute does not matter */
    assert_true(walk(&paging, address, &to));
    assert_int_equal(to, 0x69ab);
    assert_false(walk(&paging, address + PAGE_SIZE, &to));
    entry64(0x3000, 6, 0x40000000 | LARGE);
    assert_true(walk(&paging, (address & ~0x1fffffull) + SIZE_2M + 0x12345, &to));
    assert_int_equal(to, 0x40012345);
    entry64(0x2000, 4, 0x80000000 | LARGE);
    assert_true(walk(&paging, (address & ~0x3fffffffull) + SIZE_1G + 0x1234567, &to));
    assert_int_equal(to, 0x81234567);
    /* "Large" means nothing in the top level. */
    entry64(0x1000, 0x112, 0x2000 | LARGE);
    assert_true(walk(&paging, address + (1ull << 39), &to));
    assert_int_equal(to, 0x69ab);
}

static void test_walk_five_levels(void **state)
{
    (void)state;
    const struct guest_paging paging = {CR0_PG, 0x1000, CR4_PAE | CR4_LA57, EFER_LMA};
    uint64_t to;

    entry64(0x1000, 2, 0x2000 | TABLE);
    entry64(0x2000, 1, 0x3000 | TABLE);
    entry64(0x3000, 0, 0x4000 | TABLE);
    entry64(0x4000, 0, 0x5000 | TABLE);
    entry64(0x5000, 1, 0x6000 | TABLE);
    assert_true(walk(&paging, 2ull << 48 | 1ull << 39 | 0x1234, &to));
    assert_int_equal(to, 0x6234);
}

static void test_walk_pae(void **state)
{
    (void)state;
    const struct guest_paging paging = {CR0_PG, 0x1020, CR4_PAE, 0};
    uint64_t to;

    entry64(0x1020, 3, 0x2000 | 1);
    entry64(0x2000, 1, 0x3000 | TABLE);
    entry64(0x3000, 2, 0x7000 | TABLE);
    assert_true(walk(&paging, 3ull << 30 | 1ull << 21 | 2ull << 12 | 0x10, &to));
    assert_int_equal(to, 0x7010);
    entry64(0x2000, 2, 0x100400000 | LARGE);
    assert_true(walk(&paging, 3ull << 30 | 2ull << 21 | 0x1234, &to));
    assert_int_equal(to, 0x100401234);
}

static void test_walk_32_bit(void **state)
{
    (void)state;
    struct guest_paging paging = {CR0_PG, 0x1000, CR4_PSE, 0};
    uint64_t to;

    host_guest_write32(0x1000 + 4 * 0x301, 0x2000 | TABLE);
    host_guest_write32(0x2000 + 4 * 0x3ff, 0x5000 | TABLE);
    assert_true(walk(&paging, 0x301u << 22 | 0x3ffu << 12 | 0x44, &to));
    assert_int_equal(to, 0x5044);
    host_guest_write32(0x1000 + 4 * 2, 0x00c00000 | 0x1u << 13 | LARGE); /* above 4 GiB */
    assert_true(walk(&paging, 2u << 22 | 0x12345, &to));
    assert_int_equal(to, 0x100c12345);
    paging.cr4 = 0; /* no large pages: the bit is ignored */
    assert_false(walk(&paging, 2u << 22 | 0x12345, &to));
}

/* Tables that point at themselves, at the hypervisor, out of the machine. */
static void test_walk_hostile(void **state)
{
    (void)state;
    const struct guest_paging paging = {CR0_PG, 0x1000, CR4_PAE, EFER_LMA};
    struct guest_paging nowhere = paging;
    uint64_t to;

    entry64(0x1000, 0, 0x1000 | TABLE);
    assert_true(walk(&paging, 0x123, &to));
    assert_int_equal(to, 0x1123);
    entry64(0x1000, 1, HOST_PAGE_HYPERVISOR << 12 | TABLE);
    assert_false(walk(&paging, 1ull << 39, &to));
    entry64(0x1000, 1, 0x000ffffffffff000 | TABLE);
    assert_false(walk(&paging, 1ull << 39, &to));
    nowhere.cr3 = ~0ull;
    assert_false(walk(&nowhere, 0, &to));
}

static void test_fetch(void **state)
{
    (void)state;
    const struct guest_paging paging = {CR0_PG, 0x1000, CR4_PAE, EFER_LMA};
    uint8_t bytes[15];

    entry64(0x1000, 0, 0x2000 | TABLE);
    entry64(0x2000, 0, 0x3000 | TABLE);
    entry64(0x3000, 0, 0x4000 | TABLE);
    entry64(0x4000, 0, 0x7000 | TABLE);
    entry64(0x4000, 1, 0x5000 | TABLE);
    entry64(0x4000, 3, (uint64_t)HOST_PAGE_HYPERVISOR << 12 | TABLE);
    host_guest_write(0x7ff8, "abcdefgh", 8);
    host_guest_write(0x5000, "ijklmnop", 8);
    assert_int_equal(guest_fetch(partition, &paging, 0xff8, bytes, sizeof bytes), 15);
    assert_memory_equal(bytes, "abcdefghijklmno", 15);
    assert_int_equal(guest_fetch(partition, &paging, 0x1ffb, bytes, sizeof bytes), 5);
    assert_int_equal(guest_fetch(partition, &paging, 0x2000, bytes, sizeof bytes), 0);
    assert_int_equal(guest_fetch(partition, &paging, 0x3000, bytes, sizeof bytes), 0);
}

/* ---- the instruction ---- */

static void test_decode(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[8];
        size_t count;
        unsigned length, general;
    } table[] = {
        {{0x44, 0x0f, 0x22, 0xc0}, 4, 4, 0},       /* mov cr8, rax */
        {{0x44, 0x0f, 0x22, 0xc7, 0xcc}, 5, 4, 7}, /* mov cr8, rdi */
        {{0x45, 0x0f, 0x22, 0xc7}, 4, 4, 15},      /* mov cr8, r15 */
        {{0xf0, 0x0f, 0x22, 0xc1}, 4, 4, 1},       /* lock mov cr0, rcx: names CR8 */
        {{0x66, 0x2e, 0x44, 0x0f, 0x22, 0xc3}, 6, 6, 3},
        {{0x0f, 0x22, 0xc0}, 3, 3, 0},
        {{0x44, 0x0f, 0x22}, 3, 0, 0},             /* cut short */
        {{0x44, 0x0f, 0x20, 0xc0}, 4, 0, 0},       /* mov rax, cr8 */
        {{0x44, 0x44, 0x0f, 0x22, 0xc0}, 5, 0, 0}, /* two REX */
        {{0x90}, 1, 0, 0},
        {{0}, 0, 0, 0},
        {{0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}, 8, 0, 0},
    };

    for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
        unsigned general = 99;

        assert_int_equal(decode_mov_to_control(table[i].bytes, table[i].count, &general),
                         table[i].length);
        if (table[i].length != 0) {
            assert_int_equal(general, table[i].general);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_find, setup),
        cmocka_unit_test_setup(test_copy, setup),
        cmocka_unit_test_setup(test_copy_refused, setup),
        cmocka_unit_test_setup(test_copy_across_pages, setup),
        cmocka_unit_test_setup(test_overlay, setup),
        cmocka_unit_test_setup(test_walk_without_paging, setup),
        cmocka_unit_test_setup(test_walk_four_levels, setup),
        cmocka_unit_test_setup(test_walk_five_levels, setup),
        cmocka_unit_test_setup(test_walk_pae, setup),
        cmocka_unit_test_setup(test_walk_32_bit, setup),
        cmocka_unit_test_setup(test_walk_hostile, setup),
        cmocka_unit_test_setup(test_fetch, setup),
        cmocka_unit_test_setup(test_decode, setup),
    };

    return cmocka_run_group_tests_name("partition", tests, NULL, NULL);
}
