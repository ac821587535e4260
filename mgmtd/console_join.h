/* SPDX-License-Identifier: MIT */
/*
 * Joining a worker's console again: the worker replays its newest output, some
 * of which the scrollback has already. This finds where to go on, to the byte.
 */
#ifndef MGMTD_CONSOLE_JOIN_H
#define MGMTD_CONSOLE_JOIN_H

#include "mgmtd/vms.h"
#include "parent/control/client.h"

struct console_join {
    int fd; /* of the live stream behind the replay; -1: there is none */
    char *replay;
    size_t size;
    size_t skip; /* bytes of the replay that the scrollback has */
};

/* Attaches. Release it in every case; the descriptor is the caller's. */
void console_join(struct vms *vms, const char *id, struct bh_control_client *client,
                  struct console_join *join);
void console_join_release(struct console_join *join);

/*
 * Where in `replay` the output goes on that ends with `tail`: the end of an
 * occurrence of the tail between `from` and `to`, or `from` without one.
 */
size_t console_join_find(const char *replay, size_t size, const char *tail, size_t tail_size,
                         size_t from, size_t to);

#endif
