/* SPDX-License-Identifier: MIT */
/*
 * A partition: a set of VPs with one address space.
 *
 * Locks: register_lock (MSRs that all VPs share, and the pages they place), before
 * memory_lock (nested tables), before the frame table's.
 */
#ifndef HV_CORE_PARTITION_H
#define HV_CORE_PARTITION_H

#include "hv/core/frame.h"
#include "hv/core/nested.h"
#include "hv/core/overlay.h"
#include "hv/core/types.h"

struct vp;

#define PARTITION_MAX_VPS     64u
#define CRASH_PARAMETER_COUNT 5u

struct partition {
    partition_id_t id;
    uint32_t vp_count;
    struct vp *vp[PARTITION_MAX_VPS];
    struct frame_table *frames;
    struct spinlock register_lock, memory_lock;
    struct nested nested;
    uint64_t guest_os_id;
    struct overlay hypercall_page, reference_tsc;
    bool hypercall_page_locked;
    bool tsc_invariant_shown;
    uint64_t crash_parameter[CRASH_PARAMETER_COUNT];
    uint64_t crash_count;
    uint64_t hypercalls;
};

void partition_init(struct partition *partition, partition_id_t id, struct frame_table *frames);

/* The partition with this identifier; HV_PARTITION_ID_SELF means the caller. NULL: there is none,
 * or the caller may not name it. */
struct partition *partition_find(struct partition *caller, uint64_t id);

/* The page of RAM behind a guest address, if the partition may write it. */
bool partition_translate(struct partition *partition, gpa_t gpa, spa_t *page);

/*
 * Copies between guest memory and the hypervisor; the range must not cross a page.
 * False: no memory of the partition is there.
 */
bool partition_read(struct partition *partition, gpa_t gpa, void *to, size_t size);
bool partition_write(struct partition *partition, gpa_t gpa, const void *from, size_t size);

#endif
