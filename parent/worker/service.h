/* SPDX-License-Identifier: MIT */
/* What the worker answers on its control socket (parent/control/README.md). */
#ifndef PARENT_WORKER_SERVICE_H
#define PARENT_WORKER_SERVICE_H

#include "parent/control/server.h"
#include "parent/partition/host.h"
#include "parent/worker/crash.h"
#include "parent/worker/disks.h"
#include "parent/worker/guest_services.h"
#include "parent/worker/journal.h"
#include "parent/worker/nics.h"
#include "parent/worker/vm.h"

struct bh_service {
    struct bh_vm *vm;
    struct bh_disks *disks;
    struct bh_nics *nics;
    struct bh_guest_services *services;
    struct bh_host *host; /* for statistics; NULL where there is no access */
    int keeper;           /* its process; 0: there is none */
    struct bh_vm_journal *journal;
    struct bh_vm_config saved_config;
};

/* Fills the callbacks of the server. */
struct bh_control_service bh_service_callbacks(struct bh_service *service);

/* The configuration with all changes goes into the journal. */
void bh_service_save_config(struct bh_service *service);

/* The members of the event `state`. */
json_t *bh_service_state_event(const struct bh_vm_status *status);

/* The members of the event `guest_crash`. */
json_t *bh_service_crash_event(const uint64_t parameters[BH_CRASH_PARAMETERS]);

#endif
