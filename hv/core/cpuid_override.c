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

static bool is_same(const struct cpuid_override *a, const struct cpuid_override *b)
{
    return a->vp_index == b->vp_index && a->eax == b->eax && a->ecx == b->ecx &&
           a->subleaf_specific == b->subleaf_specific;
}

/* One of the same kind is replaced. */
static bool replace(struct partition *partition, const struct cpuid_override *wanted)
{
    bool found = false;
    for (spa_t at = partition->cpuid_overrides; at.raw != 0 && !found;) {
        struct override_page *page = arch_window_map(at);
        for (uint64_t i = 0; i < page->count && !found; i++) {
            found = is_same(&page->entry[i], wanted);
            if (found)
                page->entry[i] = *wanted;
        }
        at = page->next;
        arch_window_unmap(page);
    }
    return found;
}

/* False: the newest page is full, or there is none. */
static bool append(struct partition *partition, const struct cpuid_override *wanted)
{
    if (partition->cpuid_overrides.raw == 0)
        return false;
    struct override_page *page = arch_window_map(partition->cpuid_overrides);
    const bool fits = page->count < PER_PAGE;
    if (fits)
        page->entry[page->count++] = *wanted;
    arch_window_unmap(page);
    return fits;
}

static bool add_page(struct partition *partition)
{
    spa_t fresh;
    if (!pool_take(&partition->pool, &fresh))
        return false;
    struct override_page *page = arch_window_map(fresh);
    page->next = partition->cpuid_overrides;
    arch_window_unmap(page);
    partition->cpuid_overrides = fresh;
    return true;
}

enum hv_status cpuid_override_set(struct partition *partition, const struct cpuid_override *wanted)
{
    spinlock_acquire(&partition->register_lock);
    const bool done = replace(partition, wanted) || append(partition, wanted) ||
                      (add_page(partition) && append(partition, wanted));
    spinlock_release(&partition->register_lock);
    return done ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_MEMORY;
}

static void apply(const struct cpuid_override *entry, struct cpuid_result *result)
{
    uint32_t *const words[] = {&result->eax, &result->ebx, &result->ecx, &result->edx};
    for (unsigned i = 0; i < ARRAY_COUNT(words); i++)
        *words[i] =
            (*words[i] & ~entry->result[i].mask) | (entry->result[i].value & entry->result[i].mask);
}

void cpuid_override_apply(struct vp *vp, uint32_t leaf, uint32_t subleaf,
                          struct cpuid_result *result)
{
    struct partition *partition = vp->partition;
    spinlock_acquire(&partition->register_lock);
    for (spa_t at = partition->cpuid_overrides; at.raw != 0;) {
        struct override_page *page = arch_window_map(at);
        for (uint64_t i = 0; i < page->count; i++) {
            const struct cpuid_override *entry = &page->entry[i];
            if ((entry->vp_index == HV_ANY_VP || entry->vp_index == vp->index) &&
                entry->eax == leaf && (!entry->subleaf_specific || entry->ecx == subleaf))
                apply(entry, result);
        }
        at = page->next;
        arch_window_unmap(page);
    }
    spinlock_release(&partition->register_lock);
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
