/* SPDX-License-Identifier: MIT */
/*
 * Memory ownership in long sequences: frames, deposit pools and the nested
 * tables of the parent and of two children together, in the order of steps that
 * the headers ask of the caller, against a shadow that knows only what was
 * granted. Each six bytes of the input are one operation; most are legal
 * requests with any arguments, some are calls that must be refused.
 *
 * From time to time, and at the end, all tables are walked: a partition may
 * reach exactly what the shadow says. At last everything is torn down, and every
 * frame must be the parent's again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/arch.h"
#include "hv/core/nested.h"
#include "hv/core/pool.h"
#include "tests/lib/frame_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HV_FRAMES   64u   /* the hypervisor's: table pages of the parent */
#define RAM_FRAMES  1536u /* the last 1024 of them are whole 2 MiB pages */
#define CHILDREN    2u
#define GPA_PAGES   2048u /* of a child, four 2 MiB pages; the last is far above the others */
#define FAR_PAGES   1536u
#define FAR_GPA     (1ull << 40)
#define NONE        UINT16_MAX
#define NOBODY      CHILDREN
#define FIRST_CHILD ((partition_id_t)2)
#define CHECK_EVERY 128u

#define MUST(condition)                                                     \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

struct child {
    struct nested_source source;
    struct pool pool;
    struct nested nested;
    bool has_tables;
    uint16_t maps[GPA_PAGES]; /* shadow: the frame, or NONE */
    uint8_t flags[GPA_PAGES];
    bool dirty[GPA_PAGES]; /* shadow: written, and not harvested since */
    uint16_t deposits;     /* shadow: frames given for it */
};

static unsigned char memory[RAM_FRAMES][PAGE_SIZE] __attribute__((aligned(4096)));
static bool touched[RAM_FRAMES];
static unsigned windows;

static uint32_t records[RAM_FRAMES];
static struct frame_table frames;
static struct nested parent;
static bool boot_used[HV_FRAMES];
static unsigned boot_left;
static struct child children[CHILDREN];

/* Shadow of the parent's frames. */
static uint8_t given_for[RAM_FRAMES]; /* a child, or NOBODY */
static uint16_t shares[RAM_FRAMES];
static uint8_t shared_with[RAM_FRAMES];

void *arch_window_map(spa_t page)
{
    MUST(page.raw % PAGE_SIZE == 0 && spa_frame(page) < RAM_FRAMES);
    MUST(++windows <= ARCH_WINDOW_DEPTH);
    /* The hypervisor touches its own pages and deposited ones, never what partitions have. */
    MUST(spa_frame(page) < HV_FRAMES || given_for[spa_frame(page)] != NOBODY);
    touched[spa_frame(page)] = true;
    return memory[spa_frame(page)];
}

void arch_window_unmap(void *window)
{
    (void)window;
    windows--;
}

static bool page_is_zero(frame_t frame)
{
    static const unsigned char zero[PAGE_SIZE];

    return memcmp(memory[frame], zero, PAGE_SIZE) == 0;
}

static partition_id_t id_of(const struct child *child)
{
    return (partition_id_t)(FIRST_CHILD + (child - children));
}

static uint8_t number_of(const struct child *child)
{
    return (uint8_t)(child - children);
}

static bool boot_take(struct nested_source *source, spa_t *page)
{
    (void)source;
    for (frame_t frame = 1; frame < HV_FRAMES && boot_left > 0; frame++) {
        if (!boot_used[frame]) {
            boot_used[frame] = true;
            boot_left--;
            touched[frame] = true;
            memset(memory[frame], 0, PAGE_SIZE);
            *page = frame_spa(frame);
            return true;
        }
    }
    return false;
}

static void boot_give(struct nested_source *source, spa_t page)
{
    (void)source;
    MUST(boot_used[spa_frame(page)]);
    boot_used[spa_frame(page)] = false;
    boot_left++;
}

static struct nested_source boot_source = {boot_take, boot_give};

static bool child_take(struct nested_source *source, spa_t *page)
{
    struct child *child = CONTAINER_OF(source, struct child, source);
    bool taken = pool_take(&child->pool, page);

    if (taken) {
        MUST(given_for[spa_frame(*page)] == number_of(child));
        MUST(page_is_zero(spa_frame(*page)));
    }
    return taken;
}

static void child_give(struct nested_source *source, spa_t page)
{
    struct child *child = CONTAINER_OF(source, struct child, source);

    MUST(pool_return(&child->pool, page) == HV_STATUS_SUCCESS);
}

