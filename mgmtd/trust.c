/* SPDX-License-Identifier: MIT */
/* Who calls: tokens, certificates and local peers against what the database says. */
#include <openssl/crypto.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/token.h"
#include "mgmtd/link.h"
#include "mgmtd/pki.h"
#include "mgmtd/trust.h"

#define KEY_SIZE 9 /* the 8 digits that name a token, and the NUL */

struct token {
    char key[KEY_SIZE];
    char id[UUID_SIZE];
    char name[NAME_SIZE];
    char user_id[UUID_SIZE];
    char vm_id[UUID_SIZE];
    uint8_t hash[SHA256_SIZE];
    enum api_role role;
    int64_t expires_at;
    _Atomic int64_t used_at;
    int64_t saved_at;
};

struct user {
    char id[UUID_SIZE];
    char name[NAME_SIZE];
    enum api_role role;
};

struct certificate {
    char fingerprint[SHA256_TEXT];
    char user_id[UUID_SIZE];
};

/* What one reading of the database found. */
struct found {
    struct token **tokens; /* sorted by id */
    size_t token_count;
    struct user *users;
    size_t user_count;
    struct certificate *certificates;
    size_t certificate_count;
    bool failed;
};

struct trust {
    struct daemon *daemon;
    pthread_rwlock_t lock;
    struct found now;
};

static const char *const role_names[] = {
    [API_ROLE_NONE] = "none",     [API_ROLE_ADMIN] = "admin",     [API_ROLE_OPERATOR] = "operator",
    [API_ROLE_VIEWER] = "viewer", [API_ROLE_METRICS] = "metrics", [API_ROLE_CONSOLE] = "console"};

enum api_role role_parse(const char *name)
{
    for (int i = API_ROLE_ADMIN; i <= API_ROLE_CONSOLE; i++)
        if (strcmp(role_names[i], name) == 0)
            return (enum api_role)i;
    return API_ROLE_NONE;
}

const char *role_name(enum api_role role)
{
    return role_names[role];
}

/*
 * Admin may all that operator may, and so on to viewer. Metrics is a part of
 * viewer, console a part of operator.
 */
enum api_role role_least(enum api_role a, enum api_role b)
{
    if (a > b)
        return role_least(b, a);
    if (a == API_ROLE_METRICS && b == API_ROLE_CONSOLE)
        return API_ROLE_NONE;
    return a == API_ROLE_NONE ? API_ROLE_NONE : b;
}

/* --- Reading --- */

static void *grow(void *array, size_t count, size_t size, struct found *found)
{
    void *grown = realloc(array, (count + 1) * size);

    if (grown)
        return grown;
    found->failed = true;
    return array;
}

/* The 8 digits are the beginning of the token's uuid. */
static bool add_token(void *context, const struct db_token *row)
{
    struct found *found = context;
    struct token *token = calloc(1, sizeof(*token));

    found->tokens = grow(found->tokens, found->token_count, sizeof(struct token *), found);
    if (found->failed || !token || !row->hash) {
        found->failed = true;
        free(token);
        return false;
    }
    snprintf(token->key, sizeof(token->key), "%s", row->id);
    snprintf(token->id, sizeof(token->id), "%s", row->id);
    snprintf(token->name, sizeof(token->name), "%s", row->name);
    snprintf(token->user_id, sizeof(token->user_id), "%s", row->user_id);
    snprintf(token->vm_id, sizeof(token->vm_id), "%s", row->vm_id);
    memcpy(token->hash, row->hash, sizeof(token->hash));
    token->role = role_parse(row->role);
    token->expires_at = row->expires_at;
    found->tokens[found->token_count++] = token;
    return true;
}

static bool add_user(void *context, const struct db_object *row)
{
    struct found *found = context;
    struct text whole = {0};
    struct user *user;
    json_t *document;

    found->users = grow(found->users, found->user_count, sizeof(struct user), found);
    if (found->failed)
        return false;
    user = &found->users[found->user_count++];
    text_append(&whole, row->head, row->head_size);
    text_puts(&whole, "}");
    document = whole.failed ? NULL : json_loadb(whole.bytes, whole.size, 0, NULL);
    snprintf(user->id, sizeof(user->id), "%s", row->id);
    snprintf(user->name, sizeof(user->name), "%s", row->name);
    user->role = role_parse(json_text(document, "role"));
    json_decref(document);
    text_free(&whole);
    return true;
}

static bool add_certificate(void *context, const struct db_certificate *row)
{
    struct found *found = context;
    struct certificate *certificate;

    found->certificates =
        grow(found->certificates, found->certificate_count, sizeof(struct certificate), found);
    if (found->failed)
        return false;
    certificate = &found->certificates[found->certificate_count++];
    snprintf(certificate->fingerprint, sizeof(certificate->fingerprint), "%s", row->fingerprint);
    snprintf(certificate->user_id, sizeof(certificate->user_id), "%s", row->user_id);
    return true;
}

