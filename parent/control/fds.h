/* SPDX-License-Identifier: MIT */
/* The descriptors that go with one line of the control socket: a file, or the queues of a tap. */
#ifndef PARENT_CONTROL_FDS_H
#define PARENT_CONTROL_FDS_H

#include <unistd.h>

#define BH_FDS_MAX 8u

struct bh_fds {
    unsigned count;
    int fd[BH_FDS_MAX];
};

/* `fd` alone; -1: none. */
static inline struct bh_fds bh_fds_one(int fd)
{
    return (struct bh_fds){.count = fd >= 0 ? 1 : 0, .fd = {fd}};
}

/* Closes those from `first` on. */
static inline void bh_fds_close_from(struct bh_fds *fds, unsigned first)
{
    for (unsigned i = first; i < fds->count; i++)
        (void)close(fds->fd[i]);
    fds->count = first < fds->count ? first : fds->count;
}

static inline void bh_fds_close(struct bh_fds *fds)
{
    bh_fds_close_from(fds, 0);
}

/* Gives them to the caller: afterwards there are none here. */
static inline struct bh_fds bh_fds_take(struct bh_fds *fds)
{
    struct bh_fds taken = *fds;

    fds->count = 0;
    return taken;
}

/* The one; -1: none. It stays the owner's. */
static inline int bh_fds_first(const struct bh_fds *fds)
{
    return fds->count != 0 ? fds->fd[0] : -1;
}

#endif