static void start(unsigned boot_pages)
{
    for (frame_t frame = 0; frame < RAM_FRAMES; frame++) {
        if (touched[frame]) {
            memset(memory[frame], 0xa5, PAGE_SIZE);
        }
        given_for[frame] = NOBODY;
    }
    memset(touched, 0, sizeof(touched));
    memset(shares, 0, sizeof(shares));
    memset(boot_used, 0, sizeof(boot_used));
    boot_left = HV_FRAMES - 1;
    frame_table_init(&frames, records, RAM_FRAMES);
    frame_table_set_range(&frames, 0, HV_FRAMES, FRAME_HYPERVISOR, PARTITION_NONE);
    frame_table_set_range(&frames, HV_FRAMES, RAM_FRAMES - HV_FRAMES, FRAME_PARENT,
                          PARTITION_PARENT);
    MUST(nested_init(&parent, &nested_format_npt, &boot_source, SIZE_1G) == HV_STATUS_SUCCESS);
    MUST(nested_map_identity(&parent, frame_spa(HV_FRAMES), (RAM_FRAMES - HV_FRAMES) * PAGE_SIZE,
                             NESTED_WRITE | NESTED_EXECUTE) == HV_STATUS_SUCCESS);
    boot_left = boot_pages; /* from here on the parent's splits may fail */
    for (unsigned i = 0; i < CHILDREN; i++) {
        struct child *child = &children[i];

        memset(child, 0, sizeof(*child));
        memset(child->maps, 0xff, sizeof(child->maps));
        child->source = (struct nested_source){child_take, child_give};
        pool_init(&child->pool, &frames, id_of(child));
    }
}

static gpa_t gpa_of(unsigned page)
{
    return gpa_make(page < FAR_PAGES ? page * PAGE_SIZE : FAR_GPA + (page - FAR_PAGES) * PAGE_SIZE);
}

static bool frame_is_parents(frame_t frame)
{
    return frame >= HV_FRAMES && frame < RAM_FRAMES && given_for[frame] == NOBODY;
}

/* The steps of a deposit: prepared, owned, unmapped, pooled. */
static void deposit(struct child *child, frame_t frame)
{
    struct nested_change change;
    bool legal = frame_is_parents(frame) && shares[frame] == 0;

    if (nested_prepare_unmap(&parent, gpa_make(frame * PAGE_SIZE), SIZE_4K, &change) !=
        HV_STATUS_SUCCESS) {
        return;
    }
    MUST((frame_deposit(&frames, frame, id_of(child)) == HV_STATUS_SUCCESS) == legal);
    if (!legal) {
        return;
    }
    given_for[frame] = number_of(child);
    MUST(nested_commit(&change));
    nested_finish(&change);
    memset(memory[frame], 0xa5, PAGE_SIZE);
    MUST(pool_add(&child->pool, frame) == HV_STATUS_SUCCESS);
    child->deposits++;
}

static void withdraw(struct child *child)
{
    struct nested_change change;
    frame_t frame;
    uint64_t free_pages = child->pool.free_pages;

    MUST(pool_withdraw(&child->pool, &frame) == (free_pages > 0));
    if (free_pages == 0) {
        return;
    }
    MUST(given_for[frame] == number_of(child) && page_is_zero(frame));
    if (nested_prepare_map(&parent, gpa_make(frame * PAGE_SIZE), frame_spa(frame), SIZE_4K,
                           NESTED_WRITE | NESTED_EXECUTE, &change) != HV_STATUS_SUCCESS) {
        MUST(pool_add(&child->pool, frame) == HV_STATUS_SUCCESS);
        return;
    }
    MUST(frame_withdraw(&frames, frame, id_of(child)) == HV_STATUS_SUCCESS);
    MUST(!nested_commit(&change));
    nested_finish(&change);
    given_for[frame] = NOBODY;
    child->deposits--;
}

static bool child_ready(struct child *child)
{
    if (!child->has_tables) {
        child->has_tables = nested_init(&child->nested, &nested_format_npt, &child->source,
                                        SIZE_2M) == HV_STATUS_SUCCESS;
    }
    return child->has_tables;
}

/* Drops the shares of what the shadow has at pages first .. first + count - 1. */
static void drop_shares(struct child *child, unsigned first, unsigned count)
{
    for (unsigned page = first; page < first + count; page++) {
        frame_t frame = child->maps[page];

        if (frame != NONE) {
            MUST(frame_unshare(&frames, frame, id_of(child)) == HV_STATUS_SUCCESS);
            shares[frame]--;
            child->maps[page] = NONE;
            child->dirty[page] = false;
        }
    }
}

static void unmap(struct child *child, unsigned page, unsigned count)
{
    struct nested_change change;

    if (!child_ready(child) || nested_prepare_unmap(&child->nested, gpa_of(page), count * PAGE_SIZE,
                                                    &change) != HV_STATUS_SUCCESS) {
        return;
    }
    nested_commit(&change);
    nested_finish(&change);
    drop_shares(child, page, count);
}

