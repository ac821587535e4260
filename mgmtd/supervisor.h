/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: one thread that listens to all workers. It follows their
 * states, keeps their counters and console output, notices their ends, and asks
 * for restarts where the policy says so.
 *
 * A worker is not a child that dies with the daemon. It is found again by its
 * socket in the run directory, and known by the process id it tells.
 */
#ifndef MGMTD_SUPERVISOR_H
#define MGMTD_SUPERVISOR_H

#include "mgmtd/vm_table.h"

bool supervisor_start(struct vms *vms);
void supervisor_stop(struct vms *vms);

/* Connects to a VM's worker and hands the connection to the supervisor. True if that was done
 * before. */
bool supervisor_attach(struct vms *vms, const char *id, struct bh_control_error *error);

/* Locked. Listens to the connections of an entry that has just been connected. */
void supervisor_watch(struct vms *vms, struct vm *vm);

/* Frees an entry and its connections; the worker goes on. */
void supervisor_release(struct vm *vm);

#endif
