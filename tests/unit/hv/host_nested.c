/* SPDX-License-Identifier: MIT */
#include "tests/unit/hv/host_nested.h"

#include "hv/arch.h"
#include "tests/unit/hv/host_arch.h"

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

struct page_source pages;
struct nested nested;

static bool source_take(struct nested_source *source, spa_t *page)
{
    struct page_source *from = CONTAINER_OF(source, struct page_source, source);

    if (from->on_take) {
        from->on_take();
    }
    if (from->left == 0) {
        return false;
    }
    for (frame_t frame = 1; frame < HOST_NESTED_PAGES; frame++) {
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

void host_nested_start(const struct nested_format *format, uint64_t largest)
{
    host_memory_init(HOST_NESTED_PAGES, 0xee);
    pages =
        (struct page_source){.source = {source_take, source_give}, .left = HOST_NESTED_PAGES - 1};
    assert_int_equal(nested_init(&nested, format, &pages.source, largest), HV_STATUS_SUCCESS);
}

int host_nested_setup(void **state)
{
    (void)state;
    host_nested_start(&nested_format_npt, SIZE_1G);
    return 0;
}

int host_nested_setup_ept(void **state)
{
    (void)state;
    host_nested_start(&format_ept, SIZE_1G);
    return 0;
}

int host_nested_teardown(void **state)
{
    (void)state;
    pages.on_take = NULL;
    assert_int_equal(nested.table_pages, pages.out);
    assert_true(nested_destroy(&nested, HOST_NESTED_PAGES));
    assert_int_equal(nested.table_pages, 0);
    assert_int_equal(pages.out, 0);
    assert_true(nested_destroy(&nested, 0));
    host_memory_free();
    return 0;
}

bool host_nested_map(uint64_t gpa, uint64_t spa, uint64_t size, uint32_t flags)
{
    struct nested_change change;

    assert_int_equal(
        nested_prepare_map(&nested, gpa_make(gpa), spa_make(spa), size, flags, &change),
        HV_STATUS_SUCCESS);
    bool flush = nested_commit(&change);

    nested_finish(&change);
    return flush;
}

bool host_nested_unmap(uint64_t gpa, uint64_t size)
{
    struct nested_change change;

    assert_int_equal(nested_prepare_unmap(&nested, gpa_make(gpa), size, &change),
                     HV_STATUS_SUCCESS);
    bool flush = nested_commit(&change);

    nested_finish(&change);
    return flush;
}

void host_nested_maps(uint64_t gpa, uint64_t spa, uint64_t size, uint32_t flags)
{
    struct nested_leaf leaf;

    assert_true(nested_lookup(&nested, gpa_make(gpa), &leaf));
    assert_int_equal(leaf.spa.raw, spa);
    assert_int_equal(leaf.size, size);
    assert_int_equal(leaf.gpa.raw, ALIGN_DOWN(gpa, size));
    assert_int_equal(leaf.base.raw, spa - gpa % size);
    assert_int_equal(leaf.flags, flags);
}

void host_nested_maps_to(uint64_t gpa, uint64_t spa, uint32_t flags)
{
    struct nested_leaf leaf;

    assert_true(nested_lookup(&nested, gpa_make(gpa), &leaf));
    assert_int_equal(leaf.spa.raw, spa);
    assert_int_equal(leaf.flags, flags);
}

void host_nested_hole(uint64_t gpa, uint64_t size)
{
    struct nested_leaf leaf;

    assert_false(nested_lookup(&nested, gpa_make(gpa), &leaf));
    assert_int_equal(leaf.size, size);
    assert_int_equal(leaf.gpa.raw, ALIGN_DOWN(gpa, size));
}

/* The entry that maps gpa, as the processor finds it. */
uint64_t *host_nested_entry_open(uint64_t gpa)
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

void host_nested_entry_close(uint64_t *entry)
{
    arch_window_unmap((void *)ALIGN_DOWN((uintptr_t)entry, PAGE_SIZE));
}

/* What a processor does when it uses a page. */
void host_nested_touch(uint64_t gpa, bool write)
{
    uint64_t *entry = host_nested_entry_open(gpa);

    *entry |= nested.format->accessed | (write ? nested.format->dirty : 0);
    host_nested_entry_close(entry);
}
