/* SPDX-License-Identifier: MIT */
/* Events: append, read, trim. */
#include <string.h>

#include "db/event.h"
#include "db/statement.h"

struct position {
    int64_t sequence;
    uint8_t *hash;
    bool found;
};

static bool read_position(void *context, sqlite3_stmt *row)
{
    struct position *position = context;
    const void *hash = sqlite3_column_blob(row, 1);

    position->sequence = sqlite3_column_int64(row, 0);
    position->found = true;
    memset(position->hash, 0, DB_HASH_SIZE);
    if (hash && sqlite3_column_bytes(row, 1) == DB_HASH_SIZE)
        memcpy(position->hash, hash, DB_HASH_SIZE);
    return false;
}

enum db_result db_event_anchor(struct db *db, int64_t *sequence, uint8_t hash[DB_HASH_SIZE])
{
    struct position position = {.hash = hash};
    enum db_result result;

    result = db_rows(db, read_position, &position, "SELECT sequence, hash FROM event_anchor", "");
    *sequence = position.sequence;
    return result;
}

enum db_result db_event_last(struct db *db, int64_t *sequence, uint8_t hash[DB_HASH_SIZE])
{
    struct position position = {.hash = hash};
    enum db_result result;

    result = db_rows(db, read_position, &position,
                     "SELECT sequence, hash FROM event ORDER BY sequence DESC LIMIT 1", "");
    if (result == DB_OK && !position.found)
        return db_event_anchor(db, sequence, hash);
    *sequence = position.sequence;
    return result;
}

enum db_result db_event_insert(struct db *db, const struct db_event *event)
{
    return db_run(db,
                  "INSERT INTO event"
                  " (sequence, at, class, type, object_kind, object_id, document, hash)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                  "iitttttb", event->sequence, event->at, event->class, event->type,
                  event->object_kind, event->object_id, event->document, event->hash,
                  (size_t)DB_HASH_SIZE);
}

enum db_result db_event_known(struct db *db, int64_t sequence, bool *known)
{
    return db_true(db,
                   db_prepare(db,
                              "SELECT ?1 <= (SELECT sequence FROM event_anchor)"
                              " OR EXISTS (SELECT 1 FROM event WHERE sequence = ?1)",
                              "i", sequence),
                   known);
}

struct event_reader {
    db_event_handler *handler;
    void *context;
};

static bool hand_event(void *context, sqlite3_stmt *row)
{
    struct event_reader *reader = context;
    struct db_event event = {
        .sequence = sqlite3_column_int64(row, 0),
        .at = sqlite3_column_int64(row, 1),
        .class = db_column_text(row, 2),
        .type = db_column_text(row, 3),
        .object_kind = db_column_text(row, 4),
        .object_id = db_column_text(row, 5),
        .document = db_column_text(row, 6),
        .document_size = (size_t)sqlite3_column_bytes(row, 6),
        .hash = sqlite3_column_blob(row, 7),
    };

    return reader->handler(reader->context, &event);
}

#define EVENT_COLUMNS "sequence, at, class, type, object_kind, object_id, document, hash"

enum db_result db_event_each(struct db *db, const struct db_event_query *query,
                             db_event_handler *handler, void *context)
{
    struct event_reader reader = {handler, context};
    const char *sql = "SELECT " EVENT_COLUMNS " FROM event WHERE sequence > ?1"
                      " AND (?3 IS NULL OR class = ?3) AND (?4 IS NULL OR type = ?4)"
                      " ORDER BY sequence LIMIT ?2";

    if (query->object_id)
        sql = "SELECT " EVENT_COLUMNS " FROM event WHERE sequence > ?1"
              " AND (?3 IS NULL OR class = ?3) AND (?4 IS NULL OR type = ?4)"
              " AND object_id = ?5 ORDER BY sequence LIMIT ?2";
    if (query->object_id)
        return db_rows(db, hand_event, &reader, sql, "iittt", query->since, query->limit,
                       query->class, query->type, query->object_id);
    return db_rows(db, hand_event, &reader, sql, "iitt", query->since, query->limit, query->class,
                   query->type);
}

/* The number of the last row to forget, 0 for none. */
static enum db_result find_last_old(struct db *db, int64_t before, int64_t limit, int64_t *last)
{
    enum db_result result;

    result = db_integer(db, last,
                        "SELECT max(sequence) FROM (SELECT sequence, at FROM event"
                        " ORDER BY sequence LIMIT ?2) WHERE at < ?1",
                        "ii", before, limit);
    return result == DB_NOT_FOUND ? DB_OK : result;
}

enum db_result db_event_trim(struct db *db, int64_t before, int64_t limit, int64_t *trimmed)
{
    int64_t last = 0;
    enum db_result result = find_last_old(db, before, limit, &last);

    *trimmed = 0;
    if (result != DB_OK || last == 0)
        return result;
    result = db_run(db,
                    "UPDATE event_anchor SET sequence = ?1,"
                    " hash = (SELECT hash FROM event WHERE sequence = ?1)",
                    "i", last);
    if (result == DB_OK)
        result = db_run(db, "DELETE FROM event WHERE sequence <= ?1", "i", last);
    if (result == DB_OK)
        *trimmed = sqlite3_changes64(db->handle);
    return result;
}
