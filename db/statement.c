/* SPDX-License-Identifier: MIT */
/*
 * Prepared statements: a table per connection, found again by their text. A
 * statement in use is never handed out twice; when the table is full, or the
 * one wanted is busy, a one-off statement is made and db_finish frees it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/statement.h"

static enum db_result result_of_constraint(int extended)
{
    switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return DB_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
    case SQLITE_CONSTRAINT_TRIGGER: /* ON DELETE RESTRICT */
        return DB_IN_USE;
    default:
        return DB_INVALID;
    }
}

static enum db_result result_of_code(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return DB_OK;
    case SQLITE_CONSTRAINT:
        return result_of_constraint(code);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DB_BUSY;
    case SQLITE_FULL:
        return DB_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return DB_CORRUPT;
    default:
        return DB_FAILED;
    }
}

enum db_result db_fail(struct db *db, int code)
{
    enum db_result result = result_of_code(code);
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);

    snprintf(db->message, sizeof(db->message), "%s (%s)", text, db_result_name(result));
    return result;
}

static uint32_t hash_text(const char *text)
{
    uint32_t hash = 2166136261u;

    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash;
}

static struct db_statement *find_slot(struct db *db, const char *sql)
{
    uint32_t start = hash_text(sql) % DB_STATEMENTS_MAX;

    for (uint32_t i = 0; i < DB_STATEMENTS_MAX; i++) {
        struct db_statement *slot = &db->statements[(start + i) % DB_STATEMENTS_MAX];

        if (!slot->sql || strcmp(slot->sql, sql) == 0)
            return slot;
    }
    return NULL;
}

static sqlite3_stmt *compile(struct db *db, const char *sql, unsigned flags)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v3(db->handle, sql, -1, flags, &statement, NULL);

    if (code != SQLITE_OK)
        db_fail(db, code);
    return statement;
}

static sqlite3_stmt *take(struct db *db, const char *sql)
{
    struct db_statement *slot = find_slot(db, sql);

    if (!slot || (slot->handle && sqlite3_stmt_busy(slot->handle)))
        return compile(db, sql, 0);
    if (slot->handle)
        return slot->handle;
    slot->sql = strdup(sql);
    if (!slot->sql)
        return NULL;
    slot->handle = compile(db, sql, SQLITE_PREPARE_PERSISTENT);
    if (!slot->handle) {
        free(slot->sql);
        slot->sql = NULL;
    }
    return slot->handle;
}

static int bind_one(sqlite3_stmt *statement, int index, char letter, va_list *arguments)
{
    const void *bytes;
    int64_t number;

    switch (letter) {
    case 't':
        return sqlite3_bind_text(statement, index, va_arg(*arguments, const char *), -1,
                                 SQLITE_TRANSIENT);
    case 'b':
        bytes = va_arg(*arguments, const void *);
        return sqlite3_bind_blob64(statement, index, bytes, va_arg(*arguments, size_t),
                                   SQLITE_TRANSIENT);
    case 'i':
        return sqlite3_bind_int64(statement, index, va_arg(*arguments, int64_t));
    case 'n':
        number = va_arg(*arguments, int64_t);
        return number == DB_NULL ? sqlite3_bind_null(statement, index)
                                 : sqlite3_bind_int64(statement, index, number);
    default:
        return SQLITE_MISUSE;
    }
}

static sqlite3_stmt *prepare_list(struct db *db, const char *sql, const char *format,
                                  va_list *arguments)
{
    sqlite3_stmt *statement = take(db, sql);

    if (!statement)
        return NULL;
    for (int i = 0; format[i]; i++) {
        int code = bind_one(statement, i + 1, format[i], arguments);

        if (code != SQLITE_OK) {
            db_fail(db, code);
            db_finish(db, statement);
            return NULL;
        }
    }
    return statement;
}

sqlite3_stmt *db_prepare(struct db *db, const char *sql, const char *format, ...)
{
    va_list arguments;
    sqlite3_stmt *statement;

    va_start(arguments, format);
    statement = prepare_list(db, sql, format, &arguments);
    va_end(arguments);
    return statement;
}

static bool is_kept(const struct db *db, const sqlite3_stmt *statement)
{
    for (int i = 0; i < DB_STATEMENTS_MAX; i++)
        if (db->statements[i].handle == statement)
            return true;
    return false;
}

void db_finish(struct db *db, sqlite3_stmt *statement)
{
    if (!is_kept(db, statement)) {
        sqlite3_finalize(statement);
        return;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

static enum db_result run_statement(struct db *db, sqlite3_stmt *statement)
{
    enum db_result result = DB_OK;
    int code = sqlite3_step(statement);

    if (code != SQLITE_DONE && code != SQLITE_ROW)
        result = db_fail(db, sqlite3_extended_errcode(db->handle));
    else if (sqlite3_changes(db->handle) == 0)
        result = DB_NOT_FOUND;
    db_finish(db, statement);
    return result;
}

enum db_result db_run(struct db *db, const char *sql, const char *format, ...)
{
    va_list arguments;
    sqlite3_stmt *statement;

    va_start(arguments, format);
    statement = prepare_list(db, sql, format, &arguments);
    va_end(arguments);
    return statement ? run_statement(db, statement) : DB_FAILED;
}

static enum db_result step_rows(struct db *db, sqlite3_stmt *statement, db_row_handler *handler,
                                void *context)
{
    int code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        if (!handler(context, statement))
            return DB_OK;
    return code == SQLITE_DONE ? DB_OK : db_fail(db, sqlite3_extended_errcode(db->handle));
}

enum db_result db_rows_of(struct db *db, sqlite3_stmt *statement, db_row_handler *handler,
                          void *context)
{
    enum db_result result;

    if (!statement)
        return DB_FAILED;
    result = step_rows(db, statement, handler, context);
    db_finish(db, statement);
    return result;
}

enum db_result db_rows(struct db *db, db_row_handler *handler, void *context, const char *sql,
                       const char *format, ...)
{
    va_list arguments;
    sqlite3_stmt *statement;

    va_start(arguments, format);
    statement = prepare_list(db, sql, format, &arguments);
    va_end(arguments);
    return db_rows_of(db, statement, handler, context);
}

struct integer {
    int64_t value;
    bool found;
};

static bool read_integer(void *context, sqlite3_stmt *row)
{
    struct integer *integer = context;

    integer->value = sqlite3_column_int64(row, 0);
    integer->found = true;
    return false;
}

static enum db_result read_first(struct db *db, sqlite3_stmt *statement, int64_t *value)
{
    struct integer integer = {0};
    enum db_result result = db_rows_of(db, statement, read_integer, &integer);

    if (result != DB_OK)
        return result;
    *value = integer.value;
    return integer.found ? DB_OK : DB_NOT_FOUND;
}

enum db_result db_integer(struct db *db, int64_t *value, const char *sql, const char *format, ...)
{
    va_list arguments;
    sqlite3_stmt *statement;

    va_start(arguments, format);
    statement = prepare_list(db, sql, format, &arguments);
    va_end(arguments);
    return read_first(db, statement, value);
}

enum db_result db_true(struct db *db, sqlite3_stmt *statement, bool *value)
{
    int64_t integer = 0;
    enum db_result result = read_first(db, statement, &integer);

    *value = integer != 0;
    return result;
}

const char *db_column_text(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);

    return text ? (const char *)text : "";
}
