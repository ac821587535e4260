/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables: four levels from a partition's addresses (GPA) to the
 * machine's (SPA). struct nested_format holds all that AMD's and Intel's
 * entries do not have in common; the walker is one.
 *
 * A change of one page (4 KiB or 2 MiB) has three steps:
 *   nested_prepare_map/unmap  checks, splits larger pages and adds the tables it
 *                             needs, so it may fail for want of memory. It changes
 *                             no translation; what it built serves the next change
 *                             if this one is not committed.
 *   nested_commit             one atomic store, can not fail. Returns whether
 *                             processors may have cached a translation that is
 *                             wrong now, so that the caller must flush.
 *   nested_finish             after that flush: gives back the table, if any,
 *                             that the change took out of use.
 * Replacing a mapping is allowed; who owned the old frame is the caller's
 * business, which nested_lookup serves.
 *
 * A split never unmaps anything: the new table is complete before one atomic
 * store puts it in the larger page's place, accessed and dirty bits included.
 *
 * Locks: none here. The caller holds the partition's memory lock in all
 * functions; processors walk the tables and set accessed and dirty bits
 * meanwhile.
 */
#ifndef HV_CORE_NESTED_H
#define HV_CORE_NESTED_H

#include "hv/abi/hypercall.h"
#include "hv/core/types.h"

/* What a page allows besides reading, and what its entry says of its use. */
#define NESTED_WRITE    (1u << 0)
#define NESTED_EXECUTE  (1u << 1)
#define NESTED_UNCACHED (1u << 2) /* device registers */
#define NESTED_ACCESSED (1u << 3)
#define NESTED_DIRTY    (1u << 4)

#define NESTED_GPA_BITS 48

/* Masks of an entry's bits. */
struct nested_format {
    uint64_t present; /* any of these: the entry is in use */
    uint64_t table;   /* all bits of an entry that points at a table, but the address */
    uint64_t leaf;    /* bits that every page has */
    uint64_t large;   /* additional for 2 MiB and 1 GiB pages, set in no table entry */
    uint64_t write;
    uint64_t execute, no_execute; /* bits for executable pages, bits for others */
    uint64_t cached, uncached;    /* the same for ordinary memory and device registers */
    uint64_t accessed, dirty;
    uint64_t address;
};

/* AMD: ordinary x86-64 tables, walked as user accesses. */
extern const struct nested_format nested_format_npt;

/* Where table pages come from: the boot pool for the parent, the deposit pool for a child. */
struct nested_source {
    /* A zeroed page, or false. */
    bool (*take)(struct nested_source *source, spa_t *page);
    void (*give)(struct nested_source *source, spa_t page);
};

struct nested {
    const struct nested_format *format;
    struct nested_source *source;
    spa_t root;            /* for the VMCB or the VMCS */
    uint64_t largest_leaf; /* SIZE_2M or SIZE_1G, as the processor has */
    uint64_t table_pages;
};

struct nested_leaf {
    gpa_t gpa;      /* where the page, or the hole, begins */
    uint64_t size;  /* of the page or of the hole: a power of two, bytes */
    spa_t base;     /* where the page begins in the machine */
    spa_t spa;      /* where the address asked for is in the machine */
    uint32_t flags; /* NESTED_* */
};

/* A change between its steps; opaque to callers. */
struct nested_change {
    struct nested *nested;
    spa_t table; /* that holds the entry to change; raw 0: nothing to change */
    unsigned index, level;
    uint64_t entry; /* what the entry becomes */
    spa_t retired;  /* table out of use, raw 0: none */
};

/* INSUFFICIENT_MEMORY when the source has no page for the root. */
enum hv_status nested_init(struct nested *nested, const struct nested_format *format,
                           struct nested_source *source, uint64_t largest_leaf);

/*
 * Boot only: maps gpa = spa over first .. first + size, both page-aligned, with the largest
 * pages that fit. INVALID_PARAMETER when the range is not aligned or too high;
 * INSUFFICIENT_MEMORY leaves the range mapped in part.
 */
enum hv_status nested_map_identity(struct nested *nested, spa_t first, uint64_t size,
                                   uint32_t flags);

/*
 * size: SIZE_4K or SIZE_2M; gpa and spa multiples of it. INVALID_ALIGNMENT, INVALID_PARAMETER
 * (size, or an address too high) or INSUFFICIENT_MEMORY. Unmapping where nothing is mapped needs
 * no memory. flags: NESTED_WRITE, NESTED_EXECUTE, NESTED_UNCACHED.
 */
enum hv_status nested_prepare_map(struct nested *nested, gpa_t gpa, spa_t spa, uint64_t size,
                                  uint32_t flags, struct nested_change *change);
enum hv_status nested_prepare_unmap(struct nested *nested, gpa_t gpa, uint64_t size,
                                    struct nested_change *change);
/* Commit before the next prepare on the same tables, or not at all. */
bool nested_commit(struct nested_change *change);
void nested_finish(struct nested_change *change);

/*
 * The reverse of a split: a page of size (SIZE_2M or SIZE_1G) for the table that maps gpa, if that
 * has all the parts of such a page, in order and alike. False: it has not, or such pages are not
 * used here. Needs no memory. The joined page counts as accessed and dirty. Flush after the commit.
 */
bool nested_prepare_join(struct nested *nested, gpa_t gpa, uint64_t size,
                         struct nested_change *change);

/* True: a page is there. False: leaf says from where to where there is nothing. Stepping by
 * leaf->gpa + leaf->size visits a whole partition, each step in bounded time. */
bool nested_lookup(const struct nested *nested, gpa_t gpa, struct nested_leaf *leaf);

/*
 * Clears the bits of clear (NESTED_ACCESSED, NESTED_DIRTY) in the page at gpa, whatever its
 * size, then sets those of set, and returns which of the two were set before. The caller must flush
 * before it relies on the bits being set anew, if a bit returned was to be cleared.
 */
uint32_t nested_harvest(struct nested *nested, gpa_t gpa, uint32_t clear, uint32_t set);

/*
 * Gives table pages back, budget of them at most; true when all are gone, the root included.
 * No processor may use the tables any more, and the owner has settled with the frame table
 * what was mapped.
 */
bool nested_destroy(struct nested *nested, unsigned budget);

#endif
