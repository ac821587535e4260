/* SPDX-License-Identifier: MIT */
/* Operations and idempotency keys. */
#include <stdio.h>
#include <string.h>

#include "db/operation.h"
#include "db/statement.h"

#define OPERATION_COLUMNS                                                                  \
    "p.number, p.id, p.action, p.object_kind, p.object_id, p.state, p.actor, p.arguments," \
    " p.sequence, p.created_at, p.finished_at, p.head, p.tail,"                            \
    " CASE p.state WHEN 'queued' THEN (SELECT count(*) FROM operation q"                   \
    "  WHERE q.object_id = p.object_id AND q.state IN ('queued', 'running')"               \
    "  AND q.number < p.number) ELSE 0 END,"                                               \
    " CASE p.state WHEN 'queued' THEN (SELECT q.id FROM operation q"                       \
    "  WHERE q.object_id = p.object_id AND q.state IN ('queued', 'running')"               \
    "  AND q.number < p.number ORDER BY q.number LIMIT 1) END"

enum db_result db_operation_insert(struct db *db, struct db_operation *operation)
{
    enum db_result result;

    result = db_run(db,
                    "INSERT INTO operation (id, action, object_kind, object_id, state, actor,"
                    " arguments, sequence, created_at, finished_at, head, tail)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                    "tttttttiintt", operation->id, operation->action, operation->object_kind,
                    operation->object_id, operation->state, operation->actor, operation->arguments,
                    operation->sequence, operation->created_at,
                    operation->finished_at ? operation->finished_at : DB_NULL, operation->head,
                    operation->tail);
    if (result == DB_OK)
        operation->number = sqlite3_last_insert_rowid(db->handle);
    return result;
}

enum db_result db_operation_update(struct db *db, const struct db_operation *operation)
{
    return db_run(db,
                  "UPDATE operation SET state = ?2, sequence = ?3, finished_at = ?4, tail = ?5"
                  " WHERE id = ?1",
                  "ttint", operation->id, operation->state, operation->sequence,
                  operation->finished_at ? operation->finished_at : DB_NULL, operation->tail);
}

struct operation_reader {
    db_operation_handler *handler;
    void *context;
    int64_t count;
};

static bool hand_operation(void *context, sqlite3_stmt *row)
{
    struct operation_reader *reader = context;
    struct db_operation operation = {
        .number = sqlite3_column_int64(row, 0),
        .id = db_column_text(row, 1),
        .action = db_column_text(row, 2),
        .object_kind = db_column_text(row, 3),
        .object_id = db_column_text(row, 4),
        .state = db_column_text(row, 5),
        .actor = db_column_text(row, 6),
        .arguments = db_column_text(row, 7),
        .sequence = sqlite3_column_int64(row, 8),
        .created_at = sqlite3_column_int64(row, 9),
        .finished_at = sqlite3_column_int64(row, 10),
        .head = db_column_text(row, 11),
        .head_size = (size_t)sqlite3_column_bytes(row, 11),
        .tail = db_column_text(row, 12),
        .tail_size = (size_t)sqlite3_column_bytes(row, 12),
        .position = sqlite3_column_int64(row, 13),
        .holder_id = db_column_text(row, 14),
    };

    reader->count++;
    return reader->handler(reader->context, &operation);
}

enum db_result db_operation_get(struct db *db, const char *id, db_operation_handler *handler,
                                void *context)
{
    struct operation_reader reader = {.handler = handler, .context = context};
    enum db_result result;

    result = db_rows(db, hand_operation, &reader,
                     "SELECT " OPERATION_COLUMNS " FROM operation p WHERE p.id = ?1", "t", id);
    return result == DB_OK && reader.count == 0 ? DB_NOT_FOUND : result;
}

enum db_result db_operation_unfinished(struct db *db, db_operation_handler *handler, void *context)
{
    struct operation_reader reader = {.handler = handler, .context = context};

    return db_rows(db, hand_operation, &reader,
                   "SELECT " OPERATION_COLUMNS " FROM operation p"
                   " WHERE p.state IN ('queued', 'running') ORDER BY p.number",
                   "");
}

enum db_result db_operation_count_unfinished(struct db *db, int64_t *count)
{
    return db_integer(db, count,
                      "SELECT count(*) FROM operation WHERE state IN ('queued', 'running')", "");
}

#define LIST_CONDITIONS                                                     \
    " WHERE (?1 IS NULL OR p.state = ?1) AND (?2 IS NULL OR p.action = ?2)" \
    " AND (?3 IS NULL OR p.object_kind = ?3) AND (?4 IS NULL OR p.actor = ?4)"

