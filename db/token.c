/* SPDX-License-Identifier: MIT */
/* Tokens' rows. */
#include <stdio.h>

#include "db/statement.h"
#include "db/token.h"

enum db_result db_token_insert(struct db *db, const struct db_token *token)
{
    return db_run(db,
                  "INSERT INTO token (id, hash, role, object_id, expires_at)"
                  " VALUES (?1, ?2, ?3, ?4, ?5)",
                  "tbttn", token->id, token->hash, (size_t)DB_HASH_SIZE, token->role,
                  token->object_id, token->expires_at ? token->expires_at : DB_NULL);
}

struct token_reader {
    db_token_handler *handler;
    void *context;
};

static bool hand_token(void *context, sqlite3_stmt *row)
{
    struct token_reader *reader = context;
    struct db_token token = {
        .id = db_column_text(row, 0),
        .name = db_column_text(row, 1),
        .hash = sqlite3_column_blob(row, 2),
        .role = db_column_text(row, 3),
        .object_id = db_column_text(row, 4),
        .expires_at = sqlite3_column_int64(row, 5),
    };

    return reader->handler(reader->context, &token);
}

enum db_result db_token_each(struct db *db, db_token_handler *handler, void *context)
{
    struct token_reader reader = {handler, context};

    return db_rows(db, hand_token, &reader,
                   "SELECT t.id, o.name, t.hash, t.role, t.object_id, t.expires_at"
                   " FROM token t JOIN object o ON o.id = t.id",
                   "");
}

enum db_result db_token_used(struct db *db, const char *id, int64_t at)
{
    return db_run(db, "UPDATE token SET used_at = max(coalesce(used_at, 0), ?2) WHERE id = ?1",
                  "ti", id, at);
}

static bool copy_id(void *context, sqlite3_stmt *row)
{
    snprintf(context, 40, "%s", db_column_text(row, 0));
    return false;
}

enum db_result db_token_expired(struct db *db, int64_t now, char id[40])
{
    enum db_result result;

    id[0] = '\0';
    result = db_rows(db, copy_id, id, "SELECT id FROM token WHERE expires_at < ?1 LIMIT 1", "i",
                     now);
    return result == DB_OK && !id[0] ? DB_NOT_FOUND : result;
}
