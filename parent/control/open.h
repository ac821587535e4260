/* SPDX-License-Identifier: MIT */
/*
 * Opens what a worker is to use: the files of disks and the taps of NICs, in the
 * one way that README.md of this folder describes. Who has the right does it: the
 * worker itself before it locks itself in, its client afterwards.
 */
#ifndef PARENT_CONTROL_OPEN_H
#define PARENT_CONTROL_OPEN_H

#include "parent/control/config.h"

/* -1 with `error` filled. */
int bh_control_open_file(const char *path, bool read_only, struct bh_control_error *error);

/* One queue of an interface that is there already; it is never made here. */
int bh_control_open_tap(const char *name, struct bh_control_error *error);

#endif
