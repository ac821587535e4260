/* SPDX-License-Identifier: MIT */
/*
 * Who may call: tokens, of which only the hash of the secret is kept, and client
 * certificates. Each token insert comes after db_object_insert of its id.
 */
#ifndef DB_TOKEN_H
#define DB_TOKEN_H

#include "db/event.h"

struct db_token {
    const char *id;
    const char *name;    /* filled when read */
    const uint8_t *hash; /* DB_HASH_SIZE bytes */
    const char *role;
    const char *user_id; /* the user it acts for; NULL or "": nobody, it stands for itself */
    const char *vm_id;   /* the one VM it is good for; NULL or "": any */
    int64_t expires_at;  /* 0: never */
};

typedef bool db_token_handler(void *context, const struct db_token *token);

enum db_result db_token_insert(struct db *db, const struct db_token *token);
enum db_result db_token_each(struct db *db, db_token_handler *handler, void *context);

/* Remembers the last use, which only moves forward, and shows it in the document's tail. */
enum db_result db_token_used(struct db *db, const char *id, int64_t at, const char *tail);

struct db_certificate {
    const char *fingerprint; /* SHA-256 in hexadecimal */
    const char *user_id;
    int64_t not_after;
};

typedef bool db_certificate_handler(void *context, const struct db_certificate *certificate);

enum db_result db_certificate_insert(struct db *db, const struct db_certificate *certificate);
enum db_result db_certificate_each(struct db *db, db_certificate_handler *handler, void *context);

#endif
