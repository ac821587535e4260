/* SPDX-License-Identifier: MIT */
/* Changes of a VM that runs: which are possible, and how the worker is told. */
#ifndef MGMTD_VM_LIVE_H
#define MGMTD_VM_LIVE_H

#include "mgmtd/operation.h"

/* Names in `problem` every field that differs and cannot change on a running VM. False if any. */
bool vm_live_allowed(const json_t *before, const json_t *after, struct api_problem *problem);

/* Whether the worker must be told of the difference. */
bool vm_live_needed(const json_t *before, const json_t *after);

/*
 * Tells the worker, and opens for it what it may not open itself. False: the
 * operation's problem is set; settings and added devices are taken back.
 */
bool vm_live_apply(struct operation *operation, const struct object *vm, const json_t *before,
                   const json_t *after);

#endif