/* Whether the child may map count frames from first. */
static bool share_is_legal(const struct child *child, frame_t first, unsigned count)
{
    for (frame_t frame = first; frame < first + count; frame++) {
        if (!frame_is_parents(frame) ||
            (shares[frame] != 0 && shared_with[frame] != number_of(child))) {
            return false;
        }
    }
    return true;
}

static void map(struct child *child, unsigned page, frame_t frame, unsigned count, uint32_t flags)
{
    struct nested_change change;

    if (!child_ready(child) ||
        nested_prepare_map(&child->nested, gpa_of(page), frame_spa(frame), count * PAGE_SIZE, flags,
                           &change) != HV_STATUS_SUCCESS) {
        return;
    }
    bool legal = share_is_legal(child, frame, count);
    enum hv_status status = count == 1 ? frame_share(&frames, frame, id_of(child))
                                       : frame_share_2m(&frames, frame, id_of(child));

    MUST((status == HV_STATUS_SUCCESS) == legal);
    if (!legal) {
        return;
    }
    nested_commit(&change);
    nested_finish(&change);
    drop_shares(child, page, count);
    for (unsigned i = 0; i < count; i++) {
        shares[frame + i]++;
        shared_with[frame + i] = number_of(child);
        child->maps[page + i] = (uint16_t)(frame + i);
        child->flags[page + i] = (uint8_t)flags;
    }
}

/* Takes a child's address space down, in steps, and its tables. */
static void destroy(struct child *child, unsigned budget)
{
    struct nested_leaf leaf;

    if (!child->has_tables) {
        return;
    }
    for (gpa_t gpa = gpa_make(0); gpa.raw >> NESTED_GPA_BITS == 0;
         gpa.raw = leaf.gpa.raw + leaf.size) {
        if (nested_lookup(&child->nested, gpa, &leaf) && leaf.size == SIZE_2M) {
            MUST(frame_unshare_2m(&frames, spa_frame(leaf.base), id_of(child)) ==
                 HV_STATUS_SUCCESS);
        } else if (leaf.spa.raw != 0) {
            MUST(frame_unshare(&frames, spa_frame(leaf.spa), id_of(child)) == HV_STATUS_SUCCESS);
        }
    }
    for (unsigned page = 0; page < GPA_PAGES; page++) {
        if (child->maps[page] != NONE) {
            shares[child->maps[page]]--;
        }
        child->maps[page] = NONE;
        child->dirty[page] = false;
    }
    for (unsigned i = 0; !nested_destroy(&child->nested, budget); i++) {
        MUST(i < 64);
    }
    MUST(child->pool.used_pages == 0);
    child->has_tables = false;
}

/* What a processor does that writes to a page. */
static void write_page(struct child *child, unsigned page)
{
    uint64_t table = child->nested.root.raw;
    uint64_t *entry = NULL;

    if (!child->has_tables || child->maps[page] == NONE) {
        return;
    }
    for (unsigned shift = 39; shift >= 12; shift -= 9) {
        entry = (uint64_t *)memory[table / PAGE_SIZE] + (gpa_of(page).raw >> shift) % 512;
        if (*entry & nested_format_npt.large) {
            break;
        }
        table = *entry & nested_format_npt.address;
    }
    *entry |= nested_format_npt.accessed | nested_format_npt.dirty;
    child->dirty[page] = true;
}

/* No write is ever forgotten, whatever was split in between. */
static void harvest(struct child *child, unsigned page, uint32_t clear)
{
    struct nested_leaf leaf;

    if (!child->has_tables || !nested_lookup(&child->nested, gpa_of(page), &leaf)) {
        return;
    }
    MUST(nested_harvest(&child->nested, gpa_of(page), clear, 0) ==
         (leaf.flags & (NESTED_ACCESSED | NESTED_DIRTY)));
    MUST(!child->dirty[page] || (leaf.flags & NESTED_DIRTY));
    if (clear & NESTED_DIRTY) {
        unsigned count = (unsigned)(leaf.size / PAGE_SIZE);

        memset(&child->dirty[page / count * count], 0, count);
    }
}

