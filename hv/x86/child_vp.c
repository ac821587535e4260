/* SPDX-License-Identifier: MIT */
/*
 * VPs of children. All that a VP needs is paid from its partition's pool and
 * mapped, page by page, in one slot of HV_OBJECT_BASE: the VP itself, the back end's
 * state, the control block, then the extended registers. The tables of all slots
 * exist from the start, so that mapping needs no memory.
 */
#include "hv/arch.h"
#include "hv/core/intercept.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"
#include "hv/x86/call.h"
#include "hv/x86/cpu.h"
#include "hv/x86/extended.h"
#include "hv/x86/layout.h"
#include "hv/x86/lp.h"
#include "hv/x86/memory.h"
#include "hv/x86/run.h"
#include "hv/x86/vendor.h"

#define SLOT_PAGES (HV_OBJECT_SLOT / PAGE_SIZE)

enum slot_page { PAGE_VP, PAGE_VENDOR, PAGE_CONTROL, PAGE_EXTENDED };

static struct {
    struct spinlock lock;
    uint64_t used[HV_OBJECT_SLOTS / 64];
} slots;

/* ---- slots ---- */

static bool take_slot(uint64_t *base)
{
    bool found = false;
    spinlock_acquire(&slots.lock);
    for (unsigned i = 0; i < HV_OBJECT_SLOTS && !found; i++) {
        const uint64_t bit = 1ull << (i % 64);
        found = !(slots.used[i / 64] & bit);
        slots.used[i / 64] |= bit;
        *base = HV_OBJECT_BASE + (uint64_t)i * HV_OBJECT_SLOT;
    }
    spinlock_release(&slots.lock);
    return found;
}

static void give_slot(uint64_t base)
{
    const uint64_t slot = (base - HV_OBJECT_BASE) / HV_OBJECT_SLOT;
    spinlock_acquire(&slots.lock);
    slots.used[slot / 64] &= ~(1ull << (slot % 64));
    spinlock_release(&slots.lock);
}

static unsigned pages_of_vp(void)
{
    return PAGE_EXTENDED + (unsigned)(ALIGN_UP(extended_size(), PAGE_SIZE) / PAGE_SIZE);
}

static void invalidate_slot(void *argument)
{
    for (unsigned i = 0; i < SLOT_PAGES; i++)
        cpu_invalidate_page((const char *)argument + i * PAGE_SIZE);
}

/* No LP uses the slot any more. */
static void empty_slot(struct pool *pool, uint64_t base, unsigned pages)
{
    spa_t page[SLOT_PAGES];
    for (unsigned i = 0; i < pages; i++)
        page[i] = memory_unmap_object(base + i * PAGE_SIZE);
    lp_call_all(invalidate_slot, (void *)base);
    for (unsigned i = 0; i < pages; i++)
        pool_return(pool, page[i]);
    give_slot(base);
}

static enum hv_status fill_slot(struct pool *pool, uint64_t *base)
{
    const unsigned pages = pages_of_vp();
    if (pages > SLOT_PAGES || !take_slot(base))
        return HV_STATUS_NO_RESOURCES;
    for (unsigned i = 0; i < pages; i++) {
        spa_t page;
        if (!pool_take(pool, &page)) {
            empty_slot(pool, *base, i);
            return HV_STATUS_INSUFFICIENT_MEMORY;
        }
        memory_map_object(*base + i * PAGE_SIZE, page);
    }
    return HV_STATUS_SUCCESS;
}

/* ---- life ---- */

/* The LP with the fewest VPs of those that can keep the reserve, as far as other LPs may look;
 * NULL: none can. */
static struct lp *choose_lp(reftime_t reserve)
{
    struct lp *best = NULL;
    for (uint32_t i = 0; i < lp_count; i++) {
        struct lp *lp = lp_table[i];
        const reftime_t kept = __atomic_load_n(&lp->run.reserve_sum, __ATOMIC_RELAXED);
        if (kept + reserve <= SCHED_RESERVE_LIMIT &&
            (best == NULL || __atomic_load_n(&lp->child_count, __ATOMIC_RELAXED) <
                                 __atomic_load_n(&best->child_count, __ATOMIC_RELAXED)))
            best = lp;
    }
    return best;
}