static int compare_tokens(const void *a, const void *b)
{
    return strcmp((*(struct token *const *)a)->id, (*(struct token *const *)b)->id);
}

static void release(struct found *found)
{
    for (size_t i = 0; i < found->token_count; i++)
        free(found->tokens[i]);
    free(found->tokens);
    free(found->users);
    free(found->certificates);
    *found = (struct found){0};
}

/* Carries the uses over that are not saved yet. */
static void keep_uses(const struct found *before, struct found *after)
{
    for (size_t i = 0; i < before->token_count; i++) {
        struct token *const *same = bsearch(&before->tokens[i], after->tokens, after->token_count,
                                            sizeof(struct token *), compare_tokens);

        if (!same)
            continue;
        atomic_store(&(*same)->used_at, atomic_load(&before->tokens[i]->used_at));
        (*same)->saved_at = before->tokens[i]->saved_at;
    }
}

bool trust_reload(struct trust *trust)
{
    struct db *db = store_reader(trust->daemon->store);
    struct found found = {0};

    if (!db || db_token_each(db, add_token, &found) != DB_OK ||
        db_object_each(db, DB_USER, add_user, &found) != DB_OK ||
        db_certificate_each(db, add_certificate, &found) != DB_OK || found.failed) {
        release(&found);
        return false;
    }
    if (found.token_count > 0)
        qsort(found.tokens, found.token_count, sizeof(struct token *), compare_tokens);
    pthread_rwlock_wrlock(&trust->lock);
    if (found.token_count > 0)
        keep_uses(&trust->now, &found);
    release(&trust->now);
    trust->now = found;
    pthread_rwlock_unlock(&trust->lock);
    link_trust_changed(trust->daemon);
    return true;
}

struct trust *trust_open(struct daemon *daemon)
{
    struct trust *trust = calloc(1, sizeof(*trust));

    if (!trust)
        return NULL;
    trust->daemon = daemon;
    pthread_rwlock_init(&trust->lock, NULL);
    if (trust_reload(trust))
        return trust;
    free(trust);
    return NULL;
}

void trust_close(struct trust *trust)
{
    release(&trust->now);
    pthread_rwlock_destroy(&trust->lock);
    free(trust);
}

/* --- Callers. With the lock held for reading. --- */

static const struct user *find_user(const struct trust *trust, const char *id)
{
    for (size_t i = 0; i < trust->now.user_count; i++)
        if (strcmp(trust->now.users[i].id, id) == 0)
            return &trust->now.users[i];
    return NULL;
}

static bool token_expired(const struct token *token)
{
    return token->expires_at != 0 && time_now() >= token->expires_at;
}

static bool describe_token(const struct trust *trust, const struct token *token,
                           struct api_caller *caller)
{
    const struct user *user = token->user_id[0] ? find_user(trust, token->user_id) : NULL;

    if (token->user_id[0] && !user)
        return false;
    *caller = (struct api_caller){
        .role = token->role, .via = API_VIA_TOKEN, .expires_at = token->expires_at / 1000};
    snprintf(caller->name, sizeof(caller->name), "%s:%s", user ? "user" : "token",
             user ? user->name : token->name);
    snprintf(caller->token, sizeof(caller->token), "%s", token->id);
    snprintf(caller->vm, sizeof(caller->vm), "%s", token->vm_id);
    if (user) {
        snprintf(caller->user, sizeof(caller->user), "%s", user->name);
        caller->role = role_least(user->role, token->role);
    }
    return caller->role != API_ROLE_NONE;
}

