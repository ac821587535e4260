/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a process that holds the descriptors a guest consists of, its partition, VPs, memory
 * and journal, and starts the worker, again each time it is killed or falls. The guest stands
 * still meanwhile, and goes on when the next worker has taken the descriptors up.
 *
 * It reads nothing that a guest or a client wrote, and keeps numbered descriptors without a look
 * at them. A worker that ends by itself is not started again, nor one that has fallen
 * BH_KEEPER_FALLS_MAX times in a row within a second.
 */
#ifndef PARENT_WORKER_KEEPER_H
#define PARENT_WORKER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "parent/control/config.h"
#include "parent/partition/error.h"

#define BH_KEEPER_FALLS_MAX 5u

/* What is kept. From BH_KEPT_PARTITION on it belongs to one run of the guest. */
enum bh_kept_name {
    BH_KEPT_JOURNAL,
    BH_KEPT_MEMORY,
    BH_KEPT_PARTITION,
    BH_KEPT_PORT,                  /* the message ports, two */
    BH_KEPT_VP = BH_KEPT_PORT + 2, /* and as many VPs as there are */
    BH_KEPT_COUNT = BH_KEPT_VP + BH_CONFIG_VPS_MAX
};

/*
 * The keeper's life: starts the worker with `argv`, whose place `spare` (a NULL in front of the
 * last) it fills in. Returns the worker's exit status.
 */
int bh_keeper_run(char **argv, int argc);

/* --- the worker's side --- */

struct bh_kept {
    int socket; /* -1: nobody keeps anything */
    int fd[BH_KEPT_COUNT];
};

/* What the worker before left; descriptors are -1 where there is nothing. */
bool bh_kept_open(struct bh_kept *kept, int socket, struct bh_error *error);

/* Has a descriptor kept, instead of the one of that name. The caller still has its own. */
bool bh_kept_put(struct bh_kept *kept, unsigned name, int fd, struct bh_error *error);

/*
 * Has the keeper wait, when this process has ended, until all that its io_uring had taken is done,
 * before the next worker begins: it reads and writes the guest's memory and its disks. The kernel
 * lets nobody send such a descriptor, so the keeper fetches it; before the sandbox.
 */
bool bh_kept_put_ring(struct bh_kept *kept, int ring, struct bh_error *error);

/* Has the run's descriptors closed; when it returns they are. */
void bh_kept_drop_run(struct bh_kept *kept);

#endif
