/* SPDX-License-Identifier: MIT */
/* What hangs on an object: labels to filter by, references, MAC addresses. */
#include <stdio.h>

#include "db/object.h"
#include "db/statement.h"

/* Removing no row is no error here. */
static enum db_result clear(struct db *db, const char *sql, const char *id)
{
    enum db_result result = db_run(db, sql, "t", id);

    return result == DB_NOT_FOUND ? DB_OK : result;
}

enum db_result db_label_add(struct db *db, const char *id, const char *field, const char *value)
{
    return db_run(db, "INSERT INTO label (object_id, field, value) VALUES (?1, ?2, ?3)", "ttt", id,
                  field, value);
}

enum db_result db_label_clear(struct db *db, const char *id, const char *field)
{
    enum db_result result =
        db_run(db, "DELETE FROM label WHERE object_id = ?1 AND field = ?2", "tt", id, field);

    return result == DB_NOT_FOUND ? DB_OK : result;
}

enum db_result db_label_set(struct db *db, const char *id, const char *field, const char *value)
{
    enum db_result result = db_label_clear(db, id, field);

    return result == DB_OK ? db_label_add(db, id, field, value) : result;
}

enum db_result db_reference_add(struct db *db, const char *from, const char *role, const char *to,
                                bool exclusive)
{
    return db_run(db,
                  "INSERT INTO reference (from_id, role, to_id, exclusive)"
                  " VALUES (?1, ?2, ?3, ?4)",
                  "ttti", from, role, to, (int64_t)exclusive);
}

enum db_result db_reference_clear(struct db *db, const char *from)
{
    return clear(db, "DELETE FROM reference WHERE from_id = ?1", from);
}

struct target {
    char *id;
    char *name;
};

static bool read_target(void *context, sqlite3_stmt *row)
{
    struct target *target = context;

    snprintf(target->id, 64, "%s", db_column_text(row, 0));
    snprintf(target->name, 64, "%s", db_column_text(row, 1));
    return false;
}

enum db_result db_reference_get(struct db *db, const char *from, const char *role, char id[64],
                                char name[64])
{
    struct target target = {id, name};
    enum db_result result;

    id[0] = '\0';
    result = db_rows(db, read_target, &target,
                     "SELECT o.id, o.name FROM reference r JOIN object o ON o.id = r.to_id"
                     " WHERE r.from_id = ?1 AND r.role = ?2",
                     "tt", from, role);
    return result == DB_OK && !id[0] ? DB_NOT_FOUND : result;
}

struct user_reader {
    db_reference_handler *handler;
    void *context;
};

static bool hand_user(void *context, sqlite3_stmt *row)
{
    struct user_reader *reader = context;

    return reader->handler(reader->context, db_column_text(row, 0), db_column_text(row, 1),
                           db_column_text(row, 2));
}

enum db_result db_reference_users(struct db *db, const char *to, db_reference_handler *handler,
                                  void *context)
{
    struct user_reader reader = {handler, context};

    return db_rows(db, hand_user, &reader,
                   "SELECT DISTINCT o.id, o.kind, o.name FROM reference r"
                   " JOIN object o ON o.id = r.from_id WHERE r.to_id = ?1",
                   "t", to);
}

enum db_result db_mac_add(struct db *db, const char *vm_id, const char *mac)
{
    return db_run(db, "INSERT INTO mac (mac, vm_id) VALUES (?1, ?2)", "tt", mac, vm_id);
}

enum db_result db_mac_clear(struct db *db, const char *vm_id)
{
    return clear(db, "DELETE FROM mac WHERE vm_id = ?1", vm_id);
}
