/* SPDX-License-Identifier: MIT */
/*
 * Devices that are added while the guest runs. Their files and taps were opened by somebody else
 * (the daemon), so the next worker cannot open them again: the keeper has their descriptors, each
 * in a place of its own, and the configuration in the journal says which place is whose.
 *
 * A device is kept, then written down, then shown to the guest; one that goes is taken away from
 * the guest, then no longer written down, then no longer kept. So wherever a worker falls, what the
 * guest has is there again.
 */
#ifndef PARENT_WORKER_ADDED_H
#define PARENT_WORKER_ADDED_H

#include "parent/worker/keeper.h"

struct bh_added {
    struct bh_kept *kept;
    void (*write_down)(void *context); /* the configuration, as it is now */
    void *context;
};

/* Places that are taken: a bit for each, the first one for place 1. */
struct bh_added_places {
    uint64_t bits[2];
};
_Static_assert(BH_KEPT_DISKS <= 128 && BH_KEPT_NICS <= 128, "a bit for each place");

void bh_added_place_take(struct bh_added_places *places, uint32_t place);

/* Has a disk kept in the first free place, which is returned; 0 with `error` filled. */
uint32_t bh_added_keep_disk(const struct bh_added *added, const struct bh_added_places *places,
                            int fd, struct bh_error *error);
uint32_t bh_added_keep_nic(const struct bh_added *added, const struct bh_added_places *places,
                           const struct bh_fds *fds, struct bh_error *error);

/* The place is free again; 0 is none. */
void bh_added_forget_disk(struct bh_kept *kept, uint32_t place);
void bh_added_forget_nic(struct bh_kept *kept, uint32_t place);

/*
 * What the worker before had kept in a place, now the caller's; -1, or no descriptors, when there
 * is nothing, or no such place.
 */
int bh_added_take_disk(struct bh_kept *kept, uint32_t place);
struct bh_fds bh_added_take_nic(struct bh_kept *kept, uint32_t place);

/* What nobody took is closed, here and by the keeper. */
void bh_added_forget_rest(struct bh_kept *kept);

#endif
