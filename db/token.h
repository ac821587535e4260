/* SPDX-License-Identifier: MIT */
/* Tokens: only the hash of a secret is kept. Each insert comes after db_object_insert. */
#ifndef DB_TOKEN_H
#define DB_TOKEN_H

#include "db/event.h"

struct db_token {
    const char *id;
    const char *name; /* filled when read */
    const uint8_t *hash; /* DB_HASH_SIZE bytes */
    const char *role;
    const char *object_id; /* the one object it is good for; NULL or "": any */
    int64_t expires_at;    /* 0: never */
};

typedef bool db_token_handler(void *context, const struct db_token *token);

enum db_result db_token_insert(struct db *db, const struct db_token *token);
enum db_result db_token_each(struct db *db, db_token_handler *handler, void *context);

/* Remembers the last use; `at` only moves forward. */
enum db_result db_token_used(struct db *db, const char *id, int64_t at);

/* The id of one token that expired before `now`; DB_NOT_FOUND when there is none. */
enum db_result db_token_expired(struct db *db, int64_t now, char id[40]);

#endif
