/* SPDX-License-Identifier: MIT */
/* A list of pages, the newest first; within one, entries in the order they came. */
#include "hv/core/cpuid_override.h"

#include "hv/arch.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define PER_PAGE 85u

struct override_page {
    spa_t next;
    uint64_t count;
    struct cpuid_override entry[PER_PAGE];
};
_Static_assert(sizeof(struct override_page) == PAGE_SIZE, "a page of overrides");

/* A page with room, at the head of the list; NULL: the pool is empty. */
static struct override_page *map_page_with_room(struct partition *partition)
{
    spa_t fresh;
    struct override_page *page;
    if (partition->cpuid_overrides.raw != 0) {
        page = arch_window_map(partition->cpuid_overrides);
        if (page->count < PER_PAGE)
            return page;
        arch_window_unmap(page);
    }
    if (!pool_take(&partition->pool, &fresh))
        return NULL;
    page = arch_window_map(fresh);
    page->next = partition->cpuid_overrides;
    partition->cpuid_overrides = fresh;
    return page;
}

enum hv_status cpuid_override_add(struct partition *partition, const struct cpuid_override *wanted)
{
    spinlock_acquire(&partition->register_lock);
    struct override_page *page = map_page_with_room(partition);
    if (page != NULL) {
        page->entry[page->count++] = *wanted;
        arch_window_unmap(page);
    }
    spinlock_release(&partition->register_lock);
    return page != NULL ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_MEMORY;
}

static bool is_for(const struct cpuid_override *entry, const struct vp *vp, uint32_t leaf,
                   uint32_t subleaf)
{
    return (entry->vp_index == HV_ANY_VP || entry->vp_index == vp->index) && entry->eax == leaf &&
           (!entry->subleaf_specific || entry->ecx == subleaf);
}

static void apply(const struct cpuid_override *entry, struct cpuid_result *result)
{
    uint32_t *const words[] = {&result->eax, &result->ebx, &result->ecx, &result->edx};
    for (unsigned i = 0; i < ARRAY_COUNT(words); i++)
        *words[i] =
            (*words[i] & ~entry->result[i].mask) | (entry->result[i].value & entry->result[i].mask);
}

bool cpuid_override_apply(struct vp *vp, uint32_t leaf, uint32_t subleaf,
                          struct cpuid_result *result)
{
    const struct cpuid_override *entry;
    enum cpuid_override_kind decided = CPUID_OVERRIDE_ANSWER;
    bool answered = false;
    spinlock_acquire(&vp->partition->register_lock);
    for (spa_t at = vp->partition->cpuid_overrides; at.raw != 0;) {
        struct override_page *page = arch_window_map(at);
        for (entry = &page->entry[page->count]; entry-- > page->entry;) {
            if (!is_for(entry, vp, leaf, subleaf))
                continue;
            if (entry->kind != CPUID_OVERRIDE_ANSWER)
                decided = decided == CPUID_OVERRIDE_ANSWER ? entry->kind : decided;
            else if (!answered)
                apply(entry, result);
            answered = answered || entry->kind == CPUID_OVERRIDE_ANSWER;
        }
        at = page->next;
        arch_window_unmap(page);
    }
    spinlock_release(&vp->partition->register_lock);
    return decided == CPUID_OVERRIDE_INTERCEPT;
}

void cpuid_override_drop(struct partition *partition)
{
    while (partition->cpuid_overrides.raw != 0) {
        const spa_t at = partition->cpuid_overrides;
        struct override_page *page = arch_window_map(at);
        partition->cpuid_overrides = page->next;
        arch_window_unmap(page);
        pool_return(&partition->pool, at);
    }
}
