/* SPDX-License-Identifier: MIT */
/*
 * Opens what a worker is to use: the files of disks and the taps of NICs, in the
 * one way that README.md of this folder describes. Who has the right does it: the
 * worker itself before it locks itself in, its client afterwards.
 */
#ifndef PARENT_CONTROL_OPEN_H
#define PARENT_CONTROL_OPEN_H

#include "parent/control/config.h"
#include "parent/control/fds.h"

/*
 * What a disk is in: a file; by its URI, or for qcow2, a socket that is connected to an NBD server.
 * -1 with `error` filled. A server that is started for it becomes `user` (0: stays who asks), and
 * its pidfd is in `*server`, else -1: hand that to bh_export_settle (export.h).
 */
int bh_control_open_disk(const struct bh_disk_config *disk, long user, int *server,
                         struct bh_control_error *error);

/* The same by a worker for itself. */
int bh_control_open_own_disk(const struct bh_disk_config *disk, long user, int *server,
                             struct bh_control_error *error);

/* -1 with `error` filled. */
int bh_control_open_file(const char *path, bool read_only, struct bh_control_error *error);

/*
 * Up to `queues` queues, at most BH_FDS_MAX, of a tap that is there already; it is never made here.
 * One that was made without `multi_queue` has a single queue: then that one is opened. False with
 * `error` filled, and nothing open.
 */
bool bh_control_open_tap(const char *name, unsigned queues, struct bh_fds *fds,
                         struct bh_control_error *error);

#endif
