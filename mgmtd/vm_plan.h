/* SPDX-License-Identifier: MIT */
/* VMs: what is written when they are made, changed and deleted. For the table of mutations. */
#ifndef MGMTD_VM_PLAN_H
#define MGMTD_VM_PLAN_H

#include "mgmtd/operation.h"

bool vm_plan_create(struct change *change);
bool vm_plan_update(struct change *change);
bool vm_run_update(struct operation *operation);
bool vm_finish_update(struct operation *operation, struct db *db, struct journal *journal,
                      bool succeeded);
bool vm_plan_delete(struct change *change);
bool vm_run_delete(struct operation *operation);
bool vm_finish_delete(struct operation *operation, struct db *db, struct journal *journal,
                      bool succeeded);

/* The states: vm_run.c. */
bool vm_plan_start(struct change *change);
bool vm_plan_shutdown(struct change *change);
bool vm_plan_any(struct change *change);
bool vm_run_start(struct operation *operation);
bool vm_run_shutdown(struct operation *operation);
bool vm_run_poweroff(struct operation *operation);
bool vm_run_reset(struct operation *operation);
bool vm_run_pause(struct operation *operation);
bool vm_run_resume(struct operation *operation);

#endif
