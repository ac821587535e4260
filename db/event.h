/* SPDX-License-Identifier: MIT */
/*
 * The one durable sequence of events. Each row carries a hash over the hash of the
 * row before it and its own content, which the caller computes (db/ knows no
 * cryptography). Trimming moves the anchor, so that the
 * rest of the chain can still be verified.
 */
#ifndef DB_EVENT_H
#define DB_EVENT_H

#include "db/db.h"

#define DB_HASH_SIZE 32

struct db_event {
    int64_t sequence;
    int64_t at;
    const char *class; /* lifecycle, operation, audit */
    const char *type;  /* such as vm.started */
    const char *object_kind;
    const char *object_id;
    const char *document; /* JSON, ready to send */
    size_t document_size; /* filled when read */
    const uint8_t *hash;  /* DB_HASH_SIZE bytes */
};

struct db_event_query {
    int64_t since;         /* rows after this one */
    int64_t limit;         /* negative: all */
    const char *class;     /* NULL: any */
    const char *object_id; /* NULL: any */
    const char *type;      /* NULL: any */
};

typedef bool db_event_handler(void *context, const struct db_event *event);

/* The number and hash that the next event follows. */
enum db_result db_event_last(struct db *db, int64_t *sequence, uint8_t hash[DB_HASH_SIZE]);
enum db_result db_event_insert(struct db *db, const struct db_event *event);
enum db_result db_event_each(struct db *db, const struct db_event_query *query,
                             db_event_handler *handler, void *context);

/* Whether there is an event of this number, or was one before it was trimmed. */
enum db_result db_event_known(struct db *db, int64_t sequence, bool *known);

/* The number and hash before the oldest row that is kept. */
enum db_result db_event_anchor(struct db *db, int64_t *sequence, uint8_t hash[DB_HASH_SIZE]);

/* Forgets at most `limit` of the oldest rows from before `before`; *trimmed counts them. */
enum db_result db_event_trim(struct db *db, int64_t before, int64_t limit, int64_t *trimmed);

#endif