/* Calls that no caller in its right mind makes: each must be refused and change nothing. */
static void abuse(struct child *child, unsigned how, frame_t frame)
{
    partition_id_t id = id_of(child);
    uint32_t before = frame < RAM_FRAMES ? records[frame] : 0;
    bool parents = frame_is_parents(frame);
    enum frame_state state = frame_state(&frames, frame);

    switch (how % 5) {
    case 0:
        MUST(frame_withdraw(&frames, frame, id) != HV_STATUS_SUCCESS);
        break;
    case 1:
        MUST((parents && shares[frame] && shared_with[frame] == number_of(child)) ||
             frame_unshare(&frames, frame, id) != HV_STATUS_SUCCESS);
        break;
    case 2:
        MUST(pool_add(&child->pool, frame) != HV_STATUS_SUCCESS);
        break;
    case 3:
        MUST((state == FRAME_POOL_USED && given_for[frame] == number_of(child)) ||
             pool_return(&child->pool, frame_spa(frame)) != HV_STATUS_SUCCESS);
        break;
    default:
        MUST(parents || frame_share(&frames, frame, id) != HV_STATUS_SUCCESS);
        MUST(frame_share(&frames, frame, PARTITION_PARENT) != HV_STATUS_SUCCESS);
        break;
    }
    MUST(frame >= RAM_FRAMES || records[frame] == before);
}

static void check_child(struct child *child)
{
    struct nested_leaf leaf;

    MUST(child->pool.used_pages == (child->has_tables ? child->nested.table_pages : 0));
    MUST(child->pool.free_pages + child->pool.used_pages == child->deposits);
    MUST(child->pool.lost_pages == 0);
    for (unsigned page = 0; child->has_tables && page < GPA_PAGES; page++) {
        bool mapped = nested_lookup(&child->nested, gpa_of(page), &leaf);

        MUST(mapped == (child->maps[page] != NONE));
        if (mapped) {
            frame_t frame = spa_frame(leaf.spa);

            MUST(frame == child->maps[page] && (leaf.flags & 7) == child->flags[page]);
            MUST(!child->dirty[page] || (leaf.flags & NESTED_DIRTY));
            MUST(frame_is_parents(frame) && frame_sharer(&frames, frame) == id_of(child));
        }
    }
}

/* Who reaches what, by the tables that processors walk. */
static void check_all(void)
{
    struct nested_leaf leaf;
    uint64_t deposited = 0;

    for (frame_t frame = 0; frame < RAM_FRAMES; frame++) {
        bool mapped = nested_lookup(&parent, gpa_make(frame * PAGE_SIZE), &leaf);

        MUST(mapped == frame_is_parents(frame));
        MUST(!mapped || spa_frame(leaf.spa) == frame);
        MUST(frame_map_count(&frames, frame) == shares[frame]);
        MUST(frame_parent_may_map(&frames, frame) == mapped);
        deposited += given_for[frame] != NOBODY;
    }
    MUST(frame_table_deposited_count(&frames) == deposited);
    for (unsigned i = 0; i < CHILDREN; i++) {
        check_child(&children[i]);
    }
    MUST(windows == 0);
}

static void operate(const uint8_t *op)
{
    struct child *child = &children[op[1] % CHILDREN];
    uint32_t flags = op[1] >> 1 & (NESTED_WRITE | NESTED_EXECUTE | NESTED_UNCACHED);
    frame_t frame = (op[2] | (frame_t)op[3] << 8) % (RAM_FRAMES + 8);
    unsigned page = (unsigned)(op[4] | op[5] << 8) % GPA_PAGES;

    switch (op[0] % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        deposit(child, frame);
        break;
    case 4:
        withdraw(child);
        break;
    case 5:
    case 6:
    case 7:
        map(child, page, frame, 1, flags);
        break;
    case 8:
    case 9:
        map(child, page / 512 * 512, frame / 512 * 512, 512, flags);
        break;
    case 10:
    case 11:
        unmap(child, page, 1);
        break;
    case 12:
        unmap(child, page / 512 * 512, 512);
        break;
    case 13:
        if (op[5] % 16 == 0) {
            destroy(child, 1 + op[4] % 4);
        }
        break;
    case 14:
        if (op[1] & 0x80) {
            write_page(child, page);
        } else {
            harvest(child, page, op[1] >> 2 & (NESTED_ACCESSED | NESTED_DIRTY));
        }
        break;
    default:
        abuse(child, op[1] >> 4, frame);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    start(data[0] % 4);
    data++;
    size--;
    for (unsigned count = 1; size >= 6; data += 6, size -= 6, count++) {
        operate(data);
        if (count % CHECK_EVERY == 0) {
            check_all();
        }
    }
    check_all();
    boot_left = HV_FRAMES;
    for (unsigned i = 0; i < CHILDREN; i++) {
        destroy(&children[i], 3);
        while (children[i].pool.free_pages > 0) {
            withdraw(&children[i]);
        }
    }
    check_all();
    MUST(frame_table_state_count(&frames, FRAME_PARENT) == RAM_FRAMES - HV_FRAMES);
    MUST(nested_destroy(&parent, HV_FRAMES));
    return 0;
}
