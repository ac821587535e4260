/* SPDX-License-Identifier: MIT */
/* The journal of events and its hash chain. */
#include <openssl/evp.h>
#include <string.h>

#include "api/text.h"
#include "db/operation.h"
#include "mgmtd/ident.h"
#include "mgmtd/journal.h"

#define RESTORED     "host.restored"
#define RESTORED_GAP 1000000000ll /* more events than a server writes between two backups */

#define HASH_MEMBER      ",\"hash\":\""
#define HASH_MEMBER_SIZE (sizeof(HASH_MEMBER) - 1 + 64 + 2) /* with the closing quote and brace */

enum db_result journal_load(struct journal *journal, struct db *db)
{
    enum db_result result = db_event_last(db, &journal->sequence, journal->hash);

    for (int kind = 0; result == DB_OK && kind < DB_KIND_COUNT; kind++)
        result = db_object_newest(db, (enum db_kind)kind, &journal->mark[kind]);
    if (result == DB_OK)
        result = db_operation_newest(db, &journal->mark[JOURNAL_OPERATION]);
    return result;
}

static void chain(const uint8_t before[DB_HASH_SIZE], const char *bytes, size_t size,
                  uint8_t hash[DB_HASH_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    memset(hash, 0, DB_HASH_SIZE);
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(context, before, DB_HASH_SIZE) == 1 &&
        EVP_DigestUpdate(context, bytes, size) == 1)
        EVP_DigestFinal_ex(context, hash, NULL);
    EVP_MD_CTX_free(context);
}

static void write_document(struct text *text, const struct journal_event *event, int64_t sequence,
                           int64_t now)
{
    char time[TIME_SIZE];

    time_format(now, time);
    text_printf(text, "{\"sequence\":%lld,\"time\":\"%s\",\"type\":\"%s\"", (long long)sequence,
                time, event->type);
    text_printf(text, ",\"object\":{\"kind\":\"%s\",\"uuid\":\"%s\"", db_kind_name(event->kind),
                event->id);
    text_member(text, "name", event->name);
    text_puts(text, "}");
    text_member(text, "actor", event->actor);
    if (event->operation)
        text_member(text, "operation", event->operation);
    if (event->request_id)
        text_member(text, "request_id", event->request_id);
    if (event->data)
        text_printf(text, ",\"data\":%s", event->data);
}

static enum db_result insert(struct journal *journal, struct db *db,
                             const struct journal_event *event, struct text *text, int64_t now)
{
    uint8_t hash[DB_HASH_SIZE];
    char hex[SHA256_TEXT];
    struct db_event row = {.sequence = journal->sequence + 1,
                           .at = now,
                           .class = event->class,
                           .type = event->type,
                           .object_kind = db_kind_name(event->kind),
                           .object_id = event->id,
                           .hash = hash};
    enum db_result result;

    chain(journal->hash, text->bytes, text->size, hash);
    hex_format(hash, sizeof(hash), hex);
    text_printf(text, HASH_MEMBER "%s\"}", hex);
    if (text->failed)
        return DB_FAILED;
    row.document = text->bytes;
    result = db_event_insert(db, &row);
    if (result == DB_OK) {
        journal->sequence = row.sequence;
        memcpy(journal->hash, hash, sizeof(hash));
        journal->mark[event->kind] = row.sequence;
    }
    return result;
}

enum db_result journal_append(struct journal *journal, struct db *db,
                              const struct journal_event *event)
{
    struct text text = {0};
    int64_t now = time_now();
    enum db_result result;

    write_document(&text, event, journal->sequence + 1, now);
    result = text.failed ? DB_FAILED : insert(journal, db, event, &text, now);
    text_free(&text);
    return result;
}

enum db_result journal_append_restored(struct journal *journal, struct db *db, const char *host_id,
                                       const char *host_name)
{
    const struct journal_event event = {.class = "audit",
                                        .type = RESTORED,
                                        .kind = DB_HOST,
                                        .id = host_id,
                                        .name = host_name,
                                        .actor = "system"};
    int64_t before = journal->sequence;
    enum db_result result;

    journal->sequence += RESTORED_GAP;
    result = journal_append(journal, db, &event);
    if (result != DB_OK)
        journal->sequence = before;
    return result;
}

void journal_mark(struct journal *journal, enum journal_mark mark)
{
    journal->mark[mark] = journal->sequence;
}

struct verification {
    uint8_t hash[DB_HASH_SIZE];
    int64_t sequence;
    int64_t count;
    int64_t broken;
};

/* The number is hashed with the document; here only that no event was left out. */
static bool follows(const struct db_event *event, int64_t sequence)
{
    return event->sequence == sequence + 1 ||
           (event->sequence > sequence && strcmp(event->type, RESTORED) == 0);
}

static bool verify_event(void *context, const struct db_event *event)
{
    struct verification *state = context;
    uint8_t hash[DB_HASH_SIZE];

    if (!follows(event, state->sequence) || event->document_size < HASH_MEMBER_SIZE) {
        state->broken = event->sequence;
        return false;
    }
    chain(state->hash, event->document, event->document_size - HASH_MEMBER_SIZE, hash);
    if (memcmp(hash, event->hash, sizeof(hash)) != 0) {
        state->broken = event->sequence;
        return false;
    }
    memcpy(state->hash, hash, sizeof(hash));
    state->sequence = event->sequence;
    state->count++;
    return true;
}

enum db_result journal_verify(struct db *db, int64_t *count, int64_t *broken)
{
    struct verification state = {.count = 0};
    struct db_event_query query = {.limit = -1};
    enum db_result result = db_event_anchor(db, &state.sequence, state.hash);

    query.since = state.sequence;
    if (result == DB_OK)
        result = db_event_each(db, &query, verify_event, &state);
    *count = state.count;
    *broken = state.broken;
    return result == DB_OK && state.broken ? DB_CORRUPT : result;
}
