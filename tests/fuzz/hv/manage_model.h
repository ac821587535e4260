/* SPDX-License-Identifier: MIT */
/*
 * What the parent of fuzz_manage.c must find after each of its calls: a shadow of two children and
 * of a neighbour, made of what was granted alone, and the rules that hold between it, the frame
 * table, the pools and all nested tables:
 *   - each frame is the parent's, shared with the one child that maps it as often as it does, or
 *     deposited for one child; the parent's tables map it exactly when it is not deposited;
 *   - each page of a pool is on its free list, or in use at one place;
 *   - pools hold what was deposited, no page more or less;
 *   - the time of a child never goes back, and stands still while it is frozen, with its timers;
 *   - the neighbour, its VP, its tables and its memory are as they were.
 */
#ifndef TESTS_FUZZ_HV_MANAGE_MODEL_H
#define TESTS_FUZZ_HV_MANAGE_MODEL_H

#include "hv/core/partition.h"
#include "tests/unit/hv/host_machine.h"

#define MODEL_CHILDREN  2u
#define MODEL_NEIGHBOUR MODEL_CHILDREN
#define MODEL_VPS       3u
#define MODEL_PORTS     7u   /* ids 1 to 6; odd ones are the first child's */
#define MODEL_GPA       508u /* frame numbers of a child: two tables */
#define MODEL_GPA_COUNT 12u

/* The parent's frames, by use. */
#define FRAME_RINGS          0u
#define FRAME_INPUT          1u
#define FRAME_OUTPUT         2u
#define FRAME_NEIGHBOUR      3u
#define FRAME_NEIGHBOUR_POOL 4u
#define NEIGHBOUR_POOL       4u
#define FRAME_FIRST          8u /* those that calls give and take */
#define FRAME_NONE           UINT32_MAX
#define OWNER_PARENT         UINT32_MAX

struct model_port {
    uint32_t type; /* 0: there is none */
    bool connected;
    uint32_t connection;
};

struct model_child {
    uint64_t id; /* 0: there is none */
    enum partition_state state;
    bool vp[MODEL_VPS];
    bool tracks_access;
    bool frozen;                   /* its time */
    reftime_t time;                /* when it was looked at last */
    uint32_t map[MODEL_GPA_COUNT]; /* frames, or FRAME_NONE */
    struct model_port port[MODEL_PORTS];
    unsigned overrides; /* of CPUID */
};

struct model {
    struct model_child child[MODEL_CHILDREN + 1];
    uint32_t owner[HOST_PAGE_COUNT]; /* a child that the frame is deposited for, or OWNER_PARENT */
};

extern struct model model;

/* Ends the program with this sentence unless `ok`. */
void model_require(bool ok, const char *rule);

/* The machine's parent is there: forgets everything. */
void model_begin(void);
/* The neighbour is made: what it is now it must stay. Windows on its pages are refused. */
void model_watch_neighbour(void);
void model_forget_neighbour(void);

struct partition *model_partition(const struct model_child *child);
struct vp *model_vp(const struct model_child *child, uint32_t index);
/* Of the pool. */
uint64_t model_free_pages(const struct model_child *child);
uint32_t model_deposited(const struct model_child *child);

/* Whether the frame may be deposited, or mapped by the child. */
bool model_may_deposit(uint64_t frame);
bool model_may_map(const struct model_child *child, uint64_t frame);

/* All rules. */
void model_check(void);

#endif
