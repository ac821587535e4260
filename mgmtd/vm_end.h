/* SPDX-License-Identifier: MIT */
/*
 * How a VM's run ends: its worker said so or is gone. The last output is kept,
 * the connections are closed, the process is reaped, and a restart is planned
 * where the policy wants one. But for vm_end_judge all is the supervisor's
 * thread's, without the table's lock.
 */
#ifndef MGMTD_VM_END_H
#define MGMTD_VM_END_H

#include "mgmtd/vm_table.h"

/* The run ended in `state`, for a reason that a person reads. */
void vm_end(struct vms *vms, struct vm *vm, enum vm_state state, const char *reason,
            const struct vm_cause *cause);

/* Its worker is gone and did not tell us. */
void vm_end_unheard(struct vms *vms, struct vm *vm);

/* Whether the worker's process is gone. */
bool vm_end_seen(const struct vms *vms, const struct vm *vm);

/* How a VM ended whose worker is gone and was not heard, and why: by the last words in its log. */
enum vm_state vm_end_judge(const struct daemon *daemon, const struct vm_view *view, char text[256]);

/* What vms_give_up asks for. */
void vm_end_give_up(struct vms *vms, struct vm *vm);

/* Looks again at the workers that said their last word and had not ended. */
void vm_end_reap(struct vms *vms);

#endif
