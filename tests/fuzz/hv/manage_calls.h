/* SPDX-License-Identifier: MIT */
/*
 * Calls of the parent's VPs as fuzz_manage.c makes them from its input: with what they name, slice
 * by slice, and with what the shadow is told after each slice. The steps of manage_vps.c make calls
 * on VPs, ports and properties; those on partitions and memory are in fuzz_manage.c.
 */
#ifndef TESTS_FUZZ_HV_MANAGE_CALLS_H
#define TESTS_FUZZ_HV_MANAGE_CALLS_H

#include "tests/fuzz/hv/manage_model.h"

#define CALLERS     2u
#define REPS_MAX    8u
#define BLOCK_WORDS 64u
#define INPUT       ((uint64_t)FRAME_INPUT << PAGE_SHIFT)
#define OUTPUT      ((uint64_t)FRAME_OUTPUT << PAGE_SHIFT)

/* A call of one of the parent's VPs, which may be under way. */
struct caller {
    struct vp *vp;
    bool active;
    uint64_t control;
    uint64_t block[BLOCK_WORDS];
    size_t size;
    struct model_child *child; /* that the call names, if it is one of ours */
    uint32_t done;             /* elements */
    enum hv_status status;     /* of a call that has ended */
    /* The elements from `first` to `done` were worked on, and perhaps the call has ended. */
    void (*settle)(struct caller *caller, uint32_t first, bool ended);
};

extern struct caller callers[CALLERS];

/* ---- the input: zeros behind its end ---- */

void input_set(const uint8_t *data, size_t size);
bool input_left(void);
uint64_t take(size_t bytes);
/* The id of one of our children, mostly. *child NULL: there is none by it, or none to be named. */
uint64_t take_child(struct model_child **child);
/* Frames: mostly those that there are to give, but not those in which the calls lie. */
uint64_t take_frame(void);
uint32_t take_reps(void);

/* ---- calls ---- */

/* Starts a call and does its first slice; go_on does the next. */
void begin_call(struct caller *caller, uint32_t code, uint32_t reps, const void *block,
                size_t size);
void go_on(struct caller *caller);
/* A call in one piece. */
enum hv_status call(struct caller *caller, uint32_t code, const void *block, size_t size);

/* The call named a child; if not, its status must say so. */
bool named(const struct caller *caller);

/* ---- steps of manage_vps.c; each takes what it needs from the input ---- */

void step_create_vp(struct caller *caller);
void step_delete_vp(struct caller *caller);
void step_set_register(struct caller *caller);
void step_run(struct caller *caller);
void step_state_page(struct caller *caller);
void step_unmap_state_page(struct caller *caller);
void step_interrupt(struct caller *caller);
void step_override(struct caller *caller);
void step_create_port(struct caller *caller);
void step_connect(struct caller *caller);
void step_delete_port(struct caller *caller);
void step_post_direct(struct caller *caller);
void step_property(struct caller *caller);
void step_child(struct caller *caller);
void step_intercept(struct caller *caller);

#endif
