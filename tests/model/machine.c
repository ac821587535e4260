/* SPDX-License-Identifier: MIT */
#include "tests/model/machine.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/core/hypercall.h"
#include "tests/unit/hv/host_arch.h"

#define STORE_PLACES (1u << 20) /* of the index; pages are fewer */
#define NESTED_LEVEL 4u
#define RAM_PAGES    (HOST_PAGE_COUNT + HOST_TABLES)

/* ---- where children's structures are ---- */

struct partition_slot {
    struct partition partition;
    bool used;
};

struct vp_slot {
    struct vp vp;
    bool used;
    spa_t cost; /* the page of the pool that it is paid with */
};

static _Alignas(64) struct partition_slot partition_slots[MACHINE_CHILDREN];
static _Alignas(64) struct vp_slot vp_slots[MACHINE_VPS];

static struct partition *take_partition(void)
{
    for (unsigned i = 0; i < MACHINE_CHILDREN; i++) {
        struct partition_slot *slot = &partition_slots[i];

        if (!slot->used) {
            ASAN_UNPOISON_MEMORY_REGION(&slot->partition, sizeof slot->partition);
            memset(slot, 0, sizeof *slot);
            slot->used = true;
            return &slot->partition;
        }
    }
    return NULL;
}

static bool loading;

static void give_partition(struct partition *partition)
{
    struct partition_slot *slot = CONTAINER_OF(partition, struct partition_slot, partition);

    if (!loading) {
        memset(slot, 0, sizeof *slot);
        ASAN_POISON_MEMORY_REGION(partition, sizeof *partition);
    }
}

/* Each VP has a place of its own. */
static struct vp *take_vp(struct partition *partition, uint32_t index)
{
    const long child = CONTAINER_OF(partition, struct partition_slot, partition) - partition_slots;
    struct vp_slot *slot = &vp_slots[(unsigned)child * MACHINE_VPS_EACH + index];
    spa_t cost;

    if (index >= MACHINE_VPS_EACH || slot->used || !pool_take(&partition->pool, &cost)) {
        return NULL;
    }
    ASAN_UNPOISON_MEMORY_REGION(&slot->vp, sizeof slot->vp);
    memset(slot, 0, sizeof *slot);
    slot->used = true;
    slot->cost = cost;
    return &slot->vp;
}

static void give_vp(struct vp *vp)
{
    struct vp_slot *slot = CONTAINER_OF(vp, struct vp_slot, vp);

    pool_return(&vp->partition->pool, slot->cost);
    memset(slot, 0, sizeof *slot);
    ASAN_POISON_MEMORY_REGION(vp, sizeof *vp);
}

static const struct host_allocator slots = {take_partition, give_partition, take_vp, give_vp};

unsigned machine_partitions_used(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MACHINE_CHILDREN; i++) {
        count += partition_slots[i].used;
    }
    return count;
}

unsigned machine_vps_used(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MACHINE_VPS; i++) {
        count += vp_slots[i].used;
    }
    return count;
}

/* ---- rules ---- */

const char *machine_broken;

void machine_require(bool ok, const char *rule)
{
    if (!ok && machine_broken == NULL) {
        machine_broken = rule;
    }
}

static void settle_lock(struct spinlock *lock)
{
    machine_require(lock->next == lock->serving, "a lock is still held");
    spinlock_init(lock);
}

/* ---- the store of pages ---- */

static struct {
    unsigned char (*page)[PAGE_SIZE];
    uint32_t count, room;
    uint32_t index[STORE_PLACES]; /* numbers + 1 */
} store;

