/* SPDX-License-Identifier: MIT */
/* Rows of tokens and client certificates. */
#include "db/token.h"
#include "db/statement.h"

static const char *null_if_empty(const char *text)
{
    return text && text[0] ? text : NULL;
}

enum db_result db_token_insert(struct db *db, const struct db_token *token)
{
    return db_run(db,
                  "INSERT INTO token (id, hash, role, user_id, vm_id, expires_at)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                  "tbtttn", token->id, token->hash, (size_t)DB_HASH_SIZE, token->role,
                  null_if_empty(token->user_id), null_if_empty(token->vm_id),
                  token->expires_at ? token->expires_at : DB_NULL);
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
        .user_id = db_column_text(row, 4),
        .vm_id = db_column_text(row, 5),
        .expires_at = sqlite3_column_int64(row, 6),
    };

    return reader->handler(reader->context, &token);
}

enum db_result db_token_each(struct db *db, db_token_handler *handler, void *context)
{
    struct token_reader reader = {handler, context};

    return db_rows(db, hand_token, &reader,
                   "SELECT t.id, o.name, t.hash, t.role, t.user_id, t.vm_id, t.expires_at"
                   " FROM token t JOIN object o ON o.id = t.id",
                   "");
}

enum db_result db_token_used(struct db *db, const char *id, int64_t at, const char *tail)
{
    enum db_result result;

    result = db_run(db, "UPDATE token SET used_at = max(coalesce(used_at, 0), ?2) WHERE id = ?1",
                    "ti", id, at);
    if (result == DB_OK)
        result = db_run(db, "UPDATE object SET tail = ?2 WHERE id = ?1", "tt", id, tail);
    return result;
}

enum db_result db_certificate_insert(struct db *db, const struct db_certificate *certificate)
{
    return db_run(db,
                  "INSERT INTO certificate (fingerprint, user_id, not_after)"
                  " VALUES (?1, ?2, ?3)",
                  "tti", certificate->fingerprint, certificate->user_id, certificate->not_after);
}

struct certificate_reader {
    db_certificate_handler *handler;
    void *context;
};

static bool hand_certificate(void *context, sqlite3_stmt *row)
{
    struct certificate_reader *reader = context;
    struct db_certificate certificate = {
        .fingerprint = db_column_text(row, 0),
        .user_id = db_column_text(row, 1),
        .not_after = sqlite3_column_int64(row, 2),
    };

    return reader->handler(reader->context, &certificate);
}

enum db_result db_certificate_each(struct db *db, db_certificate_handler *handler, void *context)
{
    struct certificate_reader reader = {handler, context};

    return db_rows(db, hand_certificate, &reader,
                   "SELECT fingerprint, user_id, not_after FROM certificate", "");
}
