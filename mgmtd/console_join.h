/* SPDX-License-Identifier: MIT */
/*
 * Joining a worker's console again: the worker replays its newest output, some
 * of which the scrollback has already, and says where in its output the replay
 * begins. So it is known to the byte where to go on. From there on the
 * supervisor reads.
 */
#ifndef MGMTD_CONSOLE_JOIN_H
#define MGMTD_CONSOLE_JOIN_H

#include "mgmtd/vm_table.h"
#include "parent/control/client.h"

struct console_join {
    int fd;         /* of the stream: the replay, then what comes; -1: there is none */
    uint64_t end;   /* of the scrollback at that time */
    uint64_t known; /* bytes at its begin that the scrollback has */
    uint64_t gap;   /* bytes between the scrollback and the stream that nobody has any more */
};

/* Attaches. The descriptor is the caller's. */
void console_join(struct vms *vms, const char *id, struct bh_control_client *client,
                  struct console_join *join);

/* The supervisor's. Puts what the joined stream has into the scrollback, up to `most` bytes. */
void console_join_read(struct vms *vms, struct vm *vm, size_t most);

#endif
