/* SPDX-License-Identifier: MIT */
/*
 * Operations: what somebody asked for, as rows that survive restarts and are
 * kept as history. Per object the unfinished ones form a queue in the order of
 * `number`. Their documents are cut as those of objects are.
 */
#ifndef DB_OPERATION_H
#define DB_OPERATION_H

#include "db/event.h"

struct db_operation {
    int64_t number; /* order of arrival; filled by insert */
    const char *id;
    const char *action;
    const char *object_kind;
    const char *object_id;
    const char *state; /* queued, running, succeeded, failed, cancelled */
    const char *actor;
    const char *arguments; /* JSON */
    int64_t sequence;
    int64_t created_at;
    int64_t finished_at; /* 0 while unfinished */
    const char *head;
    const char *tail;
    size_t head_size; /* filled when read */
    size_t tail_size;

    /* Filled when read. Of a queued operation: how many are before it, and the first of them. */
    int64_t position;
    const char *holder_id;
};

typedef bool db_operation_handler(void *context, const struct db_operation *operation);

enum db_result db_operation_insert(struct db *db, struct db_operation *operation);

/* Sets state, sequence, finished_at and tail of the row with this id. */
enum db_result db_operation_update(struct db *db, const struct db_operation *operation);

enum db_result db_operation_get(struct db *db, const char *id, db_operation_handler *handler,
                                void *context);

/* All queued and running ones, oldest first. */
enum db_result db_operation_unfinished(struct db *db, db_operation_handler *handler, void *context);
enum db_result db_operation_count_unfinished(struct db *db, int64_t *count);

struct db_operation_list {
    const char *state; /* each NULL: any */
    const char *action;
    const char *object_id;
    const char *object_kind;
    const char *actor;
    int64_t before; /* number; 0: from the newest */
    int64_t since;  /* only changed after this sequence; 0: all */
    int64_t limit;  /* negative: all */
};

/* Newest first. */
enum db_result db_operation_each(struct db *db, const struct db_operation_list *list,
                                 db_operation_handler *handler, void *context);
enum db_result db_operation_count(struct db *db, const struct db_operation_list *list,
                                  int64_t *count);
enum db_result db_operation_newest(struct db *db, int64_t *sequence);

/* Forgets at most `limit` that finished before `before`, with their idempotency keys. */
enum db_result db_operation_trim(struct db *db, int64_t before, int64_t limit, int64_t *trimmed);

struct db_idempotency {
    uint8_t fingerprint[DB_HASH_SIZE];
    char operation_id[40];
    int64_t created_at;
};

enum db_result db_idempotency_get(struct db *db, const char *actor, const char *key,
                                  struct db_idempotency *found);
enum db_result db_idempotency_insert(struct db *db, const char *actor, const char *key,
                                     const struct db_idempotency *record);

#endif
