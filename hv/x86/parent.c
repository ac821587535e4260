/* SPDX-License-Identifier: MIT */
/* Making the parent partition. */
#include "hv/x86/parent.h"

#include "hv/arch.h"
#include "hv/core/log.h"
#include "hv/core/vp.h"
#include "hv/x86/cpu.h"
#include "hv/x86/extended.h"
#include "hv/x86/lapic.h"
#include "hv/x86/memory.h"
#include "hv/x86/panic.h"
#include "hv/x86/time.h"
#include "hv/x86/vendor.h"

#define PARENT_WEIGHT      1000u
#define EDX81_1G_PAGES     (1u << 26)
#define IDENTITY_MAX_BITS  46u
#define IDENTITY_SPARE     0x1000000000ull /* 64 GiB above RAM, where 1 GiB pages are missing */
#define RESET_CONTROL_PORT 0xcf9
#define RESET_CONTROL_FULL 0x0e
#define KEYBOARD_PORT      0x64
#define KEYBOARD_PULSE     0xfe

_Static_assert(sizeof(struct vp) <= PAGE_SIZE, "a VP fills one page of the pool");

struct partition parent;

/* ---- memory ---- */

static bool has_1g_pages(void)
{
    return cpu_cpuid(0x80000001, 0).edx & EDX81_1G_PAGES;
}

/* All addresses the processor can name, where that is cheap: device registers may be anywhere. */
static uint64_t identity_end(uint64_t ram_end)
{
    const uint32_t bits = cpu_cpuid(0x80000008, 0).eax & 0xff;
    if (has_1g_pages())
        return 1ull << (bits < IDENTITY_MAX_BITS ? bits : IDENTITY_MAX_BITS);
    return ALIGN_UP(ram_end > 4 * SIZE_1G ? ram_end : 4 * SIZE_1G, SIZE_1G) + IDENTITY_SPARE;
}

static void take_away(uint64_t base, uint64_t size)
{
    for (uint64_t at = base; at < base + size;) {
        const bool large = at % SIZE_2M == 0 && base + size - at >= SIZE_2M;
        const uint64_t step = large ? SIZE_2M : SIZE_4K;
        struct nested_change change;
        if (nested_prepare_unmap(&parent.nested, gpa_make(at), step, &change) != HV_STATUS_SUCCESS)
            refuse("too little memory for the parent's page tables");
        nested_commit(&change);
        nested_finish(&change);
        at += step;
    }
}

/* RAM that parent_memory= keeps back. */
static void take_away_unassigned(void)
{
    if (frame_table_state_count(&memory_frames, FRAME_UNASSIGNED) == 0)
        return;
    for (frame_t frame = 0; frame < memory_frames.count;) {
        frame_t end = frame;
        while (end < memory_frames.count && frame_state(&memory_frames, end) == FRAME_UNASSIGNED)
            end++;
        if (end > frame)
            take_away(frame << PAGE_SHIFT, (end - frame) << PAGE_SHIFT);
        frame = end + 1;
    }
}

static void map_memory(uint64_t ram_end)
{
    const uint64_t largest = has_1g_pages() ? SIZE_1G : SIZE_2M;
    if (nested_init(&parent.nested, vendor->nested_format, &memory_boot_source, largest) !=
            HV_STATUS_SUCCESS ||
        nested_map_identity(&parent.nested, spa_make(0), identity_end(ram_end),
                            NESTED_WRITE | NESTED_EXECUTE) != HV_STATUS_SUCCESS)
        refuse("too little memory for the parent's page tables");
    take_away(memory_image.base, memory_image.size);
    take_away(memory_pool.base, memory_pool.size);
    take_away(lapic_page().raw, PAGE_SIZE);
    take_away_unassigned();
}

/* ---- processors ---- */

static void create_extended(struct vp *vp)
{
    vp->extended = memory_alloc_pages((unsigned)(ALIGN_UP(extended_size(), PAGE_SIZE) / PAGE_SIZE));
    extended_reset(vp->extended);
}

static void create_vp(struct lp *lp)
{
    struct vp *vp = memory_alloc_pages(1);
    timer_queue_init(&lp->timers);
    sched_queue_init(&lp->run, 0);
    vp_init(vp, &parent, lp->index, lp->apic_id, &lp->timers);
    vp->lp = lp;
    vp->stats.lp_index = lp->index;
    sched_entity_init(&vp->sched, &lp->run, &parent.share); /* the first one there */
    void *control = memory_alloc_pages(1);
    vendor->init_vp(vp, memory_alloc_pages(1), control, memory_spa(control));
    vendor->reset(vp);
    if (arch_xsave_size() != 0)
        create_extended(vp);
    parent.vp[lp->index] = vp;
    parent.vp_count++;
    lp->parent_vp = vp;
}

void parent_create(uint64_t ram_end, const struct linux_entry *entry)
{
    partition_init(&parent, PARTITION_PARENT, &memory_frames);
    parent.share =
        (struct sched_params){.weight = PARENT_WEIGHT, .reserve = SCHED_PARENT, .first = true};
    partition_register(&parent);
    map_memory(ram_end);
    for (uint32_t i = 0; i < lp_count; i++)
        create_vp(lp_table[i]);
    struct vp *first = parent.vp[0];
    vendor->set_linux_entry(first, entry);
    first->activity = VP_ACTIVE;
    sched_wake(&first->sched, false, 0);
}

/* ---- ends ---- */

_Noreturn void parent_reset(void)
{
    log_line(LOG_WARNING, "the parent resets the machine");
    cpu_out8(RESET_CONTROL_PORT, RESET_CONTROL_FULL);
    time_delay_microseconds(10000);
    cpu_out8(KEYBOARD_PORT, KEYBOARD_PULSE);
    time_delay_microseconds(100000);
    refuse("the machine does not reset: switch it off and on");
}
