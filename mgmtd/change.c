/* SPDX-License-Identifier: MIT */
/*
 * Changes: from a request to rows. Everything a change writes (the objects, its
 * operation, its idempotency key, its events) is in one step of a transaction;
 * the client is answered after the commit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mgmtd/change.h"
#include "mgmtd/operation.h"
#include "mgmtd/rename.h"
#include "mgmtd/reply.h"
#include "mgmtd/vms.h"

/* What may share JSON with the request, which is gone once it is answered. */
static void release_documents(struct change *change)
{
    object_release(&change->object);
    object_release(&change->child);
    json_decref(change->body);
    json_decref(change->arguments);
    change->body = NULL;
    change->arguments = NULL;
}

static void release(struct change *change)
{
    release_documents(change);
    json_decref(change->problem.errors);
    free(change->document);
    free(change);
}

bool change_refuse(struct change *change, enum db_result result)
{
    object_problem(&change->problem, result, change->mutation->kind, change->object.name,
                   db_message(change->db));
    return false;
}

/* --- A key that was used before --- */

enum replay { REPLAY_NONE, REPLAY_SAME, REPLAY_REFUSED };

static enum replay find_replay(struct change *change)
{
    const char *key = change->request ? change->request->idempotency_key : NULL;
    struct db_idempotency found;
    enum db_result result;

    if (!key || change->dry_run)
        return REPLAY_NONE;
    result = db_idempotency_get(change->db, change->actor, key, &found);
    if (result == DB_NOT_FOUND)
        return REPLAY_NONE;
    if (result != DB_OK) {
        change_refuse(change, result);
        return REPLAY_REFUSED;
    }
    if (memcmp(found.fingerprint, change->request->digest, sizeof(found.fingerprint)) != 0) {
        api_problem_set(&change->problem, API_PROBLEM_KEY_REUSED,
                        "The Idempotency-Key was used for another request, by operation %s.",
                        found.operation_id);
        return REPLAY_REFUSED;
    }
    snprintf(change->operation, sizeof(change->operation), "%s", found.operation_id);
    change->replayed = true;
    return REPLAY_SAME;
}

/* --- The objects a request names --- */

static bool load(struct change *change, struct object *object, enum db_kind kind, const char *scope,
                 const char *reference)
{
    enum db_result result = object_load(object, change->db, kind, scope, reference);

    if (result != DB_OK)
        object_problem(&change->problem, result, kind, reference, db_message(change->db));
    return result == DB_OK;
}

static bool may_reach(struct change *change)
{
    const char *only = change->request ? change->request->caller.vm : "";

    if (!only[0] || change->object.kind != DB_VM || strcmp(only, change->object.id) == 0)
        return true;
    api_problem_set(&change->problem, API_PROBLEM_FORBIDDEN, "The token is for another VM.");
    return false;
}

/* Paths take a name or a uuid, so a name like a uuid could be taken for another object's. */
static bool check_name(struct change *change)
{
    const char *name = json_text(change->body, "name");

    if (!uuid_valid(name))
        return true;
    api_problem_set(&change->problem, API_PROBLEM_INVALID_FIELDS, "/name has the form of a uuid.");
    api_problem_point(&change->problem, "/name", "must not have the form of a uuid");
    return false;
}

static bool load_objects(struct change *change, const char *reference)
{
    unsigned flags = change->mutation->flags;
    enum db_kind kind = flags & MUTATION_OF_VM ? DB_VM : change->mutation->kind;

    const char *if_match = change->request ? change->request->if_match : NULL;

    if (flags & MUTATION_CREATES && !(flags & MUTATION_OF_VM)) {
        if (!etag_matches(if_match, "")) {
            api_problem_set(&change->problem, API_PROBLEM_PRECONDITION_FAILED,
                            "What is to be made has no ETag yet. Leave If-Match out.");
            return false;
        }
        change->object.kind = kind;
        uuid_make(change->object.id);
        snprintf(change->object.name, NAME_SIZE, "%s", json_text(change->body, "name"));
        return true;
    }
    if (!load(change, &change->object, kind, "", reference) || !may_reach(change))
        return false;
    if (flags & MUTATION_CHILD &&
        !load(change, &change->child, DB_SNAPSHOT, change->object.id, change->request->child))
        return false;
    return object_unchanged(change->child.id[0] ? &change->child : &change->object, if_match,
                            &change->problem);
}

