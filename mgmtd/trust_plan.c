/* SPDX-License-Identifier: MIT */
/* Users, tokens and client certificates are made and removed. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/token.h"
#include "mgmtd/pki.h"
#include "mgmtd/trust.h"

#define LIFETIME_DEFAULT 7776000 /* seconds: 90 days */
#define LIFETIME_CONSOLE 3600

static void reload(struct change *change)
{
    trust_reload(change->daemon->trust);
}

/* --- Users --- */

static bool label_role(struct change *change)
{
    const struct object *object = &change->object;
    enum db_result result =
        db_label_set(change->db, object->id, "role", json_text(object->document, "role"));

    return result == DB_OK || change_refuse(change, result);
}

bool user_plan_create(struct change *change)
{
    change->committed = reload;
    change->object.tail = strdup("");
    return change_insert(change) && label_role(change);
}

struct admins {
    const char *except;
    int count;
};

static bool count_admin(void *context, const struct db_object *row)
{
    struct admins *admins = context;

    admins->count +=
        strcmp(row->id, admins->except) != 0 && strstr(row->head, "\"role\":\"admin\"") != NULL;
    return true;
}

/* Somebody else must stay an administrator. */
static bool another_admin(struct change *change)
{
    struct admins admins = {.except = change->object.id};

    db_object_each(change->db, DB_USER, count_admin, &admins);
    if (admins.count > 0)
        return true;
    api_problem_set(&change->problem, API_PROBLEM_WRONG_STATE,
                    "%s is the last administrator. Make another one first.", change->object.name);
    return false;
}

static bool is_admin(const struct object *user)
{
    return strcmp(json_text(user->document, "role"), "admin") == 0;
}

bool user_plan_update(struct change *change)
{
    bool was = is_admin(&change->object);

    json_merge(change->object.document, change->body);
    change->committed = reload;
    if (was && !is_admin(&change->object) && !another_admin(change))
        return false;
    return change_update(change) && label_role(change);
}

struct doomed {
    const char *user_id;
    json_t *tokens;
};

static bool collect_token(void *context, const struct db_token *row)
{
    struct doomed *doomed = context;

    if (strcmp(row->user_id, doomed->user_id) == 0)
        json_array_append_new(doomed->tokens, json_string(row->id));
    return true;
}

bool user_plan_delete(struct change *change)
{
    struct doomed doomed = {change->object.id, json_array()};
    enum db_result result;
    const json_t *id;
    size_t index;

    change->committed = reload;
    if (is_admin(&change->object) && !another_admin(change)) {
        json_decref(doomed.tokens);
        return false;
    }
    result = db_token_each(change->db, collect_token, &doomed);
    json_array_foreach(doomed.tokens, index, id)
    {
        if (result == DB_OK)
            result = db_object_delete(change->db, json_string_value(id), change->sequence);
        change->journal->mark[DB_TOKEN] = change->sequence;
    }
    json_decref(doomed.tokens);
    if (result == DB_OK)
        result = db_object_delete(change->db, change->object.id, change->sequence);
    return result == DB_OK || change_refuse(change, result);
}

/* --- Tokens --- */

bool token_make(char secret[TOKEN_SECRET_SIZE], uint8_t hash[SHA256_SIZE])
{
    uint8_t bytes[32];
    char hex[SHA256_TEXT];

    if (!random_bytes(bytes, sizeof(bytes)))
        return false;
    hex_format(bytes, sizeof(bytes), hex);
    /* The 8 digits in front are the token's uuid's, which the caller has put there. */
    snprintf(secret + 12, TOKEN_SECRET_SIZE - 12, "%s", hex);
    sha256(secret, strlen(secret), hash);
    return true;
}

static bool forbid(struct change *change, const char *detail)
{
    api_problem_set(&change->problem, API_PROBLEM_FORBIDDEN, "%s", detail);
    return false;
}

static bool refuse_field(struct change *change, const char *pointer, const char *detail)
{
    api_problem_set(&change->problem, API_PROBLEM_INVALID_FIELDS, "%s %s.", pointer, detail);
    api_problem_point(&change->problem, pointer, "%s", detail);
    return false;
}

