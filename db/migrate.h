/* SPDX-License-Identifier: MIT */
/*
 * Private to db/ and its tests: forward migrations. Version n is the schema
 * after the first n files of migrations/, kept in SQLite's user_version. A file
 * that has been released is never edited; a change is a new file.
 */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include "db/db.h"

/* Brings the file to `version`, one transaction a step. DB_NEWER when it is beyond ours. */
enum db_result db_migrate(struct db *db, int version);

#endif