/* --- Rows --- */

static bool append_event(struct change *change, const char *class, const char *type)
{
    const struct object *object = &change->object;
    char data[128];
    struct journal_event event = {.class = class,
                                  .type = type,
                                  .kind = object->kind,
                                  .id = object->id,
                                  .name = object->name,
                                  .actor = change->actor,
                                  .operation = change->operation,
                                  .request_id = change->request_id,
                                  .data = data};
    enum db_result result;

    snprintf(data, sizeof(data), "{\"action\":\"%s\"}", change->mutation->action);
    result = journal_append(change->journal, change->db, &event);
    if (result != DB_OK)
        return change_refuse(change, result);
    journal_mark(change->journal, JOURNAL_OPERATION);
    change->journal->mark[change->mutation->kind] = change->journal->sequence;
    change->sequence = change->journal->sequence;
    change->object.sequence = change->sequence;
    change->child.sequence = change->sequence;
    return true;
}

static char *operation_head(const struct change *change)
{
    struct text text = {0};
    char time[TIME_SIZE];

    time_format(change->now, time);
    text_printf(&text,
                "{\"uuid\":\"%s\",\"kind\":\"%s\",\"object\":{\"kind\":\"%s\",\"uuid\":\"%s\"",
                change->operation, change->mutation->action, db_kind_name(change->object.kind),
                change->object.id);
    text_member(&text, "name", change->object.name);
    text_puts(&text, "}");
    text_member(&text, "actor", change->actor);
    text_member(&text, "cause", change->cause);
    if (change->request_id)
        text_member(&text, "request_id", change->request_id);
    if (change->traceparent)
        text_member(&text, "traceparent", change->traceparent);
    text_member(&text, "created_at", time);
    return text_take(&text);
}

static char *operation_tail(const struct change *change)
{
    struct text text = {0};
    char time[TIME_SIZE];

    time_format(change->now, time);
    if (change->deferred)
        text_puts(&text, ",\"state\":\"queued\",\"progress\":0,\"log\":[]");
    else
        text_printf(&text,
                    ",\"state\":\"succeeded\",\"progress\":1,\"started_at\":\"%s\","
                    "\"finished_at\":\"%s\",\"log\":[]",
                    time, time);
    return text_take(&text);
}

static char *operation_arguments(struct change *change)
{
    json_t *all = json_pack("{s:s, s:s, s:s, s:O?}", "result", change->result, "name",
                            change->object.name, "request_id",
                            change->request_id ? change->request_id : "", "run", change->arguments);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;

    json_decref(all);
    return text;
}

static enum db_result insert_key(struct change *change)
{
    struct db_idempotency record = {.created_at = change->now};

    if (!change->request || !change->request->idempotency_key)
        return DB_OK;
    memcpy(record.fingerprint, change->request->digest, sizeof(record.fingerprint));
    snprintf(record.operation_id, sizeof(record.operation_id), "%s", change->operation);
    return db_idempotency_insert(change->db, change->actor, change->request->idempotency_key,
                                 &record);
}

static bool insert_operation(struct change *change, int64_t *number)
{
    char *head = operation_head(change);
    char *tail = operation_tail(change);
    char *arguments = operation_arguments(change);
    struct db_operation row = {.id = change->operation,
                               .action = change->mutation->action,
                               .object_kind = db_kind_name(change->object.kind),
                               .object_id = change->object.id,
                               .state = change->deferred ? "queued" : "succeeded",
                               .actor = change->actor,
                               .arguments = arguments,
                               .sequence = change->journal->sequence,
                               .created_at = change->now,
                               .finished_at = change->deferred ? 0 : change->now,
                               .head = head,
                               .tail = tail};
    enum db_result result = DB_FAILED;

    if (head && tail && arguments)
        result = db_operation_insert(change->db, &row);
    if (result == DB_OK)
        result = insert_key(change);
    *number = row.number;
    free(head);
    free(tail);
    free(arguments);
    return result == DB_OK || change_refuse(change, result);
}

/* --- The answer --- */

struct rendering {
    struct change *change;
    struct text text;
};