struct share_work {
    struct vp *vp;
    const struct sched_params *share;
    enum hv_status status;
};

static void attach(void *argument)
{
    struct share_work *work = argument;
    struct vp *vp = work->vp;
    struct lp *lp = vp->lp;
    work->status = sched_entity_init(&vp->sched, &lp->run, work->share);
    if (work->status != HV_STATUS_SUCCESS)
        return;
    vp->next_on_lp = lp->children;
    lp->children = vp;
    __atomic_fetch_add(&lp->child_count, 1, __ATOMIC_RELAXED);
}

static void change_share(void *argument)
{
    struct share_work *work = argument;
    struct lp *lp = work->vp->lp;
    work->status = sched_set_params(&work->vp->sched, work->share, arch_time_now());
    lp->reschedule = true;
}

enum hv_status arch_vp_set_share(struct vp *vp, const struct sched_params *share)
{
    struct share_work work = {.vp = vp, .share = share};
    lp_call(vp->lp, change_share, &work);
    return work.status;
}

static struct vp *make_vp(struct lp *lp, struct partition *partition, uint32_t index, uint64_t base)
{
    struct vp *vp = (struct vp *)base;
    vp_init(vp, partition, index, index, &lp->timers);
    vp->lp = lp;
    vp->stats.lp_index = lp->index;
    vp->explicit_suspend = true;
    vp->rested_since = cpu_read_tsc();
    vp->extended = (void *)(base + PAGE_EXTENDED * PAGE_SIZE);
    extended_reset(vp->extended);
    vendor->init_vp(vp, (void *)(base + PAGE_VENDOR * PAGE_SIZE),
                    (void *)(base + PAGE_CONTROL * PAGE_SIZE),
                    memory_object_spa(base + PAGE_CONTROL * PAGE_SIZE));
    vendor->reset(vp);
    if (index == 0)
        vp->activity = VP_ACTIVE;
    return vp;
}

enum hv_status arch_vp_create(struct partition *partition, uint32_t index, struct vp **vp)
{
    uint64_t base;
    if (arch_xsave_size() == 0)
        return HV_STATUS_OPERATION_DENIED;
    struct lp *lp = choose_lp(partition->share.reserve);
    if (lp == NULL)
        return HV_STATUS_NO_RESOURCES;
    const enum hv_status status = fill_slot(&partition->pool, &base);
    if (status != HV_STATUS_SUCCESS)
        return status;
    struct share_work work = {.vp = make_vp(lp, partition, index, base),
                              .share = &partition->share};
    lp_call(work.vp->lp, attach, &work);
    if (work.status != HV_STATUS_SUCCESS)
        empty_slot(&partition->pool, base, pages_of_vp());
    *vp = work.vp;
    return work.status;
}

static void detach(void *argument)
{
    struct vp *vp = argument;
    struct lp *lp = vp->lp;
    vp->explicit_suspend = true;
    vapic_reset(vp);
    stimer_reset(vp);
    synic_reset(vp);
    intercept_forget(vp);
    run_forget(lp, vp);
    for (struct vp **at = &lp->children; *at != NULL; at = &(*at)->next_on_lp) {
        if (*at == vp) {
            *at = vp->next_on_lp;
            break;
        }
    }
    if (lp->extended_owner == vp)
        lp->extended_owner = NULL;
    __atomic_fetch_sub(&lp->child_count, 1, __ATOMIC_RELAXED);
}

void arch_vp_destroy(struct vp *vp)
{
    struct partition *partition = vp->partition;
    lp_call(vp->lp, detach, vp);
    empty_slot(&partition->pool, (uint64_t)vp, pages_of_vp());
}

struct partition *arch_alloc_partition(void)
{
    _Static_assert(sizeof(struct partition) <= PAGE_SIZE, "a partition fills one page of the pool");
    return page_alloc();
}

void arch_free_partition(struct partition *partition)
{
    page_free(partition);
}
