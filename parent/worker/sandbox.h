/* SPDX-License-Identifier: MIT */
/*
 * What the worker gives up before its guest runs: all files but the open ones
 * (it moves into an empty, read-only root), all networks and IPC, its user,
 * all capabilities, and every system call that it does not need.
 */
#ifndef PARENT_WORKER_SANDBOX_H
#define PARENT_WORKER_SANDBOX_H

#include "parent/partition/error.h"

struct bh_sandbox_options {
    long user; /* 0: stay the user that it is */
    long group;
    bool end_with_parent; /* who started the worker: it ends when that does */
};

/* There is no way back. On failure the process must end. */
bool bh_sandbox_enter(const struct bh_sandbox_options *options, struct bh_error *error);

#endif