/* An operator may lend the console of one VM for an hour, and nothing else. */
static bool may_make(struct change *change, const char *user)
{
    const struct api_caller *caller = &change->request->caller;
    int64_t lifetime = json_number(change->body, "lifetime", LIFETIME_DEFAULT);

    if (caller->role == API_ROLE_ADMIN)
        return true;
    if (strcmp(json_text(change->body, "role"), "console") != 0)
        return forbid(change, "An operator makes tokens of the role console only.");
    if (lifetime > LIFETIME_CONSOLE)
        return forbid(change, "An operator makes tokens that live up to 3600 seconds.");
    return strcmp(user, caller->user) == 0 ||
           forbid(change, "An operator makes tokens for itself only.");
}

static bool find_vm(struct change *change, char vm_id[UUID_SIZE])
{
    const char *name = json_text(change->body, "vm");
    struct object vm;
    enum db_result result;

    vm_id[0] = '\0';
    if (!name[0])
        return strcmp(json_text(change->body, "role"), "console") != 0 ||
               refuse_field(change, "/vm", "is needed for the role console");
    result = object_load(&vm, change->db, DB_VM, "", name);
    snprintf(vm_id, UUID_SIZE, "%s", vm.id);
    object_release(&vm);
    return result == DB_OK || refuse_field(change, "/vm", "names no VM");
}

static bool find_user(struct change *change, const char *name, char user_id[UUID_SIZE])
{
    struct object user;
    enum db_result result;
    enum api_role role;
    enum api_role wanted = role_parse(json_text(change->body, "role"));

    user_id[0] = '\0';
    if (!name[0])
        return true;
    result = object_load(&user, change->db, DB_USER, "", name);
    role = role_parse(json_text(user.document, "role"));
    snprintf(user_id, UUID_SIZE, "%s", user.id);
    object_release(&user);
    if (result != DB_OK)
        return refuse_field(change, "/user", "names no user");
    return role_least(role, wanted) == wanted ||
           refuse_field(change, "/role", "is more than the user may");
}

static bool write_labels(struct change *change, const char *user)
{
    const char *id = change->object.id;
    enum db_result result = db_label_add(change->db, id, "role", json_text(change->body, "role"));

    if (result == DB_OK && user[0])
        result = db_label_add(change->db, id, "user", user);
    return result == DB_OK || change_refuse(change, result);
}

/* The document, with the secret that is said once. */
static bool show_secret(struct change *change, const char *secret)
{
    json_t *shown = json_copy(change->object.document);

    json_object_set_new(shown, "sequence", json_integer(change->sequence));
    if (!change->dry_run)
        json_object_set_new(shown, "secret", json_string(secret));
    change->document = json_dumps(shown, JSON_COMPACT);
    object_etag(change->object.id, 1, change->etag);
    json_decref(shown);
    return change->document != NULL;
}

bool token_plan_create(struct change *change)
{
    int64_t lifetime = json_number(change->body, "lifetime", LIFETIME_DEFAULT);
    int64_t expires_at = change->now + lifetime * 1000;
    char secret[TOKEN_SECRET_SIZE];
    uint8_t hash[SHA256_SIZE];
    char user[NAME_SIZE];
    char user_id[UUID_SIZE];
    char vm_id[UUID_SIZE];
    char expires[TIME_SIZE];
    struct db_token row = {.id = change->object.id,
                           .hash = hash,
                           .user_id = user_id,
                           .vm_id = vm_id,
                           .expires_at = expires_at};
    enum db_result result;

    snprintf(user, sizeof(user), "%s",
             json_object_get(change->body, "user") ? json_text(change->body, "user")
                                                   : change->request->caller.user);
    if (!may_make(change, user) || !find_user(change, user, user_id) || !find_vm(change, vm_id))
        return false;
    time_format(expires_at, expires);
    json_object_del(change->body, "lifetime");
    if (user[0])
        json_object_set_new(change->body, "user", json_string(user));
    if (vm_id[0])
        json_object_set_new(change->body, "vm", json_string(vm_id));
    json_object_set_new(change->body, "expires_at", json_string(expires));
    row.role = json_text(change->body, "role");
    change->object.tail = strdup("");
    change->committed = reload;
    snprintf(secret, sizeof(secret), "bh_%.8s_", change->object.id);
    if (!token_make(secret, hash) || !change_insert(change))
        return false;
    result = db_token_insert(change->db, &row);
    return (result == DB_OK || change_refuse(change, result)) && write_labels(change, user) &&
           show_secret(change, secret);
}

bool token_plan_delete(struct change *change)
{
    enum db_result result = db_object_delete(change->db, change->object.id, change->sequence);

    change->committed = reload;
    return result == DB_OK || change_refuse(change, result);
}

/* --- Certificates --- */

