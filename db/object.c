/* SPDX-License-Identifier: MIT */
/* Objects as documents: insert, change, delete, look up; and what was deleted. */
#include <string.h>

#include "db/object.h"
#include "db/row.h"

static const char *const kind_names[DB_KIND_COUNT] = {
    [DB_VM] = "vm",           [DB_DISK] = "disk",         [DB_IMAGE] = "image",
    [DB_NETWORK] = "network", [DB_SNAPSHOT] = "snapshot", [DB_HOST] = "host",
    [DB_USER] = "user",       [DB_TOKEN] = "token",
};

const char *db_kind_name(enum db_kind kind)
{
    return kind_names[kind];
}

bool db_kind_parse(const char *name, enum db_kind *kind)
{
    for (int i = 0; i < DB_KIND_COUNT; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *kind = (enum db_kind)i;
            return true;
        }
    }
    return false;
}

enum db_result db_object_insert(struct db *db, const struct db_object *object)
{
    return db_run(db,
                  "INSERT INTO object"
                  " (id, kind, scope, name, state, revision, sequence, head, tail)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                  "tttttiitt", object->id, kind_names[object->kind], object->scope, object->name,
                  object->state, object->revision, object->sequence, object->head, object->tail);
}

enum db_result db_object_update(struct db *db, const struct db_object *object)
{
    return db_run(db,
                  "UPDATE object SET name = ?2, state = ?3, revision = ?4, sequence = ?5,"
                  " head = ?6, tail = ?7 WHERE id = ?1",
                  "tttiitt", object->id, object->name, object->state, object->revision,
                  object->sequence, object->head, object->tail);
}

enum db_result db_object_set_tail(struct db *db, const char *id, const char *state,
                                  const char *tail, int64_t sequence)
{
    return db_run(db, "UPDATE object SET state = ?2, tail = ?3, sequence = ?4 WHERE id = ?1",
                  "ttti", id, state, tail, sequence);
}

enum db_result db_object_delete(struct db *db, const char *id, int64_t sequence)
{
    enum db_result result;

    result = db_run(db,
                    "INSERT INTO tombstone (id, kind, name, sequence)"
                    " SELECT id, kind, name, ?2 FROM object WHERE id = ?1",
                    "ti", id, sequence);
    if (result != DB_OK)
        return result;
    result = db_run(db, "DELETE FROM object WHERE id = ?1", "t", id);
    if (result != DB_OK)
        db_run(db, "DELETE FROM tombstone WHERE id = ?1", "t", id);
    return result;
}

void db_row_object(sqlite3_stmt *row, enum db_kind kind, struct db_object *object)
{
    *object = (struct db_object){
        .kind = kind,
        .id = db_column_text(row, 0),
        .scope = db_column_text(row, 1),
        .name = db_column_text(row, 2),
        .state = db_column_text(row, 3),
        .revision = sqlite3_column_int64(row, 4),
        .sequence = sqlite3_column_int64(row, 5),
        .head = db_column_text(row, 6),
        .head_size = (size_t)sqlite3_column_bytes(row, 6),
        .tail = db_column_text(row, 7),
        .tail_size = (size_t)sqlite3_column_bytes(row, 7),
    };
}

bool db_row_hand_object(void *context, sqlite3_stmt *row)
{
    struct db_object_reader *reader = context;
    struct db_object object;

    reader->count++;
    db_row_object(row, reader->kind, &object);
    return reader->handler(reader->context, &object);
}

static enum db_result get_by(struct db *db, const char *sql, enum db_kind kind, const char *scope,
                             const char *key, struct db_object_reader *reader)
{
    enum db_result result =
        db_rows(db, db_row_hand_object, reader, sql, "ttt", kind_names[kind], key, scope);

    return result == DB_OK && reader->count == 0 ? DB_NOT_FOUND : result;
}

enum db_result db_object_get(struct db *db, enum db_kind kind, const char *scope,
                             const char *id_or_name, db_object_handler *handler, void *context)
{
    struct db_object_reader reader = {.kind = kind, .handler = handler, .context = context};
    enum db_result result;

    result = get_by(db,
                    "SELECT " DB_OBJECT_COLUMNS " FROM object o WHERE o.id = ?2 AND o.kind = ?1"
                    " AND (?3 = '' OR o.scope = ?3)",
                    kind, scope, id_or_name, &reader);
    if (result == DB_NOT_FOUND)
        result = get_by(db,
                        "SELECT " DB_OBJECT_COLUMNS " FROM object o"
                        " WHERE o.kind = ?1 AND o.scope = ?3 AND o.name = ?2",
                        kind, scope, id_or_name, &reader);
    return result;
}

enum db_result db_object_each(struct db *db, enum db_kind kind, db_object_handler *handler,
                              void *context)
{
    struct db_object_reader reader = {.kind = kind, .handler = handler, .context = context};

    return db_rows(db, db_row_hand_object, &reader,
                   "SELECT " DB_OBJECT_COLUMNS " FROM object o WHERE o.kind = ?1"
                   " ORDER BY o.scope, o.name",
                   "t", kind_names[kind]);
}

enum db_result db_object_count(struct db *db, enum db_kind kind, int64_t *count)
{
    return db_integer(db, count, "SELECT count(*) FROM object WHERE kind = ?1", "t",
                      kind_names[kind]);
}

enum db_result db_object_newest(struct db *db, enum db_kind kind, int64_t *sequence)
{
    return db_integer(db, sequence,
                      "SELECT max(coalesce((SELECT max(sequence) FROM object WHERE kind = ?1), 0),"
                      " coalesce((SELECT max(sequence) FROM tombstone WHERE kind = ?1), 0))",
                      "t", kind_names[kind]);
}

enum db_result db_object_was_used(struct db *db, const char *id, bool *used)
{
    return db_true(db,
                   db_prepare(db,
                              "SELECT EXISTS (SELECT 1 FROM object WHERE id = ?1)"
                              " OR EXISTS (SELECT 1 FROM tombstone WHERE id = ?1)",
                              "t", id),
                   used);
}

struct tombstone_reader {
    db_tombstone_handler *handler;
    void *context;
};

static bool hand_tombstone(void *context, sqlite3_stmt *row)
{
    struct tombstone_reader *reader = context;

    return reader->handler(reader->context, db_column_text(row, 0), db_column_text(row, 1),
                           sqlite3_column_int64(row, 2));
}

enum db_result db_tombstones(struct db *db, enum db_kind kind, int64_t since,
                             db_tombstone_handler *handler, void *context)
{
    struct tombstone_reader reader = {handler, context};

    return db_rows(db, hand_tombstone, &reader,
                   "SELECT id, name, sequence FROM tombstone"
                   " WHERE kind = ?1 AND sequence > ?2 ORDER BY sequence",
                   "ti", kind_names[kind], since);
}