static void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);

    if (memory == NULL) {
        fputs("machine: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static uint32_t page_hash(const unsigned char *page)
{
    uint64_t hash = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < PAGE_SIZE / sizeof(uint64_t); i++) {
        uint64_t word;

        memcpy(&word, page + i * sizeof word, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t store_add(const unsigned char *page)
{
    for (uint32_t at = page_hash(page);; at++) {
        uint32_t *place = &store.index[at % STORE_PLACES];

        if (*place == 0) {
            if (store.count == store.room) {
                store.room = store.room ? store.room * 2 : 1024;
                store.page = allocate(store.page, store.room * PAGE_SIZE);
            }
            memcpy(store.page[store.count], page, PAGE_SIZE);
            *place = ++store.count;
        }
        if (memcmp(store.page[*place - 1], page, PAGE_SIZE) == 0) {
            return *place - 1;
        }
    }
}

/* ---- the parts of a state ---- */

static struct part {
    void *base;
    size_t size;
} parts[5]; /* RAM comes first */
static uint64_t pool_frames;
static void (*abstract_shadow)(void);
static struct machine_state present; /* what the machine was put into last */

static size_t piece(const struct part *part, size_t at)
{
    return part->size - at < PAGE_SIZE ? part->size - at : PAGE_SIZE;
}

static void check_room(unsigned number, unsigned room)
{
    if (number >= room) {
        fputs("machine: it has more pages than a state\n", stderr);
        exit(2);
    }
}

/* Calls `move` for each page of the parts from `first` on. */
static void for_each_page(unsigned first, uint32_t *numbers, unsigned room,
                          void (*move)(unsigned char *live, size_t size, uint32_t *number))
{
    unsigned number = 0;

    for (unsigned i = first; i < ARRAY_COUNT(parts); i++) {
        for (size_t at = 0; at < parts[i].size; at += PAGE_SIZE) {
            check_room(number, room);
            move((unsigned char *)parts[i].base + at, piece(&parts[i], at), &numbers[number++]);
        }
    }
}

static void page_out(unsigned char *live, size_t size, uint32_t *number)
{
    unsigned char padded[PAGE_SIZE];

    if (store.count == 0 || memcmp(live, store.page[*number], size) != 0) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, live, size);
        *number = store_add(padded);
    }
}

static void page_in(unsigned char *live, size_t size, uint32_t *number)
{
    if (memcmp(live, store.page[*number], size) != 0) {
        memcpy(live, store.page[*number], size);
    }
}

static void expose(void)
{
    host_memory_expose();
    ASAN_UNPOISON_MEMORY_REGION(partition_slots, sizeof partition_slots);
    ASAN_UNPOISON_MEMORY_REGION(vp_slots, sizeof vp_slots);
}

static void hide(void)
{
    host_memory_hide();
    for (unsigned i = 0; i < MACHINE_CHILDREN; i++) {
        if (!partition_slots[i].used) {
            ASAN_POISON_MEMORY_REGION(&partition_slots[i].partition, sizeof(struct partition));
        }
    }
    for (unsigned i = 0; i < MACHINE_VPS; i++) {
        if (!vp_slots[i].used) {
            ASAN_POISON_MEMORY_REGION(&vp_slots[i].vp, sizeof(struct vp));
        }
    }
}

/* ---- normal form ---- */

static void normalize_list(struct pool *pool, unsigned char *ram)
{
    uint64_t pages = 0;
    uint64_t count = 0;
    uint64_t *link = &pool->first;

    for (frame_t at = pool->first; at < HOST_GUEST_PAGES && count <= HOST_GUEST_PAGES; count++) {
        pages |= 1ull << at;
        at = *(uint64_t *)(void *)(ram + at * PAGE_SIZE);
    }
    for (; pages != 0; pages &= pages - 1) {
        *link = (frame_t)__builtin_ctzll(pages);
        link = (uint64_t *)(void *)(ram + *link * PAGE_SIZE);
    }
    *link = POOL_EMPTY;
}

static void normalize_partition(struct partition *partition, unsigned char *ram)
{
    partition->hypercalls = 0;
    if (partition->nested.root.raw == 0) {
        partition->nested = (struct nested){0}; /* what an attempt to make tables wrote */
    }
    settle_lock(&partition->register_lock);
    settle_lock(&partition->memory_lock);
    settle_lock(&partition->ports.lock);
    settle_lock(&partition->pool.lock);
    normalize_list(&partition->pool, ram);
}

static void normalize_vp(struct vp *vp)
{
    settle_lock(&vp->synic.lock);
    memset(&vp->stats, 0, sizeof vp->stats);
    memset(&vp->registers, 0, sizeof vp->registers);
}

static void normalize(unsigned char *ram)
{
    settle_lock(&host.frames.lock);
    normalize_partition(&host.partition, ram);
    normalize_vp(&host.vp[0]);
    for (unsigned i = 0; i < MACHINE_CHILDREN; i++) {
        if (partition_slots[i].used) {
            normalize_partition(&partition_slots[i].partition, ram);
        }
    }
    for (unsigned i = 0; i < MACHINE_VPS; i++) {
        if (vp_slots[i].used) {
            normalize_vp(&vp_slots[i].vp);
        }
    }
    host.flushes = host.suspend_changes = host.intercept_changes = host.share_changes = 0;
    memset(host.record, 0, sizeof host.record);
    memset(ram + MACHINE_INPUT * PAGE_SIZE, 0, PAGE_SIZE);
    memset(ram + MACHINE_OUTPUT * PAGE_SIZE, 0, PAGE_SIZE);
}

/* ---- the key: what is not the name of a page of a pool, or of a place in a queue ---- */

static void forget_name(spa_t *page)
{
    page->raw = page->raw != 0;
}

static void abstract_queue(struct message_queue *queue)
{
    for (unsigned i = 0; i < QUEUE_PAGES; i++) {
        forget_name(&queue->page[i]);
    }
    queue->first = 0; /* which of its places is the first */
}

static void abstract_partition(struct partition *partition)
{
    forget_name(&partition->nested.root);
    forget_name(&partition->cpuid_overrides);
    partition->pool.first = 0;
    for (unsigned i = 0; i < PORT_PAGES; i++) {
        forget_name(&partition->ports.page[i]);
    }
}

static void abstract_machine(void)
{
    for (unsigned i = 0; i < MACHINE_CHILDREN; i++) {
        if (partition_slots[i].used) {
            abstract_partition(&partition_slots[i].partition);
        }
    }
    for (unsigned i = 0; i < MACHINE_VPS; i++) {
        if (vp_slots[i].used) {
            vp_slots[i].vp.next_on_lp = NULL; /* a list in the order of making */
            if (vp_slots[i].vp.news == 0) {
                vp_slots[i].vp.next_news = NULL; /* it is in no list */
            }
            forget_name(&vp_slots[i].cost);
            abstract_queue(&vp_slots[i].vp.synic.queue);
        }
    }
    for (frame_t frame = 0; frame < HOST_GUEST_PAGES; frame++) {
        if (pool_frames >> frame & 1) {
            host.frame_storage[frame] = 0; /* how many are in which state is counted beside */
        }
    }
    host.child_vps = NULL;
    if (abstract_shadow != NULL) {
        abstract_shadow();
    }
}

/* Of RAM: what is neither a pool's nor the parent's tables. */
static unsigned key_of_ram(uint32_t *key)
{
    unsigned number = 0;

    for (frame_t frame = 0; frame < HOST_PAGE_COUNT; frame++) {
        if (frame >= HOST_GUEST_PAGES || !(pool_frames >> frame & 1)) {
            check_room(number, MACHINE_KEY_PAGES);
            key[number++] = present.page[frame];
        }
    }
    return number;
}

/* Of all else: as it is for a moment without the names. */
static void save_key(struct machine_state *state)
{
    const unsigned ram = key_of_ram(state->key);
    uint32_t *whole = &present.page[RAM_PAGES];

    abstract_machine();
    for_each_page(1, &state->key[ram], MACHINE_KEY_PAGES - ram, page_out);
    for_each_page(1, whole, MACHINE_PAGES - RAM_PAGES, page_in);
}

/* ---- states ---- */

void machine_save(struct machine_state *state)
{
    machine_require(host_windows_closed(), "a window is still open");
    expose();
    normalize(parts[0].base);
    for_each_page(0, present.page, MACHINE_PAGES, page_out);
    save_key(&present);
    *state = present;
    hide();
}

/* The table of partitions is the hypervisor's own: it is told who is there. */
static void list_partitions(bool listed)
{
    for (unsigned i = 0; i < MACHINE_CHILDREN; i++) {
        if (partition_slots[i].used && listed) {
            partition_register(&partition_slots[i].partition);
        } else if (partition_slots[i].used) {
            partition_delete(&partition_slots[i].partition);
        }
    }
}

void machine_load(const struct machine_state *state)
{
    loading = true;
    list_partitions(false);
    expose();
    present = *state;
    for_each_page(0, present.page, MACHINE_PAGES, page_in);
    hide();
    list_partitions(true);
    loading = false;
    machine_broken = NULL;
}

void machine_begin(void *shadow, size_t size, uint64_t pool, void (*abstract)(void))
{
    pool_frames = pool;
    abstract_shadow = abstract;
    host_allocator = &slots;
    host_machine_init(1, PARTITION_PARENT);
    host_make_tables();
    parts[0] = (struct part){host_memory_expose(), RAM_PAGES * PAGE_SIZE};
    parts[1] = (struct part){&host, sizeof host};
    parts[2] = (struct part){partition_slots, sizeof partition_slots};
    parts[3] = (struct part){vp_slots, sizeof vp_slots};
    parts[4] = (struct part){shadow, size};
    host_memory_hide();
}

struct partition *machine_child(partition_id_t id)
{
    for (unsigned i = 0; i < MACHINE_CHILDREN; i++) {
        if (partition_slots[i].used && partition_slots[i].partition.id == id) {
            return &partition_slots[i].partition;
        }
    }
    return NULL;
}

/* ---- calls ---- */

struct machine_answer machine_call_fast(struct vp *vp, uint64_t control, uint64_t rdx, uint64_t r8)
{
    vp->registers.rcx = control;
    vp->registers.rdx = rdx;
    vp->registers.r8 = r8;
    const bool finished = hypercall_dispatch(vp);

    return (struct machine_answer){
        .finished = finished,
        .status = (enum hv_status)(vp->registers.rax & 0xffff),
        .done = (uint32_t)(vp->registers.rax >> HV_RESULT_REPS_SHIFT),
    };
}

struct machine_answer machine_call(struct vp *vp, uint64_t control, const void *input, size_t size)
{
    host_guest_write(MACHINE_INPUT * PAGE_SIZE, input, size);
    return machine_call_fast(vp, control, MACHINE_INPUT * PAGE_SIZE, MACHINE_OUTPUT * PAGE_SIZE);
}

uint64_t machine_output(void)
{
    uint64_t value;

    host_guest_read(MACHINE_OUTPUT * PAGE_SIZE, &value, sizeof value);
    return value;
}

/* ---- pools ---- */

static uint64_t found; /* frames of the pool that were met */

static void meet(spa_t page, uint64_t deposited, const struct partition *child,
                 enum frame_state state)
{
    const frame_t frame = spa_frame(page);
    const bool own = frame < HOST_GUEST_PAGES && (deposited >> frame & 1);

    machine_require(own, "a child is served with a page that was not given for it");
    machine_require(!own || !(found >> frame & 1), "a page is used twice");
    machine_require(!own || (frame_state(&host.frames, frame) == state &&
                             frame_lookup(&host.frames, frame).partition == child->id),
                    "a page in use is another's in the frame table");
    found |= own ? 1ull << frame : 0;
}

static uint64_t word_at(uint64_t address)
{
    uint64_t value;

    host_guest_read(address, &value, sizeof value);
    return value;
}

static void meet_tables(spa_t table, unsigned level, uint64_t deposited,
                        const struct partition *child)
{
    uint64_t entry[PAGE_SIZE / sizeof(uint64_t)];

    meet(table, deposited, child, FRAME_POOL_USED);
    if (level == 1 || machine_broken != NULL) {
        return;
    }
    host_guest_read(table.raw, entry, sizeof entry);
    for (unsigned i = 0; i < ARRAY_COUNT(entry); i++) {
        if (entry[i] & nested_format_npt.present) {
            meet_tables(spa_make(entry[i] & nested_format_npt.address), level - 1, deposited,
                        child);
        }
    }
}

static void meet_queue(const struct message_queue *queue, uint64_t deposited,
                       const struct partition *child)
{
    for (unsigned i = 0; i < QUEUE_PAGES; i++) {
        if (queue->page[i].raw != 0) {
            meet(queue->page[i], deposited, child, FRAME_POOL_USED);
        }
    }
}

static void meet_vps(const struct partition *child, uint64_t deposited)
{
    for (unsigned i = 0; i < MACHINE_VPS; i++) {
        if (vp_slots[i].used && vp_slots[i].vp.partition == child) {
            meet(vp_slots[i].cost, deposited, child, FRAME_POOL_USED);
            meet_queue(&vp_slots[i].vp.synic.queue, deposited, child);
        }
    }
}

static void meet_free(const struct partition *child, uint64_t deposited)
{
    uint64_t count = 0;

    for (frame_t at = child->pool.first; at != POOL_EMPTY && machine_broken == NULL; count++) {
        meet(frame_spa(at), deposited, child, FRAME_POOL_FREE);
        at = machine_broken == NULL ? word_at(at * PAGE_SIZE) : POOL_EMPTY;
    }
    machine_require(machine_broken != NULL || count == child->pool.free_pages,
                    "the free pages are counted wrong");
}

static void check_counts(const struct pool *pool, uint64_t deposited, unsigned in_queues)
{
    const uint64_t hidden = deposited & ~found;

    machine_require((unsigned)__builtin_popcountll(hidden) == in_queues,
                    "a page is in use for nothing, or a queue lacks pages");
    for (uint64_t left = hidden; left != 0; left &= left - 1) {
        machine_require(frame_state(&host.frames, (frame_t)__builtin_ctzll(left)) ==
                            FRAME_POOL_USED,
                        "a page of a queue is free in the frame table");
    }
    machine_require(pool->used_pages + pool->free_pages ==
                            (uint64_t)__builtin_popcountll(deposited) &&
                        pool->lost_pages == 0,
                    "pages are in no pool any more");
}

void machine_check_pool(struct partition *child, uint64_t deposited, unsigned in_queues)
{
    found = 0;
    if (child->nested.root.raw != 0) {
        meet_tables(child->nested.root, NESTED_LEVEL, deposited, child);
    }
    for (unsigned i = 0; i < PORT_PAGES && child->ports.page[i].raw != 0; i++) {
        meet(child->ports.page[i], deposited, child, FRAME_POOL_USED);
    }
    for (spa_t at = child->cpuid_overrides; at.raw != 0 && machine_broken == NULL;) {
        meet(at, deposited, child, FRAME_POOL_USED);
        at = spa_make(word_at(at.raw));
    }
    meet_vps(child, deposited);
    meet_free(child, deposited);
    check_counts(&child->pool, deposited, in_queues);
}
