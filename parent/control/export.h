/* SPDX-License-Identifier: MIT */
/*
 * A disk image that is not raw, served to one worker by a qemu-nbd of its own. The server gets the
 * file, one connection, and as little else as a program of others can do with: the worker's user,
 * no capabilities, no network, no way to new privileges. It ends with its connection.
 */
#ifndef PARENT_CONTROL_EXPORT_H
#define PARENT_CONTROL_EXPORT_H

#include <stdbool.h>

#include "parent/control/message.h"

struct bh_export {
    const char *path; /* absolute; the server's user becomes its owner */
    const char *format;
    bool read_only;
    long user;     /* and group, if the caller is root */
    bool attended; /* ends with the calling thread's process, too; else it outlives it */
};

/*
 * Starts the server and waits for its greeting. Returns the socket to read that from, -1 with
 * `error` filled. `*server` is the server's pidfd.
 */
int bh_export_open(const struct bh_export *export, int *server, struct bh_control_error *error);

/*
 * Waits until no server has the open image, as bh_export_open does: one ends a moment after its
 * connection. False when there is still one.
 */
bool bh_export_await_end(int image, int timeout_ms);

/* What to do with the pidfd: `used` when somebody has taken over the socket; else it is ended. */
void bh_export_settle(int server, bool used);

#endif
