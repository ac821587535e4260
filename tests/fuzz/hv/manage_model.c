/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/hv/manage_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/arch.h"
#include "tests/lib/frame_query.h"
#include "tests/unit/hv/host_arch.h"

#define ENTRIES          (PAGE_SIZE / sizeof(uint64_t))
#define LEVELS           4u
#define OVERRIDES_A_PAGE 85u
#define NEIGHBOUR_BYTE   0x77
#define HOST_SHARER      2u /* host_machine.h */

struct model model;

static struct {
    bool watched;
    struct partition *partition;
    struct partition partition_before;
    struct vp vp_before;
    unsigned char pool[NEIGHBOUR_POOL][PAGE_SIZE];
} neighbour;

static bool seen[HOST_PAGE_COUNT]; /* pages found in use, of all pools */

void model_require(bool ok, const char *rule)
{
    if (!ok) {
        fprintf(stderr, "broken: %s\n", rule);
        abort();
    }
}

/* ---- the shadow ---- */

struct partition *model_partition(const struct model_child *child)
{
    enum hv_status status;
    struct partition *partition = partition_acquire(&host.partition, child->id, &status);

    model_require(partition != NULL, "a child that is there is found, and free");
    partition_release(partition);
    return partition;
}

struct vp *model_vp(const struct model_child *child, uint32_t index)
{
    return child->id != 0 ? partition_vp(model_partition(child), index) : NULL;
}

uint64_t model_free_pages(const struct model_child *child)
{
    return model_partition(child)->pool.free_pages;
}

uint32_t model_deposited(const struct model_child *child)
{
    uint32_t count = 0;

    for (frame_t frame = 0; frame < HOST_PAGE_COUNT; frame++) {
        count += model.owner[frame] == child - model.child;
    }
    return count;
}

static uint32_t map_count(const struct model_child *child, frame_t frame)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < MODEL_GPA_COUNT; i++) {
        count += child->map[i] == frame;
    }
    return count;
}

static const struct model_child *sharer(frame_t frame)
{
    for (unsigned i = 0; i <= MODEL_NEIGHBOUR; i++) {
        if (map_count(&model.child[i], frame) > 0) {
            return &model.child[i];
        }
    }
    return NULL;
}

static bool is_parents(uint64_t frame)
{
    return frame < HOST_GUEST_PAGES && model.owner[frame] == OWNER_PARENT;
}

bool model_may_deposit(uint64_t frame)
{
    return is_parents(frame) && sharer(frame) == NULL;
}

bool model_may_map(const struct model_child *child, uint64_t frame)
{
    return is_parents(frame) && (sharer(frame) == NULL || sharer(frame) == child);
}

/* ---- windows ---- */

static bool is_neighbours(frame_t frame)
{
    return frame == FRAME_NEIGHBOUR || frame == HOST_PAGE_SHARED ||
           (frame >= FRAME_NEIGHBOUR_POOL && frame < FRAME_NEIGHBOUR_POOL + NEIGHBOUR_POOL);
}

static bool may_look(spa_t page)
{
    const frame_t frame = spa_frame(page);

    return frame >= HOST_PAGE_COUNT ? frame < HOST_PAGE_COUNT + host.tables_used
                                    : frame < HOST_GUEST_PAGES && !is_neighbours(frame);
}

void model_begin(void)
{
    memset(&model, 0, sizeof model);
    memset(model.owner, 0xff, sizeof model.owner);
    for (unsigned i = 0; i <= MODEL_NEIGHBOUR; i++) {
        memset(model.child[i].map, 0xff, sizeof model.child[i].map);
    }
    neighbour.watched = false;
    host_window_allowed = NULL;
}

/* ---- the neighbour ---- */

static void drop_lock(struct spinlock *lock)
{
    model_require(lock->next == lock->serving, "no lock is held");
    *lock = (struct spinlock){0};
}

/* Its locks may have been taken, to look. */
static void copy_partition(struct partition *to, const struct partition *from)
{
    memcpy(to, from, sizeof *to);
    drop_lock(&to->register_lock);
    drop_lock(&to->memory_lock);
    drop_lock(&to->pool.lock);
    drop_lock(&to->ports.lock);
}

static void copy_vp(struct vp *to, const struct vp *from)
{
    memcpy(to, from, sizeof *to);
    drop_lock(&to->synic.lock);
    to->next_on_lp = NULL;
}

static bool same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

void model_watch_neighbour(void)
{
    const struct model_child *child = &model.child[MODEL_NEIGHBOUR];

    neighbour.partition = model_partition(child);
    copy_partition(&neighbour.partition_before, neighbour.partition);
    copy_vp(&neighbour.vp_before, neighbour.partition->vp[0]);
    host_page_fill(frame_spa(FRAME_NEIGHBOUR), NEIGHBOUR_BYTE);
    for (unsigned i = 0; i < NEIGHBOUR_POOL; i++) {
        host_guest_read((FRAME_NEIGHBOUR_POOL + i) * PAGE_SIZE, neighbour.pool[i], PAGE_SIZE);
    }
    neighbour.watched = true;
    host_window_allowed = may_look;
}

