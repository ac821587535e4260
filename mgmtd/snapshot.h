/* SPDX-License-Identifier: MIT */
/* Snapshots of a stopped VM's disks, reverting to them, and clones of VMs. */
#ifndef MGMTD_SNAPSHOT_H
#define MGMTD_SNAPSHOT_H

#include "mgmtd/operation.h"

bool snapshot_plan_create(struct change *change);
bool snapshot_run_create(struct operation *operation);
bool snapshot_finish_create(struct operation *operation, struct db *db, struct journal *journal,
                            bool succeeded);
bool snapshot_plan_revert(struct change *change);
bool snapshot_run_revert(struct operation *operation);
bool snapshot_plan_delete(struct change *change);
bool snapshot_run_delete(struct operation *operation);

/* All snapshots of the operation's VM, which is being deleted. */
bool snapshots_remove_files(struct operation *operation);
enum db_result snapshots_delete_rows(struct db *db, struct journal *journal, const char *vm_id);

bool clone_plan(struct change *change);
bool clone_run(struct operation *operation);
bool clone_finish(struct operation *operation, struct db *db, struct journal *journal,
                  bool succeeded);

#endif
