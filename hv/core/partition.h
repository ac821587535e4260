/* SPDX-License-Identifier: MIT */
/*
 * A partition: a set of VPs with one address space.
 *
 * Life of a child: CREATED (properties are set) - ACTIVE (memory, VPs) -
 * FINALIZED (nothing runs, memory is given back) - deleted. Whatever a child
 * costs comes from its pool, which the parent fills and empties.
 *
 * The parent's management calls on one partition exclude each other by `busy`,
 * which is never waited for: a call that finds it taken is made again by the
 * parent's VP. Its holder may therefore wait for other LPs.
 *
 * Locks: register_lock (MSRs that all VPs share, and the pages they place), before
 * memory_lock (nested tables), before the pool's and the frame table's.
 */
#ifndef HV_CORE_PARTITION_H
#define HV_CORE_PARTITION_H

#include "hv/core/features.h"
#include "hv/core/frame.h"
#include "hv/core/nested.h"
#include "hv/core/overlay.h"
#include "hv/core/pool.h"
#include "hv/core/port.h"
#include "hv/core/sched.h"
#include "hv/core/types.h"

struct vp;

#define PARTITION_MAX_VPS     64u
#define CRASH_PARAMETER_COUNT 5u

enum partition_state {
    PARTITION_CREATED,
    PARTITION_ACTIVE,
    PARTITION_FINALIZED,
};

struct partition {
    partition_id_t id;
    enum partition_state state;
    uint32_t busy;     /* atomic */
    uint32_t vp_count; /* one more than the highest index in use */
    struct vp *vp[PARTITION_MAX_VPS];
    struct frame_table *frames;
    struct spinlock register_lock, memory_lock;
    struct nested nested;
    struct pool pool;
    struct nested_source pool_source;
    spa_t cpuid_overrides; /* list of pages, raw 0: none */
    struct ports ports;    /* of the parent, for this child */
    uint64_t frames_mapped;
    gpa_t release_cursor; /* finalize: how far the memory is given back */
    uint64_t guest_os_id;
    struct overlay hypercall_page, reference_tsc;
    bool hypercall_page_locked;
    bool tsc_invariant_shown;
    bool has_apic, has_x2apic;
    uint64_t synthetic_features;               /* HV_SYNTHETIC_*, of those there are */
    uint64_t disabled_features[FEATURE_BANKS]; /* of the processor */
    bool ignores_unknown_msrs;
    uint32_t msr_intercepts; /* HV_INTERCEPT_ACCESS_*: the parent answers what would be refused */
    uint32_t exception_intercepts; /* a bit a vector */
    bool intercepts_hypercalls;    /* of codes that there are not */
    bool time_frozen;              /* no VP runs and no timer of theirs expires */
    reftime_t time_frozen_at;      /* 0: the partition's time goes on */
    reftime_t time_lag;            /* how long it has stood still, in all */
    bool tracks_access;            /* accessed and dirty bits may be asked for */
    struct sched_params share;     /* for each of its VPs */
    uint64_t crash_parameter[CRASH_PARAMETER_COUNT];
    uint64_t crash_count;
    uint64_t hypercalls;
};

/* The parent enters its own structure; children get one by partition_create. */
void partition_init(struct partition *partition, partition_id_t id, struct frame_table *frames);
void partition_register(struct partition *partition);
/* A child in state CREATED; NULL: no memory, or no identifier is free. */
struct partition *partition_create(struct frame_table *frames);
/* The child must be finalized and its pool empty. */
void partition_delete(struct partition *partition);

static inline bool partition_is_parent(const struct partition *partition)
{
    return partition->id == PARTITION_PARENT;
}

/* NULL: there is no such VP. While the partition is taken, or from its own VPs. */
static inline struct vp *partition_vp(const struct partition *partition, uint32_t index)
{
    return index < PARTITION_MAX_VPS ? __atomic_load_n(&partition->vp[index], __ATOMIC_ACQUIRE)
                                     : NULL;
}

/* How many partitions there are, the parent included. */
uint32_t partition_count(void);

/*
 * The partition with this identifier (HV_PARTITION_ID_SELF means the caller), taken for the
 * call; NULL and INVALID_PARTITION_ID if there is none or the caller may not name it; NULL and
 * SUCCESS if it is busy and the call must be made again.
 */
struct partition *partition_acquire(struct partition *caller, uint64_t id, enum hv_status *status);
void partition_release(struct partition *partition);

/* The reference time of the partition: the machine's, less what it was frozen. */
reftime_t partition_time(const struct partition *partition);

/* The page of memory behind a guest address, if the partition may access it so. */
bool partition_translate(struct partition *partition, gpa_t gpa, bool write, spa_t *page);

/*
 * Copies between guest memory and the hypervisor; the range must not cross a page.
 * False: no memory of the partition is there.
 */
bool partition_read(struct partition *partition, gpa_t gpa, void *to, size_t size);
bool partition_write(struct partition *partition, gpa_t gpa, const void *from, size_t size);

/* ---- VPs of a child; the caller holds it ---- */

/* INVALID_PARTITION_STATE, INVALID_VP_INDEX (out of range, or there already), INSUFFICIENT_MEMORY,
 * NO_RESOURCES. The VP is explicitly suspended. */
enum hv_status partition_add_vp(struct partition *partition, uint32_t index);
/* The VP must be there. */
void partition_destroy_vp(struct partition *partition, uint32_t index);

/* The share of each VP, also of those that are there: INVALID_PARAMETER, NO_RESOURCES. */
enum hv_status partition_set_share(struct partition *partition, const struct sched_params *share);

/* Stops the partition's time, with its VPs, or lets it go on where it stopped. */
void partition_freeze_time(struct partition *partition, bool freeze);

/* ---- memory of a child; the caller holds it ---- */

/* Maps the parent's frame(s) at gpa: 4 KiB, or 2 MiB with large. flags: NESTED_*. */
enum hv_status partition_map(struct partition *partition, gpa_t gpa, frame_t frame, bool large,
                             uint32_t flags);
/*
 * Takes pages out of the child's tables; the frames stay shared until partition_unshare, which
 * the caller calls after it made all LPs forget the translations. `frame`: what was there.
 */
enum hv_status partition_unmap(struct partition *partition, gpa_t gpa, bool large, frame_t *frame);
void partition_unshare(struct partition *partition, frame_t frame, bool large);

/* After a change whose table, if it took one out of use, processors may still walk. */
void partition_finish_change(struct partition *partition, struct nested_change *change);

/* Gives memory of a finalized child back until it is late; true when all is. */
bool partition_release_memory(struct partition *partition, reftime_t until);

#endif
