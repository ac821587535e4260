/* SPDX-License-Identifier: MIT */
/* The commands backup, restore and check. Each returns the program's exit status. */
#ifndef MGMTD_BACKUP_H
#define MGMTD_BACKUP_H

#include "mgmtd/options.h"

#define DATABASE_FILE "bulkhead.db"

/* Holds the state directory for this process until it ends. False: another daemon has it. */
bool state_lock(const struct options *options, char *message, size_t size);

int backup_write(const struct options *options);
int backup_restore(const struct options *options);
int backup_check(const struct options *options);

#endif
