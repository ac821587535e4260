/* SPDX-License-Identifier: MIT */
/*
 * The network cards of the VM: opens the taps the configuration names, puts a
 * card of the guest's bus on each, and answers the control socket about them.
 */
#ifndef PARENT_WORKER_NICS_H
#define PARENT_WORKER_NICS_H

#include "parent/control/config.h"
#include "parent/control/fds.h"
#include "parent/worker/added.h"
#include "vsp/bus/vmbus.h"

struct bh_nics;

/*
 * With all cards of the configuration. Opens their taps, so it comes before the sandbox. NULL
 * with `error` filled.
 */
struct bh_nics *bh_nics_create(const struct bh_vm_config *config, struct bh_vmbus *vmbus,
                               const struct bh_added *added, struct bh_control_error *error);
void bh_nics_destroy(struct bh_nics *nics);

/*
 * One that the guest had already, when another worker ran it, or has from its start. `fds` are the
 * open queues of the tap, taken over; those beyond the guest's VPs are closed.
 */
bool bh_nics_put_in(struct bh_nics *nics, const struct bh_nic_config *config, struct bh_fds fds,
                    struct bh_control_error *error);

/* One that is new to the guest. */
bool bh_nics_add(struct bh_nics *nics, const struct bh_nic_config *config, struct bh_fds fds,
                 struct bh_control_error *error);
bool bh_nics_remove(struct bh_nics *nics, const char *id, struct bh_control_error *error);

/* The params of nic_set. */
bool bh_nics_set(struct bh_nics *nics, const json_t *params, struct bh_control_error *error);

/* Fills the NICs of a configuration as they are now. */
void bh_nics_get_config(const struct bh_nics *nics, struct bh_vm_config *config);

/* The member `nics` of status and of stats; new references. */
json_t *bh_nics_status(const struct bh_nics *nics);
json_t *bh_nics_stats(const struct bh_nics *nics);

#endif