void model_forget_neighbour(void)
{
    neighbour.watched = false;
    host_window_allowed = NULL;
}

static void check_neighbour(void)
{
    unsigned char page[PAGE_SIZE];
    struct partition partition;
    struct vp vp;

    copy_partition(&partition, neighbour.partition);
    copy_vp(&vp, neighbour.partition->vp[0]);
    model_require(same(&partition, &neighbour.partition_before, sizeof partition),
                  "the neighbour's partition is as it was");
    model_require(same(&vp, &neighbour.vp_before, sizeof vp), "the neighbour's VP is as it was");
    model_require(host_page_is(frame_spa(FRAME_NEIGHBOUR), NEIGHBOUR_BYTE),
                  "the neighbour's memory is as it was");
    for (unsigned i = 0; i < NEIGHBOUR_POOL; i++) {
        host_guest_read((FRAME_NEIGHBOUR_POOL + i) * PAGE_SIZE, page, PAGE_SIZE);
        model_require(same(page, neighbour.pool[i], PAGE_SIZE),
                      "the neighbour's tables are as they were");
    }
}

/* ---- frames ---- */

/* Fields of a record (hv/core/frame.c): of a shared frame, who maps it and how often; of another,
 * its owner. */
static uint32_t record_partition(frame_t frame)
{
    return host.frame_storage[frame] >> 4 & 0xfff;
}

static uint32_t record_maps(frame_t frame)
{
    return host.frame_storage[frame] >> 16;
}

static void check_parents_frame(frame_t frame)
{
    const struct model_child *by = sharer(frame);

    model_require(frame_state(&host.frames, frame) == (by != NULL ? FRAME_SHARED : FRAME_PARENT) &&
                      record_partition(frame) == (by != NULL ? by->id : PARTITION_PARENT),
                  "a frame that was not deposited is the parent's");
    model_require(by == NULL || record_maps(frame) == map_count(by, frame),
                  "a shared frame counts its mappings in one child");
}

static void check_frame(frame_t frame)
{
    struct nested_leaf leaf;
    const uint32_t owner = model.owner[frame];
    const bool mapped = nested_lookup(&host.partition.nested, gpa_make(frame << PAGE_SHIFT), &leaf);

    model_require(mapped == (owner == OWNER_PARENT),
                  "the parent maps what is not deposited, and nothing else");
    model_require(!mapped || spa_frame(leaf.spa) == frame,
                  "the parent's addresses are the machine's");
    if (owner == OWNER_PARENT) {
        check_parents_frame(frame);
        return;
    }
    const enum frame_state state = frame_state(&host.frames, frame);

    model_require((state == FRAME_POOL_FREE || state == FRAME_POOL_USED) &&
                      record_partition(frame) == model.child[owner].id,
                  "a deposited frame is in the pool of its child");
}

static void check_frames(void)
{
    for (frame_t frame = 0; frame < HOST_GUEST_PAGES; frame++) {
        check_frame(frame);
    }
    model_require(record_partition(HOST_PAGE_SHARED) == HOST_SHARER &&
                      record_maps(HOST_PAGE_SHARED) == 1,
                  "the machine's shared frame stays as it is");
    model_require(frame_state(&host.frames, HOST_PAGE_HYPERVISOR) == FRAME_HYPERVISOR &&
                      frame_state(&host.frames, HOST_PAGE_UNASSIGNED) == FRAME_UNASSIGNED &&
                      frame_state(&host.frames, HOST_PAGE_DEPOSITED) == FRAME_DEPOSITED &&
                      frame_state(&host.frames, HOST_PAGE_ABSENT) == FRAME_ABSENT,
                  "frames of others stay as they are");
}

/* ---- pools ---- */

/* A page in use for this child, met for the first time. */
static void use_page(const struct model_child *child, spa_t page, enum frame_state state)
{
    const frame_t frame = spa_frame(page);

    model_require(frame < HOST_PAGE_COUNT && model.owner[frame] == child - model.child &&
                      frame_state(&host.frames, frame) == state,
                  "a child costs pages of its own pool");
    model_require(!seen[frame], "no page is used twice");
    seen[frame] = true;
}

static uint64_t first_word(spa_t page)
{
    uint64_t value;

    host_guest_read(page.raw, &value, sizeof value);
    return value;
}

static uint64_t use_tables(const struct model_child *child, spa_t table, unsigned level)
{
    uint64_t entries[ENTRIES];
    uint64_t count = 1;

    use_page(child, table, FRAME_POOL_USED);
    if (level == 1) {
        return count;
    }
    host_guest_read(table.raw, entries, sizeof entries);
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (entries[i] & nested_format_npt.present) {
            model_require(!(entries[i] & nested_format_npt.large), "there is no large page here");
            count += use_tables(child, spa_make(entries[i] & nested_format_npt.address), level - 1);
        }
    }
    return count;
}

