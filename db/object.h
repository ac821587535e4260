/* SPDX-License-Identifier: MIT */
/*
 * Objects: the named things of the API as documents.
 *
 * A document is `head` + `,"sequence":N` + `tail` + `}`: head is a JSON object
 * without its closing brace, tail is empty or begins with a comma. The database
 * never parses either. `sequence` is the number of the event that changed the
 * row last; the caller appends that event in the same transaction.
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
    DB_HOST,
    DB_USER,
    DB_TOKEN,
    DB_KIND_COUNT
};

struct db_object {
    enum db_kind kind;
    const char *id;
    const char *scope; /* "" except for snapshots: the VM's id */
    const char *name;
    const char *state; /* "" for kinds without one */
    const char *head;
    const char *tail;
    size_t head_size; /* bytes; filled when read, ignored when written */
    size_t tail_size;
    int64_t revision;
    int64_t sequence;
};

typedef bool db_object_handler(void *context, const struct db_object *object);

const char *db_kind_name(enum db_kind kind);
bool db_kind_parse(const char *name, enum db_kind *kind);

enum db_result db_object_insert(struct db *db, const struct db_object *object);

/* Replaces name, state, revision, sequence, head and tail of the row with this id. */
enum db_result db_object_update(struct db *db, const struct db_object *object);
enum db_result db_object_set_tail(struct db *db, const char *id, const char *state,
                                  const char *tail, int64_t sequence);

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

/*
 * Values a list can be filtered by; a field may have several. Clearing takes all
 * of one field away, and what is not there is no error; setting leaves one.
 */
enum db_result db_label_add(struct db *db, const char *id, const char *field, const char *value);
enum db_result db_label_clear(struct db *db, const char *id, const char *field);
enum db_result db_label_set(struct db *db, const char *id, const char *field, const char *value);

/* `from` needs `to`; DB_EXISTS when `exclusive` and another object has it already. */
enum db_result db_reference_add(struct db *db, const char *from, const char *role, const char *to,
                                bool exclusive);
enum db_result db_reference_clear(struct db *db, const char *from);

/* The target of a reference; DB_NOT_FOUND. Each buffer has room for 64 bytes. */
enum db_result db_reference_get(struct db *db, const char *from, const char *role, char id[64],
                                char name[64]);

typedef bool db_reference_handler(void *context, const char *id, const char *kind,
                                  const char *name);

/* The objects that need `to`. */
enum db_result db_reference_users(struct db *db, const char *to, db_reference_handler *handler,
                                  void *context);

/* MAC addresses are unique on the host: DB_EXISTS. */
enum db_result db_mac_add(struct db *db, const char *vm_id, const char *mac);
enum db_result db_mac_clear(struct db *db, const char *vm_id);

typedef bool db_tombstone_handler(void *context, const char *id, const char *name,
                                  int64_t sequence);

/* Deleted since `sequence`, oldest first. */
enum db_result db_tombstones(struct db *db, enum db_kind kind, int64_t since,
                             db_tombstone_handler *handler, void *context);

#endif
