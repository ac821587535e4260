/* SPDX-License-Identifier: MIT */
/* Forward migrations: the SQL files of migrations/, built in by CMake, run in order. */
#include <stdio.h>

#include "db/migrate.h"
#include "db/migrations.h"
#include "db/statement.h"

int db_schema_latest(void)
{
    return (int)(sizeof(db_migrations) / sizeof(db_migrations[0]));
}

enum db_result db_schema_version(struct db *db, int *version)
{
    int64_t value = 0;
    enum db_result result = db_integer(db, &value, "PRAGMA user_version", "");

    *version = (int)value;
    return result;
}

static enum db_result run_script(struct db *db, const char *sql)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? DB_OK : db_fail(db, sqlite3_extended_errcode(db->handle));
}

static enum db_result run_step(struct db *db, int index)
{
    char pragma[64];
    enum db_result result = db_begin(db);

    if (result != DB_OK)
        return result;
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", index + 1);
    result = run_script(db, db_migrations[index]);
    if (result == DB_OK)
        result = run_script(db, pragma);
    if (result == DB_OK)
        result = db_commit(db);
    if (result != DB_OK)
        db_rollback(db);
    return result;
}

enum db_result db_migrate(struct db *db, int version)
{
    int current = 0;
    enum db_result result = db_schema_version(db, &current);

    if (result == DB_OK && current > db_schema_latest()) {
        snprintf(db->message, sizeof(db->message), "schema version %d is newer than %d", current,
                 db_schema_latest());
        return DB_NEWER;
    }
    while (result == DB_OK && current < version)
        result = run_step(db, current++);
    return result;
}