static bool render_row(void *context, const struct db_object *row)
{
    struct rendering *rendering = context;
    char observed[TIME_SIZE];

    vms_observed(rendering->change->daemon->vms, observed);
    object_write(&rendering->text, row, observed);
    object_etag(row->id, row->revision, rendering->change->etag);
    rendering->change->sequence = row->sequence;
    return false;
}

static bool render_result(struct change *change)
{
    struct rendering rendering = {.change = change};
    enum db_result result;

    if (change->document || change->mutation->flags & MUTATION_DELETES)
        return true;
    result = db_object_get(change->db, change->mutation->kind, "", change->result, render_row,
                           &rendering);
    change->document = text_take(&rendering.text);
    return (result == DB_OK && change->document) || change_refuse(change, result);
}

static int status_of(const struct change *change)
{
    if (change->dry_run)
        return change->mutation->flags & MUTATION_DELETES ? 204 : 200;
    return reply_status(change->mutation);
}

/* A merge patch of what is so already: the document keeps its revision, and nothing is to be done.
 */
static bool changes_nothing(const struct change *change)
{
    json_t *after;
    bool same;

    if (!(change->mutation->flags & MUTATION_MERGES))
        return false;
    after = json_deep_copy(change->object.document);
    json_merge(after, change->body);
    same = json_equal(after, change->object.document);
    json_decref(after);
    return same;
}

static bool plan(struct change *change)
{
    if (!changes_nothing(change))
        return change->mutation->plan(change);
    change->deferred = false;
    return true;
}

static bool plan_and_write(struct change *change)
{
    const struct mutation *mutation = change->mutation;
    int64_t number = 0;

    change->deferred = mutation->run != NULL;
    if (!append_event(change, "audit", mutation->run ? "operation.queued" : mutation->event))
        return false;
    snprintf(change->result, sizeof(change->result), "%s",
             mutation->flags & MUTATION_CHILD && mutation->kind == DB_SNAPSHOT ? change->child.id
                                                                               : change->object.id);
    if (!plan(change))
        return false;
    if (mutation->run && !change->deferred &&
        !append_event(change, "operation",
                      mutation->event ? mutation->event : "operation.succeeded"))
        return false;
    if (!insert_operation(change, &number))
        return false;
    change->status = status_of(change);
    return (change->deferred && !change->dry_run) || render_result(change);
}

static bool run_change(void *context, struct db *db, struct journal *journal)
{
    struct change *change = context;
    enum replay replay;

    change->db = db;
    change->journal = journal;
    change->now = time_now();
    replay = find_replay(change);
    if (replay != REPLAY_NONE)
        return false;
    uuid_make(change->operation);
    return check_name(change) &&
           load_objects(change, change->request && change->request->object
                                    ? change->request->object
                                    : json_text(change->arguments, "object")) &&
           plan_and_write(change) && !change->dry_run;
}

static struct operation *make_operation(struct change *change)
{
    struct operation *operation = calloc(1, sizeof(*operation));

    if (!operation)
        return NULL;
    operation->daemon = change->daemon;
    operation->mutation = change->mutation;
    operation->kind = change->object.kind;
    operation->created_at = change->now;
    operation->arguments = json_deep_copy(change->arguments);
    operation->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(operation->id, sizeof(operation->id), "%s", change->operation);
    snprintf(operation->object_id, sizeof(operation->object_id), "%s", change->object.id);
    snprintf(operation->object_name, sizeof(operation->object_name), "%s", change->object.name);
    snprintf(operation->actor, sizeof(operation->actor), "%s", change->actor);
    snprintf(operation->request_id, sizeof(operation->request_id), "%s",
             change->request_id ? change->request_id : "");
    snprintf(operation->result, sizeof(operation->result), "%s", change->result);
    return operation;
}

static void answer_now(struct change *change, const char *object_id)
{
    struct api_answer answer = {.status = change->status,
                                .bytes = change->document,
                                .sequence = (uint64_t)change->sequence};

    change->document = NULL;
    answer.size = answer.bytes ? strlen(answer.bytes) : 0;
    if (!change->dry_run) {
        snprintf(answer.etag, sizeof(answer.etag), "%s", change->etag);
        snprintf(answer.operation, sizeof(answer.operation), "%s", change->operation);
    }
    if (answer.status == 201 && change->mutation->flags & MUTATION_CREATES)
        reply_location(answer.location, sizeof(answer.location), change->mutation->kind, object_id,
                       change->result);
    if (change->request)
        api_answer(change->request, &answer);
    else
        free(answer.bytes);
}

