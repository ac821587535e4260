/* SPDX-License-Identifier: MIT */
/*
 * Watches for a guest's crash report. A guest that panics writes five numbers to
 * the hypervisor's crash registers; the hypervisor keeps and counts them, and
 * this looks at the count from time to time.
 */
#ifndef PARENT_WORKER_CRASH_H
#define PARENT_WORKER_CRASH_H

#include "parent/partition/host.h"

#define BH_CRASH_PARAMETERS 5u
#define BH_CRASH_LOOK_MS    500 /* between looks */

struct bh_crash_watch {
    uint64_t partition_id; /* the one that was looked at last */
    uint64_t seen;         /* its reports so far */
};

/* True once for each new report of the partition; id 0 is none. */
bool bh_crash_look(struct bh_crash_watch *watch, struct bh_host *host, uint64_t partition_id,
                   uint64_t parameters[BH_CRASH_PARAMETERS]);

#endif