static uint64_t use_queue(const struct model_child *child, const struct message_queue *queue)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < QUEUE_PAGES; i++) {
        if (queue->page[i].raw != 0) {
            use_page(child, queue->page[i], FRAME_POOL_USED);
            count++;
        }
    }
    return count;
}

static void check_free_list(const struct model_child *child, const struct pool *pool)
{
    frame_t frame = pool->first;
    uint64_t count = 0;

    for (; frame != POOL_EMPTY; count++) {
        use_page(child, frame_spa(frame), FRAME_POOL_FREE);
        frame = first_word(frame_spa(frame));
    }
    model_require(count == pool->free_pages, "the free list is as long as it should be");
}

/* Pages of the ports' queues: those of a child in its end may be gone already. */
static uint64_t queue_pages(const struct model_child *child)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < MODEL_PORTS; i++) {
        count += child->port[i].type == HV_PORT_MESSAGE ? QUEUE_PAGES : 0;
    }
    return count;
}

static void check_pool(const struct model_child *child, const struct partition *partition)
{
    const struct pool *pool = &partition->pool;
    const spa_t root = partition->nested.root;
    uint64_t used = root.raw != 0 ? use_tables(child, root, LEVELS) : 0;

    model_require(root.raw == 0 || used == partition->nested.table_pages, "tables are counted");
    for (unsigned i = 0; i < PORT_PAGES && partition->ports.page[i].raw != 0; i++, used++) {
        use_page(child, partition->ports.page[i], FRAME_POOL_USED);
    }
    for (spa_t at = partition->cpuid_overrides; at.raw != 0; used++) {
        use_page(child, at, FRAME_POOL_USED);
        at = spa_make(first_word(at));
    }
    for (unsigned i = 0; i < partition->vp_count; i++) {
        used += partition->vp[i] != NULL ? use_queue(child, &partition->vp[i]->synic.queue) : 0;
    }
    check_free_list(child, pool);
    model_require(pool->used_pages == used + queue_pages(child),
                  "a pool's pages in use are counted");
    model_require(pool->used_pages + pool->free_pages == model_deposited(child) &&
                      pool->lost_pages == 0,
                  "a pool holds what was deposited");
}

/* ---- children ---- */

static void check_maps(const struct model_child *child, struct partition *partition)
{
    struct nested_leaf leaf;

    for (unsigned i = 0; i < MODEL_GPA_COUNT; i++) {
        const gpa_t gpa = gpa_make((MODEL_GPA + i) << PAGE_SHIFT);
        const bool mapped =
            partition->nested.root.raw != 0 && nested_lookup(&partition->nested, gpa, &leaf);

        model_require(mapped == (child->map[i] != FRAME_NONE), "a child maps what it was given");
        model_require(!mapped || spa_frame(leaf.spa) == child->map[i], "and where it was given");
    }
}

static void check_child(const struct model_child *child)
{
    struct partition *partition = model_partition(child);

    model_require(partition->state == child->state, "a child's state");
    for (uint32_t i = 0; i < MODEL_VPS; i++) {
        model_require((partition_vp(partition, i) != NULL) == child->vp[i], "its VPs");
    }
    check_pool(child, partition);
    if (child->state != PARTITION_FINALIZED) { /* of such tables nobody makes use */
        check_maps(child, partition);
    }
}

/* Who has news for the parent is there. */
static void check_news(void)
{
    for (const struct vp *vp = host.vp[0].news_first; vp != NULL; vp = vp->next_news) {
        bool found = false;

        for (unsigned i = 0; i < MODEL_CHILDREN; i++) {
            for (uint32_t k = 0; k < MODEL_VPS; k++) {
                found = found || model_vp(&model.child[i], k) == vp;
            }
        }
        model_require(found, "news are of VPs that are there");
    }
}

static void check_time(struct model_child *child)
{
    const reftime_t time = partition_time(model_partition(child));

    model_require(child->frozen ? time == child->time : time >= child->time, "the time of a child");
    child->time = time;
    for (uint32_t i = 0; i < MODEL_VPS && child->frozen; i++) {
        const struct vp *vp = model_vp(child, i);

        for (unsigned at = 0; vp != NULL && at < HV_STIMER_COUNT; at++) {
            const struct timer *timer = &vp->stimer[at].timer;

            model_require(!timer->armed || timer->deadline == TIMER_NEVER, "a timer is held");
        }
    }
}

void model_check(void)
{
    bool (*const allowed)(spa_t page) = host_window_allowed;

    model_require(host_windows_closed(), "no window stays open");
    host_window_allowed = NULL;
    memset(seen, 0, sizeof seen);
    check_frames();
    for (unsigned i = 0; i <= MODEL_NEIGHBOUR; i++) {
        if (model.child[i].id != 0) {
            check_child(&model.child[i]);
            check_time(&model.child[i]);
        }
    }
    check_news();
    if (neighbour.watched) {
        check_neighbour();
    }
    host_window_allowed = allowed;
}