/* An index answers the object and the state; the rest narrows what it finds. */
static const char *narrowest(const struct db_operation_list *list, const char *by_object,
                             const char *by_state, const char *all)
{
    if (list->object_id)
        return by_object;
    return list->state ? by_state : all;
}

enum db_result db_operation_each(struct db *db, const struct db_operation_list *list,
                                 db_operation_handler *handler, void *context)
{
    static const char by_object[] =
        "SELECT " OPERATION_COLUMNS
        " FROM operation p INDEXED BY operation_by_object" LIST_CONDITIONS
        " AND p.number < ?5 AND p.sequence > ?6 AND p.object_id = ?8"
        " ORDER BY p.number DESC LIMIT ?7";
    static const char by_state[] = "SELECT " OPERATION_COLUMNS " FROM operation p" LIST_CONDITIONS
                                   " AND p.number < ?5 AND p.sequence > ?6 AND p.state = ?8"
                                   " ORDER BY p.number DESC LIMIT ?7";
    static const char all[] = "SELECT " OPERATION_COLUMNS " FROM operation p" LIST_CONDITIONS
                              " AND p.number < ?5 AND p.sequence > ?6 AND ?8 IS NULL"
                              " ORDER BY p.number DESC LIMIT ?7";
    struct operation_reader reader = {.handler = handler, .context = context};

    return db_rows(db, hand_operation, &reader, narrowest(list, by_object, by_state, all),
                   "ttttiiit", list->state, list->action, list->object_kind, list->actor,
                   list->before > 0 ? list->before : INT64_MAX, list->since, list->limit,
                   list->object_id ? list->object_id : list->state);
}

enum db_result db_operation_count(struct db *db, const struct db_operation_list *list,
                                  int64_t *count)
{
    static const char by_object[] =
        "SELECT count(*) FROM operation p" LIST_CONDITIONS " AND p.object_id = ?5";
    static const char by_state[] =
        "SELECT count(*) FROM operation p" LIST_CONDITIONS " AND p.state = ?5";
    static const char all[] = "SELECT count(*) FROM operation p" LIST_CONDITIONS " AND ?5 IS NULL";

    return db_integer(db, count, narrowest(list, by_object, by_state, all), "ttttt", list->state,
                      list->action, list->object_kind, list->actor,
                      list->object_id ? list->object_id : list->state);
}

enum db_result db_operation_newest(struct db *db, int64_t *sequence)
{
    return db_integer(db, sequence, "SELECT max(sequence) FROM operation", "");
}

enum db_result db_operation_trim(struct db *db, int64_t before, int64_t limit, int64_t *trimmed)
{
    enum db_result result;

    result = db_run(db,
                    "DELETE FROM operation WHERE number IN (SELECT number FROM operation"
                    " WHERE finished_at < ?1 ORDER BY finished_at LIMIT ?2)",
                    "ii", before, limit);
    *trimmed = result == DB_OK ? sqlite3_changes64(db->handle) : 0;
    return result == DB_NOT_FOUND ? DB_OK : result;
}

struct idempotency_reader {
    struct db_idempotency *found;
    bool any;
};

static bool read_idempotency(void *context, sqlite3_stmt *row)
{
    struct idempotency_reader *reader = context;
    const void *fingerprint = sqlite3_column_blob(row, 0);

    reader->any = true;
    memset(reader->found->fingerprint, 0, DB_HASH_SIZE);
    if (fingerprint && sqlite3_column_bytes(row, 0) == DB_HASH_SIZE)
        memcpy(reader->found->fingerprint, fingerprint, DB_HASH_SIZE);
    snprintf(reader->found->operation_id, sizeof(reader->found->operation_id), "%s",
             db_column_text(row, 1));
    reader->found->created_at = sqlite3_column_int64(row, 2);
    return false;
}

enum db_result db_idempotency_get(struct db *db, const char *actor, const char *key,
                                  struct db_idempotency *found)
{
    struct idempotency_reader reader = {.found = found};
    enum db_result result;

    result = db_rows(db, read_idempotency, &reader,
                     "SELECT fingerprint, operation_id, created_at FROM idempotency"
                     " WHERE actor = ?1 AND key = ?2",
                     "tt", actor, key);
    return result == DB_OK && !reader.any ? DB_NOT_FOUND : result;
}

enum db_result db_idempotency_insert(struct db *db, const char *actor, const char *key,
                                     const struct db_idempotency *record)
{
    return db_run(db,
                  "INSERT INTO idempotency (actor, key, fingerprint, operation_id, created_at)"
                  " VALUES (?1, ?2, ?3, ?4, ?5)",
                  "ttbti", actor, key, record->fingerprint, (size_t)DB_HASH_SIZE,
                  record->operation_id, record->created_at);
}