bool certificate_plan_create(struct change *change)
{
    int64_t lifetime = json_number(change->body, "lifetime", LIFETIME_DEFAULT);
    struct pki_signed made = {.certificate = NULL};
    char message[256] = "";
    char not_after[TIME_SIZE];
    struct db_certificate row;
    char *authorities;
    enum db_result result;
    json_t *document;

    if (!pki_sign_client(change->daemon->pki, json_text(change->body, "request"),
                         change->object.name, lifetime, &made, message, sizeof(message)))
        return refuse_field(change, "/request", message);
    row = (struct db_certificate){made.fingerprint, change->object.id, made.not_after};
    result = db_certificate_insert(change->db, &row);
    time_format(made.not_after, not_after);
    authorities = pki_authorities(change->daemon->pki);
    document = json_pack("{s:s, s:s, s:s, s:s, s:s}", "user", change->object.name, "certificate",
                         made.certificate, "authorities", authorities ? authorities : "",
                         "fingerprint", made.fingerprint, "not_after", not_after);
    if (change->dry_run)
        json_object_del(document, "certificate");
    change->document = json_dumps(document, JSON_COMPACT);
    change->arguments = document; /* for a repeat of the request */
    change->committed = reload;
    free(authorities);
    free(made.certificate);
    return (result == DB_OK && change->document) || change_refuse(change, result);
}

/* --- The first administrator --- */

struct first {
    char secret[TOKEN_SECRET_SIZE];
    uint8_t hash[SHA256_SIZE];
    enum db_result result;
};

static enum db_result insert_first(struct db *db, struct journal *journal, enum db_kind kind,
                                   const char *id, const char *name, json_t *more)
{
    struct object object = {.kind = kind, .revision = 1};
    struct journal_event event = {
        .class = "audit", .kind = kind, .id = id, .name = name, .actor = "system"};
    char now[TIME_SIZE];
    enum db_result result;

    event.type = kind == DB_USER ? "user.created" : "token.created";
    time_format(time_now(), now);
    snprintf(object.id, sizeof(object.id), "%s", id);
    snprintf(object.name, sizeof(object.name), "%s", name);
    object.tail = strdup("");
    object.document = json_pack("{s:s, s:s}", "uuid", id, "name", name);
    json_object_update(object.document, more);
    json_object_update_new(object.document, json_pack("{s:i, s:s, s:s}", "revision", 1,
                                                      "created_at", now, "updated_at", now));
    result = journal_append(journal, db, &event);
    object.sequence = journal->sequence;
    if (result == DB_OK)
        result = object_insert(&object, db);
    if (result == DB_OK)
        result = db_label_add(db, id, "role", "admin");
    object_release(&object);
    json_decref(more);
    return result;
}

static bool first_job(void *context, struct db *db, struct journal *journal)
{
    struct first *first = context;
    char user_id[UUID_SIZE];
    char token_id[UUID_SIZE];
    struct db_token row = {
        .id = token_id, .hash = first->hash, .role = "admin", .user_id = user_id};
    int64_t users = 0;

    first->secret[0] = '\0';
    first->result = db_object_count(db, DB_USER, &users);
    if (first->result != DB_OK || users > 0)
        return false;
    uuid_make(user_id);
    uuid_make(token_id);
    snprintf(first->secret, sizeof(first->secret), "bh_%.8s_", token_id);
    if (!token_make(first->secret, first->hash))
        return false;
    first->result = insert_first(
        db, journal, DB_USER, user_id, "admin",
        json_pack("{s:s, s:s}", "description", "The first administrator", "role", "admin"));
    if (first->result == DB_OK)
        first->result =
            insert_first(db, journal, DB_TOKEN, token_id, "first",
                         json_pack("{s:s, s:s, s:s}", "description", "Made at the first start",
                                   "user", "admin", "role", "admin"));
    if (first->result == DB_OK)
        first->result = db_token_insert(db, &row);
    return first->result == DB_OK;
}

bool trust_first(struct daemon *daemon, char secret[TOKEN_SECRET_SIZE], char *message, size_t size)
{
    struct first first = {.secret = ""};
    enum db_result result = store_call(daemon->store, first_job, &first, message, size);

    snprintf(secret, TOKEN_SECRET_SIZE, "%s", first.secret);
    OPENSSL_cleanse(first.secret, sizeof(first.secret));
    if (result == DB_OK && first.result == DB_OK)
        return true;
    if (result == DB_OK)
        snprintf(message, size, "cannot make the first administrator: %s",
                 db_result_name(first.result));
    return false;
}
