/* SPDX-License-Identifier: MIT */
/*
 * The database: one connection to the daemon's SQLite file.
 *
 * A connection belongs to one thread. There is one writer, whose commits are
 * on disk when db_commit returns (WAL, synchronous=FULL); any number of readers
 * see the last commit. Every function that can fail returns a db_result;
 * db_message then says in words what SQLite said. Texts are UTF-8, times are
 * milliseconds since 1970 UTC, ids are lower-case UUIDs.
 *
 * Rows handed to a callback are borrowed: valid until the callback returns.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum db_result {
    DB_OK,
    DB_NOT_FOUND, /* no such row */
    DB_EXISTS,    /* a unique column holds that value already */
    DB_IN_USE,    /* a row that refers to it, or is referred to, forbids it */
    DB_INVALID,   /* a CHECK or NOT NULL constraint */
    DB_BUSY,      /* another program holds the file */
    DB_FULL,      /* no space on the file system */
    DB_CORRUPT,   /* the file is damaged, or not ours */
    DB_NEWER,     /* written by a later release */
    DB_FAILED,    /* anything else: I/O, memory */
};

enum db_mode {
    DB_WRITER, /* creates the file and migrates it forward */
    DB_READER,
};

struct db;

/*
 * Opens `path`. A writer checks the file's integrity and applies missing
 * migrations, each in a transaction. On failure *db is NULL and `message`
 * (size bytes) names the file and the remedy.
 */
enum db_result db_open(const char *path, enum db_mode mode, struct db **db, char *message,
                       size_t size);
void db_close(struct db *db);

/* What went wrong in the call that failed last. Never NULL. */
const char *db_message(const struct db *db);
const char *db_result_name(enum db_result result);

/* Version of the schema this program writes, and of an open file. */
int db_schema_latest(void);
enum db_result db_schema_version(struct db *db, int *version);

enum db_result db_begin(struct db *db);
enum db_result db_commit(struct db *db);
void db_rollback(struct db *db);

/* A step inside a transaction that can be undone alone. Not nested; needs db_active. */
enum db_result db_step_begin(struct db *db);
enum db_result db_step_keep(struct db *db);
void db_step_undo(struct db *db);

/* Whether a transaction is open. SQLite ends it by itself after some failures (full disk, I/O). */
bool db_active(const struct db *db);

/* A full check: pages, indexes, foreign keys. DB_CORRUPT with the first finding as message. */
enum db_result db_check(struct db *db);

/* Copies the whole database, as of one moment, to a new file that must not exist yet. */
enum db_result db_backup(struct db *db, const char *path);

/* Bytes of the file and of its write-ahead log, for metrics. */
enum db_result db_size(struct db *db, int64_t *bytes);

#endif
