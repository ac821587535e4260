/* SPDX-License-Identifier: MIT */
/*
 * Opening, transactions, checks and backup.
 *
 * Locks: SQLite's own only. A reader never waits for the writer; the writer
 * waits at most BUSY_TIMEOUT_MS for a backup program or another writer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/migrate.h"
#include "db/statement.h"

#define BUSY_TIMEOUT_MS 5000

const char *db_result_name(enum db_result result)
{
    static const char *const names[] = {
        [DB_OK] = "ok",         [DB_NOT_FOUND] = "not found", [DB_EXISTS] = "exists already",
        [DB_IN_USE] = "in use", [DB_INVALID] = "invalid",     [DB_BUSY] = "locked",
        [DB_FULL] = "no space", [DB_CORRUPT] = "damaged",     [DB_NEWER] = "newer release",
        [DB_FAILED] = "failed",
    };

    return names[result];
}

const char *db_message(const struct db *db)
{
    return db->message;
}

static const char *remedy_of(enum db_result result)
{
    switch (result) {
    case DB_BUSY:
        return "another program holds it; end that program";
    case DB_FULL:
        return "free space on its file system";
    case DB_CORRUPT:
        return "restore a backup with: bulkheadd restore FILE";
    case DB_NEWER:
        return "install the release that wrote it, or restore an older backup";
    default:
        return "check the directory's owner and permissions";
    }
}

static enum db_result exec(struct db *db, const char *sql)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? DB_OK : db_fail(db, sqlite3_extended_errcode(db->handle));
}

static enum db_result set_up(struct db *db, enum db_mode mode)
{
    enum db_result result;

    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    result = exec(db, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                      "PRAGMA cell_size_check = ON;");
    if (result == DB_OK && mode == DB_WRITER)
        result = exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                          "PRAGMA wal_autocheckpoint = 4000;"
                          "PRAGMA journal_size_limit = 67108864;");
    return result;
}

/* Reads one text answer of a check; anything but "ok" is a finding. */
static bool read_finding(void *context, sqlite3_stmt *row)
{
    struct db *db = context;
    const char *text = db_column_text(row, 0);

    if (strcmp(text, "ok") != 0)
        snprintf(db->message, sizeof(db->message), "%s", text);
    return false;
}

static bool read_violation(void *context, sqlite3_stmt *row)
{
    struct db *db = context;

    snprintf(db->message, sizeof(db->message), "a row of table %s refers to a missing row of %s",
             db_column_text(row, 0), db_column_text(row, 2));
    return false;
}

static enum db_result check_with(struct db *db, const char *pragma)
{
    enum db_result result;

    db->message[0] = '\0';
    result = db_rows(db, read_finding, db, pragma, "");
    if (result == DB_OK && !db->message[0])
        result = db_rows(db, read_violation, db, "PRAGMA foreign_key_check", "");
    if (result == DB_OK && db->message[0])
        result = DB_CORRUPT;
    return result;
}

enum db_result db_check(struct db *db)
{
    return check_with(db, "PRAGMA integrity_check(1)");
}

static enum db_result open_handle(const char *path, enum db_mode mode, struct db *db)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code;

    flags |= mode == DB_WRITER ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    return code == SQLITE_OK ? DB_OK : db_fail(db, code);
}

static enum db_result open_steps(const char *path, enum db_mode mode, struct db *db)
{
    enum db_result result = open_handle(path, mode, db);

    if (result == DB_OK)
        result = set_up(db, mode);
    if (result == DB_OK && mode == DB_WRITER)
        result = check_with(db, "PRAGMA quick_check(1)");
    if (result == DB_OK && mode == DB_WRITER)
        result = db_migrate(db, db_schema_latest());
    return result;
}

/* The file holds token hashes: nobody but its owner reads it. */
static void create_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
}

enum db_result db_open(const char *path, enum db_mode mode, struct db **db, char *message,
                       size_t size)
{
    struct db *opened = calloc(1, sizeof(*opened));
    enum db_result result = DB_FAILED;

    *db = NULL;
    if (!opened) {
        snprintf(message, size, "no memory to open %s", path);
        return DB_FAILED;
    }
    if (mode == DB_WRITER)
        create_private(path);
    result = open_steps(path, mode, opened);
    if (result == DB_OK) {
        *db = opened;
        return DB_OK;
    }
    snprintf(message, size, "cannot use the database %s: %s; %s", path, opened->message,
             remedy_of(result));
    db_close(opened);
    return result;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (int i = 0; i < DB_STATEMENTS_MAX; i++) {
        sqlite3_finalize(db->statements[i].handle);
        free(db->statements[i].sql);
    }
    sqlite3_close(db->handle);
    free(db);
}

static enum db_result simple(struct db *db, const char *sql)
{
    enum db_result result = db_run(db, sql, "");

    return result == DB_NOT_FOUND ? DB_OK : result;
}

enum db_result db_begin(struct db *db)
{
    return simple(db, "BEGIN IMMEDIATE");
}

enum db_result db_commit(struct db *db)
{
    return simple(db, "COMMIT");
}

void db_rollback(struct db *db)
{
    if (db_active(db))
        simple(db, "ROLLBACK");
}

bool db_active(const struct db *db)
{
    return sqlite3_get_autocommit(db->handle) == 0;
}

enum db_result db_step_begin(struct db *db)
{
    if (!db_active(db))
        return DB_FAILED;
    return simple(db, "SAVEPOINT step");
}

enum db_result db_step_keep(struct db *db)
{
    return simple(db, "RELEASE step");
}

void db_step_undo(struct db *db)
{
    if (db_active(db)) {
        simple(db, "ROLLBACK TO step");
        simple(db, "RELEASE step");
    }
}

enum db_result db_backup(struct db *db, const char *path)
{
    enum db_result result;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0) {
        snprintf(db->message, sizeof(db->message), "cannot create %s: %s", path, strerror(errno));
        return errno == EEXIST ? DB_EXISTS : DB_FAILED;
    }
    result = db_run(db, "VACUUM INTO ?1", "t", path);
    if (result == DB_NOT_FOUND)
        result = DB_OK;
    if (result == DB_OK && fsync(fd) != 0)
        result = DB_FAILED;
    close(fd);
    if (result != DB_OK)
        unlink(path);
    return result;
}

enum db_result db_size(struct db *db, int64_t *bytes)
{
    const char *path = sqlite3_db_filename(db->handle, "main");
    const char *wal = sqlite3_filename_wal(path);
    struct stat file;

    *bytes = 0;
    if (stat(path, &file) != 0)
        return DB_FAILED;
    *bytes = file.st_size;
    if (stat(wal, &file) == 0)
        *bytes += file.st_size;
    return DB_OK;
}
