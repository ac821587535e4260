/* SPDX-License-Identifier: MIT */
/*
 * Private to db/: prepared statements, kept per connection, with their
 * parameters bound by a format.
 *
 * Formats, one letter a parameter: t text (NULL pointer: SQL NULL), i int64_t,
 * b blob (pointer, size_t), n int64_t with INT64_MIN as SQL NULL.
 */
#ifndef DB_STATEMENT_H
#define DB_STATEMENT_H

#include <sqlite3.h>
#include <stdarg.h>

#include "db/db.h"

#define DB_STATEMENTS_MAX 128
#define DB_NULL           INT64_MIN

struct db_statement {
    char *sql;
    sqlite3_stmt *handle;
    bool busy;
};

struct db {
    sqlite3 *handle;
    struct db_statement statements[DB_STATEMENTS_MAX];
    char message[512];
};

/* Sets db_message and maps an SQLite result code. */
enum db_result db_fail(struct db *db, int code);

/* A bound statement to step, or NULL with the message set. Give it back with db_finish. */
sqlite3_stmt *db_prepare(struct db *db, const char *sql, const char *format, ...);
void db_finish(struct db *db, sqlite3_stmt *statement);

/* Runs a statement without rows. DB_NOT_FOUND when it changed none. */
enum db_result db_run(struct db *db, const char *sql, const char *format, ...);

/* The single integer of the first row. DB_NOT_FOUND without a row; NULL reads as 0. */
enum db_result db_integer(struct db *db, int64_t *value, const char *sql, const char *format, ...);

/* Whether a prepared statement's single integer is not 0; false after a failure. Finishes it. */
enum db_result db_true(struct db *db, sqlite3_stmt *statement, bool *value);

typedef bool db_row_handler(void *context, sqlite3_stmt *row);

/* Calls `handler` for each row until it returns false. */
enum db_result db_rows(struct db *db, db_row_handler *handler, void *context, const char *sql,
                       const char *format, ...);
enum db_result db_rows_of(struct db *db, sqlite3_stmt *statement, db_row_handler *handler,
                          void *context);

/* A text column; never NULL ("" for SQL NULL). */
const char *db_column_text(sqlite3_stmt *row, int column);

#endif
