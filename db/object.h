/* SPDX-License-Identifier: MIT */
/*
 * Objects: the named things of the API as documents.
 *
 * A document is `head` + `,"status":` + `status` + `}`: head is a JSON object
 * without its closing brace, status a whole JSON object. The database never
 * parses either. `sequence` is the number of the event that changed the row
 * last; the caller appends that event in the same transaction.
 */
#ifndef DB_OBJECT_H
#define DB_OBJECT_H

#include "db/db.h"

enum db_kind {
    DB_VM,
    DB_DISK,
    DB_IMAGE,
    DB_NETWORK,
    DB_SNAPSHOT,
    DB_TOKEN,
    DB_USER,
    DB_HOST,
    DB_KIND_COUNT
};

struct db_object {
    enum db_kind kind;
    const char *id;
    const char *scope; /* "" except for snapshots: the VM's id */
    const char *name;
    const char *head;
    const char *status;
    size_t head_size; /* bytes; filled when read, ignored when written */
    size_t status_size;
    int64_t revision;
    int64_t sequence;
};

typedef bool db_object_handler(void *context, const struct db_object *object);

const char *db_kind_name(enum db_kind kind);
bool db_kind_parse(const char *name, enum db_kind *kind);

enum db_result db_object_insert(struct db *db, const struct db_object *object);

/* Replaces name, head, status, revision and sequence of the row with this id. */
enum db_result db_object_update(struct db *db, const struct db_object *object);
enum db_result db_object_set_status(struct db *db, const char *id, const char *status,
                                    int64_t sequence);

/* Removes the row (DB_IN_USE when others refer to it) and leaves a tombstone. */
enum db_result db_object_delete(struct db *db, const char *id, int64_t sequence);

/* By id, or within scope by name; ids win. Calls handler once, or returns DB_NOT_FOUND. */
enum db_result db_object_get(struct db *db, enum db_kind kind, const char *scope,
                             const char *id_or_name, db_object_handler *handler, void *context);

/* All objects of a kind, by name. */
enum db_result db_object_each(struct db *db, enum db_kind kind, db_object_handler *handler,
                              void *context);

enum db_result db_object_count(struct db *db, enum db_kind kind, int64_t *count);

/* The newest sequence among objects and tombstones of a kind; 0 for none. */
enum db_result db_object_newest(struct db *db, enum db_kind kind, int64_t *sequence);

/* Whether an id was ever used. */
enum db_result db_object_was_used(struct db *db, const char *id, bool *used);

typedef bool db_tombstone_handler(void *context, const char *id, const char *name,
                                  int64_t sequence);

/* Deleted since `sequence`, oldest first. */
enum db_result db_tombstones(struct db *db, enum db_kind kind, int64_t since,
                             db_tombstone_handler *handler, void *context);

#endif
