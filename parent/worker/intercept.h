/* SPDX-License-Identifier: MIT */
/* Serves one intercept of a VP: port I/O, MMIO, triple faults. */
#ifndef PARENT_WORKER_INTERCEPT_H
#define PARENT_WORKER_INTERCEPT_H

#include "parent/partition/partition.h"
#include "parent/worker/chipset.h"
#include "parent/worker/guest_memory.h"

enum bh_intercept_result {
    BH_INTERCEPT_RESUME,       /* served: the VP may run on */
    BH_INTERCEPT_TRIPLE_FAULT, /* the VP shut down */
    BH_INTERCEPT_FAILED,       /* cannot be served; see `error` */
};

struct bh_intercept_server {
    struct bh_vp *vp;
    struct bh_chipset *chipset;
    const struct bh_guest_memory *memory;
};

enum bh_intercept_result bh_intercept_serve(const struct bh_intercept_server *server,
                                            const struct hv_message *message,
                                            struct bh_error *error);

#endif