/* The first token whose uuid begins with the 8 digits. */
static size_t first_token(const struct trust *trust, const char key[KEY_SIZE])
{
    size_t low = 0;
    size_t high = trust->now.token_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(trust->now.tokens[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool trust_token(void *context, const char *secret, struct api_caller *caller)
{
    struct trust *trust = ((struct daemon *)context)->trust;
    uint8_t hash[SHA256_SIZE];
    char key[KEY_SIZE];
    bool known = false;

    if (strncmp(secret, "bh_", 3) != 0 || strlen(secret) < 3 + KEY_SIZE)
        return false;
    snprintf(key, sizeof(key), "%.8s", secret + 3);
    sha256(secret, strlen(secret), hash);
    pthread_rwlock_rdlock(&trust->lock);
    for (size_t i = first_token(trust, key);
         !known && i < trust->now.token_count && strcmp(trust->now.tokens[i]->key, key) == 0; i++) {
        struct token *token = trust->now.tokens[i];

        known = CRYPTO_memcmp(token->hash, hash, sizeof(hash)) == 0 && !token_expired(token) &&
                describe_token(trust, token, caller);
        if (known)
            atomic_store(&token->used_at, time_now());
    }
    pthread_rwlock_unlock(&trust->lock);
    return known;
}

static bool describe_user(const struct user *user, struct api_caller *caller)
{
    *caller = (struct api_caller){.role = user->role, .via = API_VIA_CERTIFICATE};
    snprintf(caller->name, sizeof(caller->name), "user:%s", user->name);
    snprintf(caller->user, sizeof(caller->user), "%s", user->name);
    return caller->role != API_ROLE_NONE;
}

bool trust_certificate(void *context, const unsigned char *der, size_t size,
                       struct api_caller *caller)
{
    struct daemon *daemon = context;
    struct trust *trust = daemon->trust;
    char fingerprint[SHA256_TEXT];
    bool known = false;

    if (!pki_verify_client(daemon->pki, der, size, fingerprint))
        return false;
    pthread_rwlock_rdlock(&trust->lock);
    for (size_t i = 0; !known && i < trust->now.certificate_count; i++) {
        const struct certificate *certificate = &trust->now.certificates[i];
        const struct user *user = strcmp(certificate->fingerprint, fingerprint) == 0
                                      ? find_user(trust, certificate->user_id)
                                      : NULL;

        known = user && describe_user(user, caller);
    }
    pthread_rwlock_unlock(&trust->lock);
    return known;
}

bool trust_peer(void *context, uid_t uid, gid_t gid, struct api_caller *caller)
{
    (void)context;
    (void)gid;
    if (uid != 0 && uid != geteuid())
        return false;
    *caller = (struct api_caller){.role = API_ROLE_ADMIN, .via = API_VIA_SOCKET};
    snprintf(caller->name, sizeof(caller->name), "socket:%u", (unsigned)uid);
    return true;
}

static bool token_valid(const struct trust *trust, const struct api_caller *caller)
{
    for (size_t i = 0; i < trust->now.token_count; i++) {
        struct api_caller now;

        if (strcmp(trust->now.tokens[i]->id, caller->token) == 0)
            return !token_expired(trust->now.tokens[i]) &&
                   describe_token(trust, trust->now.tokens[i], &now) && now.role == caller->role;
    }
    return false;
}

static bool user_valid(const struct trust *trust, const struct api_caller *caller)
{
    for (size_t i = 0; i < trust->now.user_count; i++)
        if (strcmp(trust->now.users[i].name, caller->user) == 0)
            return trust->now.users[i].role == caller->role;
    return false;
}

bool trust_valid(void *context, const struct api_caller *caller)
{
    struct trust *trust = ((struct daemon *)context)->trust;
    bool valid = true;

    pthread_rwlock_rdlock(&trust->lock);
    if (caller->via == API_VIA_TOKEN)
        valid = token_valid(trust, caller);
    else if (caller->via == API_VIA_CERTIFICATE)
        valid = user_valid(trust, caller);
    pthread_rwlock_unlock(&trust->lock);
    return valid;
}

/* --- Last uses, to the minute --- */

struct uses {
    struct trust *trust;
    char (*ids)[UUID_SIZE];
    int64_t *times;
    size_t count;
};

static bool save_job(void *context, struct db *db, struct journal *journal)
{
    struct uses *uses = context;

    (void)journal;
    for (size_t i = 0; i < uses->count; i++) {
        char time[TIME_SIZE];
        char tail[64];

        time_format(uses->times[i], time);
        snprintf(tail, sizeof(tail), ",\"last_used_at\":\"%s\"", time);
        db_token_used(db, uses->ids[i], uses->times[i], tail);
    }
    return true;
}

static void collect_uses(struct trust *trust, struct uses *uses)
{
    for (size_t i = 0; i < trust->now.token_count; i++) {
        struct token *token = trust->now.tokens[i];
        int64_t used_at = atomic_load(&token->used_at) / 60000 * 60000;

        if (used_at <= token->saved_at)
            continue;
        token->saved_at = used_at;
        memcpy(uses->ids[uses->count], token->id, UUID_SIZE);
        uses->times[uses->count++] = used_at;
    }
}

void trust_save_uses(struct trust *trust)
{
    struct uses uses = {.trust = trust};
    char message[256];

    pthread_rwlock_wrlock(&trust->lock);
    uses.ids = calloc(trust->now.token_count + 1, UUID_SIZE);
    uses.times = calloc(trust->now.token_count + 1, sizeof(int64_t));
    if (uses.ids && uses.times)
        collect_uses(trust, &uses);
    pthread_rwlock_unlock(&trust->lock);
    if (uses.count > 0)
        store_call(trust->daemon->store, save_job, &uses, message, sizeof(message));
    free(uses.ids);
    free(uses.times);
}
