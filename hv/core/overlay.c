/* SPDX-License-Identifier: MIT */
/* Pages lent by the guest. */
#include "hv/core/overlay.h"

#include "hv/abi/msr.h"
#include "hv/arch.h"
#include "hv/core/partition.h"

bool overlay_place(struct overlay *overlay, struct partition *partition, uint64_t msr)
{
    spa_t page = spa_make(0);
    const bool enable = msr & HV_PAGE_MSR_ENABLE;
    if (enable &&
        !partition_translate(partition, gpa_make(msr & HV_PAGE_MSR_GPA_MASK), true, &page))
        return false;
    *overlay = (struct overlay){.msr = msr, .page = page, .usable = enable};
    return true;
}

void overlay_drop(struct overlay *overlay)
{
    *overlay = (struct overlay){0};
}

void overlay_check(struct overlay *overlay, struct partition *partition)
{
    spa_t page;
    overlay->usable = overlay->usable &&
                      partition_translate(partition, gpa_make(overlay->msr & HV_PAGE_MSR_GPA_MASK),
                                          true, &page) &&
                      page.raw == overlay->page.raw;
}

void *overlay_map(const struct overlay *overlay)
{
    return overlay->usable ? arch_window_map(overlay->page) : NULL;
}