static void start_deferred(struct change *change, struct operation *operation,
                           const char *object_id)
{
    struct operations *operations = change->daemon->operations;

    if (operation)
        operations_add(operations, operation);
    if (change->mutation->flags & MUTATION_CANCELS)
        operations_cancel_older(operations, object_id, change->operation);
    if (change->request)
        operations_await(operations, change->request, change->operation, false);
}

static void finish_good(struct change *change)
{
    struct operation *operation = NULL;
    char object_id[UUID_SIZE];

    if (change->committed && !change->dry_run)
        change->committed(change);
    memcpy(object_id, change->object.id, sizeof(object_id));
    if (!change->deferred || change->dry_run) {
        release_documents(change);
        answer_now(change, object_id);
        return;
    }
    operation = make_operation(change);
    release_documents(change);
    start_deferred(change, operation, object_id);
}

static void finish_change(void *context, enum db_result result, const char *message)
{
    struct change *change = context;

    if (change->decided)
        change->decided(change->context);
    if (result != DB_OK && change->problem.type == API_PROBLEM_NONE)
        object_problem(&change->problem, result, change->mutation->kind, change->object.name,
                       message);
    if (change->problem.type == API_PROBLEM_NONE && !change->replayed) {
        finish_good(change);
        release(change);
        return;
    }
    release_documents(change);
    if (change->problem.type == API_PROBLEM_NONE) {
        operations_await(change->daemon->operations, change->request, change->operation, true);
    } else if (change->request) {
        api_refuse(change->request, &change->problem);
        change->problem.errors = NULL;
    }
    release(change);
}

void change_submit(struct daemon *daemon, const struct mutation *mutation,
                   struct api_request *request)
{
    change_submit_with(daemon, mutation, request, NULL, NULL);
}

void change_submit_with(struct daemon *daemon, const struct mutation *mutation,
                        struct api_request *request, void (*decided)(void *context), void *context)
{
    struct change *change = calloc(1, sizeof(*change));
    struct api_problem problem = {.type = API_PROBLEM_NONE};

    if (!change) {
        if (decided)
            decided(context);
        api_problem_set(&problem, API_PROBLEM_UNAVAILABLE, "The host has no memory left.");
        api_refuse(request, &problem);
        return;
    }
    *change = (struct change){.daemon = daemon,
                              .mutation = mutation,
                              .request = request,
                              .actor = request->caller.name,
                              .cause = "request",
                              .request_id = request->request_id,
                              .traceparent = request->traceparent,
                              .body = request->body ? json_incref(request->body) : json_object(),
                              .dry_run = request->dry_run,
                              .decided = decided,
                              .context = context};
    store_submit(daemon->store, run_change, finish_change, change);
}

void change_submit_internal(struct daemon *daemon, enum api_route route, const char *object_id,
                            const char *cause)
{
    struct change *change = calloc(1, sizeof(*change));

    if (!change)
        return;
    *change = (struct change){.daemon = daemon,
                              .mutation = mutation_of_route(route),
                              .actor = "system",
                              .cause = cause,
                              .body = json_object(),
                              .arguments = json_pack("{s:s}", "object", object_id)};
    store_submit(daemon->store, run_change, finish_change, change);
}

bool change_insert(struct change *change)
{
    struct object *object = &change->object;
    json_t *document = json_object();
    char now[TIME_SIZE];
    enum db_result result;

    time_format(change->now, now);
    object->revision = 1;
    json_object_set_new(document, "uuid", json_string(object->id));
    json_object_update(document, change->body);
    json_object_set_new(document, "revision", json_integer(1));
    json_object_set_new(document, "created_at", json_string(now));
    json_object_set_new(document, "updated_at", json_string(now));
    json_decref(object->document);
    object->document = document;
    result = object_insert(object, change->db);
    return result == DB_OK || change_refuse(change, result);
}

bool change_update(struct change *change)
{
    char old_name[NAME_SIZE];
    enum db_result result;

    memcpy(old_name, change->object.name, sizeof(old_name));
    result = object_save(&change->object, change->db, change->now);
    return (result == DB_OK || change_refuse(change, result)) && rename_follow(change, old_name);
}
