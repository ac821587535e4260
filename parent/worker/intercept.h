/* SPDX-License-Identifier: MIT */
/*
 * Serves one intercept of a VP: port I/O, MMIO, triple faults. What a guest did that no processor
 * could go on from here (it executes where it has no memory, touches a device with an instruction
 * that is not emulated) is the guest's fault, with a sentence; a failure is the worker's.
 */
#ifndef PARENT_WORKER_INTERCEPT_H
#define PARENT_WORKER_INTERCEPT_H

#include "parent/partition/partition.h"
#include "parent/worker/chipset.h"
#include "parent/worker/guest_memory.h"

enum bh_intercept_result {
    BH_INTERCEPT_RESUME,       /* served: the VP may run on */
    BH_INTERCEPT_TRIPLE_FAULT, /* the VP shut down */
    BH_INTERCEPT_GUEST_FAULT,  /* the guest can not run on; `error` is the sentence */
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

/*
 * For a VP of another process: if its last intercept was served, and it does not have the result
 * yet, it gets it now; else the intercept comes again when it runs.
 */
bool bh_intercept_resume(const struct bh_intercept_server *server, struct bh_error *error);

#endif
