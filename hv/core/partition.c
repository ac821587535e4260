/* SPDX-License-Identifier: MIT */
/* Partitions and their memory as the hypervisor reaches it. */
#include "hv/core/partition.h"

#include "hv/arch.h"
#include "hv/core/lib.h"

void partition_init(struct partition *partition, partition_id_t id, struct frame_table *frames)
{
    memset(partition, 0, sizeof *partition);
    partition->id = id;
    partition->frames = frames;
    spinlock_init(&partition->register_lock);
    spinlock_init(&partition->memory_lock);
}

struct partition *partition_find(struct partition *caller, uint64_t id)
{
    return id == HV_PARTITION_ID_SELF || id == caller->id ? caller : NULL;
}

bool partition_translate(struct partition *partition, gpa_t gpa, spa_t *page)
{
    /* The parent's addresses are the machine's; who owns the frame decides. */
    const frame_t frame = gpa.raw >> PAGE_SHIFT;
    const enum frame_state state = frame_state(partition->frames, frame);
    if (state != FRAME_PARENT && state != FRAME_SHARED)
        return false;
    *page = frame_spa(frame);
    return true;
}

static bool crosses_page(gpa_t gpa, size_t size)
{
    return size > PAGE_SIZE || (gpa.raw & PAGE_MASK) + size > PAGE_SIZE;
}

bool partition_read(struct partition *partition, gpa_t gpa, void *to, size_t size)
{
    spa_t page;
    if (crosses_page(gpa, size) || !partition_translate(partition, gpa, &page))
        return false;
    char *window = arch_window_map(page);
    memcpy(to, window + (gpa.raw & PAGE_MASK), size);
    arch_window_unmap(window);
    return true;
}

bool partition_write(struct partition *partition, gpa_t gpa, const void *from, size_t size)
{
    spa_t page;
    if (crosses_page(gpa, size) || !partition_translate(partition, gpa, &page))
        return false;
    char *window = arch_window_map(page);
    memcpy(window + (gpa.raw & PAGE_MASK), from, size);
    arch_window_unmap(window);
    return true;
}
