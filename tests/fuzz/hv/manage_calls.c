/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/hv/manage_calls.h"

#include <string.h>

#include "hv/core/hypercall.h"
#include "tests/unit/hv/host_arch.h"

#define UNKNOWN_ID 0x77u

struct caller callers[CALLERS];

static const uint8_t *input;
static size_t bytes_left;

/* ---- the input ---- */

void input_set(const uint8_t *data, size_t size)
{
    input = data;
    bytes_left = size;
}

bool input_left(void)
{
    return bytes_left > 0;
}

uint64_t take(size_t bytes)
{
    uint64_t value = 0;
    const size_t count = bytes < bytes_left ? bytes : bytes_left;

    memcpy(&value, input, count);
    input += count;
    bytes_left -= count;
    return value;
}

uint64_t take_child(struct model_child **child)
{
    const uint64_t form = take(1);

    *child = form % 16 < 15 ? &model.child[form % MODEL_CHILDREN] : NULL;
    if (*child != NULL && (*child)->id != 0) {
        return (*child)->id;
    }
    *child = NULL;
    return form & 0x80 ? PARTITION_PARENT : form & 0x40 ? HV_PARTITION_ID_SELF : UNKNOWN_ID;
}

uint64_t take_frame(void)
{
    const uint64_t form = take(1);

    if (form == 0xff) {
        return take(8) | (HOST_PAGE_COUNT + 1);
    }
    return form < 0xf0 ? FRAME_FIRST + form % (HOST_GUEST_PAGES - FRAME_FIRST)
                       : FRAME_NEIGHBOUR + form % (HOST_PAGE_COUNT - FRAME_NEIGHBOUR);
}

uint32_t take_reps(void)
{
    return 1 + (uint32_t)take(1) % REPS_MAX;
}

bool named(const struct caller *caller)
{
    if (caller->child == NULL) {
        model_require(caller->status == HV_STATUS_INVALID_PARTITION_ID, "there is no such child");
    }
    return caller->child != NULL;
}

/* ---- calls ---- */

static uint32_t reps_of(const struct caller *caller)
{
    return caller->control >> HV_CONTROL_REP_COUNT_SHIFT & HV_CONTROL_REP_MASK;
}

/* The next slice. */
void go_on(struct caller *caller)
{
    struct vp_registers *registers = &caller->vp->registers;
    const uint32_t first = caller->done;

    host_guest_write(INPUT, caller->block, caller->size);
    registers->rcx = caller->control;
    registers->rdx = INPUT;
    registers->r8 = OUTPUT;
    const bool ended = hypercall_dispatch(caller->vp);
    const uint64_t told = ended ? registers->rax >> HV_RESULT_REPS_SHIFT
                                : registers->rcx >> HV_CONTROL_REP_START_SHIFT;

    caller->done = told & HV_CONTROL_REP_MASK;
    caller->status = (enum hv_status)(registers->rax & 0xffff);
    caller->control = registers->rcx;
    caller->active = !ended;
    model_require(caller->done >= first && caller->done <= reps_of(caller), "a call goes forward");
    if (ended && caller->status == HV_STATUS_SUCCESS) {
        model_require(caller->done == reps_of(caller), "success means all elements");
    }
    if (caller->settle != NULL) {
        caller->settle(caller, first, ended);
    }
}

void begin_call(struct caller *caller, uint32_t code, uint32_t reps, const void *block, size_t size)
{
    caller->control = code | (uint64_t)reps << HV_CONTROL_REP_COUNT_SHIFT;
    memcpy(caller->block, block, size);
    caller->size = size;
    caller->done = 0;
    go_on(caller);
}

enum hv_status call(struct caller *caller, uint32_t code, const void *block, size_t size)
{
    caller->settle = NULL;
    begin_call(caller, code, 0, block, size);
    while (caller->active) {
        go_on(caller);
    }
    return caller->status;
}
