/* SPDX-License-Identifier: MIT */
/* Disks: made empty or from an image, grown, deleted. For the table of mutations. */
#ifndef MGMTD_DISK_H
#define MGMTD_DISK_H

#include "mgmtd/operation.h"

bool disk_plan_create(struct change *change);
bool disk_run_create(struct operation *operation);
bool disk_finish_create(struct operation *operation, struct db *db, struct journal *journal,
                        bool succeeded);
bool disk_plan_update(struct change *change);
bool disk_run_update(struct operation *operation);
bool disk_finish_update(struct operation *operation, struct db *db, struct journal *journal,
                        bool succeeded);
bool disk_plan_delete(struct change *change);
bool disk_run_delete(struct operation *operation);

#endif
