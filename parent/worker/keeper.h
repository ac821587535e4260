/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a process that holds the descriptors a guest consists of, its partition, VPs, memory
 * and journal, and starts the worker, again each time it is killed or falls. The guest stands
 * still meanwhile, and goes on when the next worker has taken the descriptors up.
 *
 * It reads nothing that a guest or a client wrote, and keeps numbered descriptors without a look
 * at them. Before the next worker begins, what the one before had begun is over: the I/O of its
 * io_uring, and the processes that it had started, which end with it. A worker that ends by itself
 * is not started again, nor one that has fallen BH_KEEPER_FALLS_MAX times in a row within a second.
 */
#ifndef PARENT_WORKER_KEEPER_H
#define PARENT_WORKER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "parent/control/config.h"
#include "parent/control/fds.h"
#include "parent/partition/error.h"

#define BH_KEEPER_FALLS_MAX 5u

/* A disc is kept before the one that it takes the place of goes. */
#define BH_KEPT_DISKS (BH_CONFIG_DISKS_MAX + 1)
#define BH_KEPT_NICS  BH_CONFIG_NICS_MAX

/* What is kept. From BH_KEPT_PARTITION on it belongs to one run of the guest. */
enum bh_kept_name {
    BH_KEPT_JOURNAL,
    BH_KEPT_MEMORY,
    BH_KEPT_DISK, /* what was added while the guest ran; of a NIC, the queues of its tap */
    BH_KEPT_NIC = BH_KEPT_DISK + BH_KEPT_DISKS,
    BH_KEPT_PARTITION = BH_KEPT_NIC + BH_KEPT_NICS * BH_FDS_MAX,
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
    int socket;         /* -1: nobody keeps anything */
    bool servers_ended; /* all processes of the worker before ended well, and in time */
    int fd[BH_KEPT_COUNT];
};

/* What the worker before left; descriptors are -1 where there is nothing. */
bool bh_kept_open(struct bh_kept *kept, int socket, struct bh_error *error);

/*
 * Has a descriptor kept, instead of the one of that name; -1: none. The caller still has its own.
 */
bool bh_kept_put(struct bh_kept *kept, unsigned name, int fd, struct bh_error *error);

/*
 * Has the keeper wait, when this process has ended, until all that its io_uring had taken is done,
 * before the next worker begins: it reads and writes the guest's memory and its disks. The kernel
 * lets nobody send such a descriptor, so the keeper fetches it; before the sandbox.
 */
bool bh_kept_put_ring(struct bh_kept *kept, int ring, struct bh_error *error);

/* What the worker before left under that name, now the caller's; -1 when there is nothing. */
int bh_kept_take(struct bh_kept *kept, unsigned name);

/* Has the run's descriptors closed, by the keeper and those that nobody took; when it returns they
 * are. */
void bh_kept_drop_run(struct bh_kept *kept);

#endif
