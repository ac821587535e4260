/* SPDX-License-Identifier: MIT */
/* Answers from what is stored. Reads use the calling thread's own connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/contract.h"
#include "mgmtd/host.h"
#include "mgmtd/present.h"
#include "mgmtd/reply.h"
#include "mgmtd/vms.h"

int reply_status(const struct mutation *mutation)
{
    if (mutation->flags & MUTATION_DELETES)
        return 204;
    return mutation->flags & (MUTATION_CREATES | MUTATION_ISSUES) ? 201 : 200;
}

void reply_location(char *location, size_t size, enum db_kind kind, const char *vm, const char *id)
{
    if (kind == DB_SNAPSHOT)
        snprintf(location, size, "/v1/vms/%s/snapshots/%s", vm, id);
    else
        snprintf(location, size, "/v1/%ss/%s", db_kind_name(kind), id);
}

static void refuse(struct api_request *request, enum db_result result, enum db_kind kind,
                   const char *name, const struct db *db)
{
    struct api_problem problem = {.type = API_PROBLEM_NONE};

    object_problem(&problem, result, kind, name, db ? db_message(db) : "no connection");
    api_refuse(request, &problem);
}

struct reading {
    struct daemon *daemon;
    const char *only_vm;
    char id[UUID_SIZE];
    struct text text;
    struct api_answer answer;
    bool forbidden;
};

static bool read_object(void *context, const struct db_object *row)
{
    struct reading *reading = context;
    char observed[TIME_SIZE];

    if (row->kind == DB_VM && reading->only_vm[0] && strcmp(reading->only_vm, row->id) != 0) {
        reading->forbidden = true;
        return false;
    }
    snprintf(reading->id, sizeof(reading->id), "%s", row->id);
    vms_observed(reading->daemon->vms, observed);
    object_write(&reading->text, row, observed);
    object_etag(row->id, row->revision, reading->answer.etag);
    reading->answer.sequence = (uint64_t)row->sequence;
    return false;
}

static enum db_result read_one(struct db *db, enum db_kind kind, const char *scope,
                               const char *id_or_name, struct reading *reading)
{
    enum db_result result = DB_FAILED;

    if (db)
        result = db_object_get(db, kind, scope, id_or_name, read_object, reading);
    if (result == DB_OK && !reading->forbidden)
        present_add(reading->daemon, db, kind, reading->id, &reading->text);
    return result;
}

static bool send_text(struct api_request *request, struct reading *reading)
{
    reading->answer.size = reading->text.size;
    reading->answer.bytes = text_take(&reading->text);
    if (!reading->answer.bytes)
        return false;
    api_answer(request, &reading->answer);
    return true;
}

void reply_object(struct daemon *daemon, struct api_request *request, enum db_kind kind,
                  const char *scope, const char *id_or_name)
{
    struct reading reading = {
        .daemon = daemon, .only_vm = request->caller.vm, .answer = {.status = 200}};
    struct db *db = store_reader(daemon->store);
    enum db_result result = read_one(db, kind, scope, id_or_name, &reading);

    if (reading.forbidden) {
        struct api_problem problem = {.type = API_PROBLEM_NONE};

        api_problem_set(&problem, API_PROBLEM_FORBIDDEN, "The token is for another VM.");
        api_refuse(request, &problem);
        return;
    }
    if (result != DB_OK || !send_text(request, &reading))
        refuse(request, result == DB_OK ? DB_FAILED : result, kind, id_or_name, db);
    text_free(&reading.text);
}

void reply_write_problem(struct text *text, const struct api_problem *problem)
{
    const struct contract_problem *entry = &contract_problems[problem->type];
    char *errors = problem->errors ? json_dumps(problem->errors, JSON_COMPACT) : NULL;

    text_printf(text, "{\"type\":\"/docs#problem-%s\"", entry->name);
    text_member(text, "title", entry->title);
    text_member_integer(text, "status", entry->status);
    text_member(text, "detail", problem->detail);
    if (errors)
        text_printf(text, ",\"errors\":%s", errors);
    if (problem->holder[0])
        text_member(text, "holder", problem->holder);
    text_puts(text, "}");
    free(errors);
}

static enum api_problem_type problem_type(const char *type)
{
    const char *dash = strstr(type, "#problem-");

    for (int i = 1; dash && i < API_PROBLEM_COUNT; i++)
        if (strcmp(dash + strlen("#problem-"), contract_problems[i].name) == 0)
            return (enum api_problem_type)i;
    return API_PROBLEM_OPERATION_FAILED;
}

void reply_read_problem(struct api_problem *problem, const json_t *stored)
{
    const char *detail = json_text(stored, "detail");

    api_problem_set(problem, problem_type(json_text(stored, "type")), "%s",
                    detail[0] ? detail : "The operation failed.");
    problem->errors = json_incref(json_object_get(stored, "errors"));
    snprintf(problem->holder, sizeof(problem->holder), "%s", json_text(stored, "holder"));
}

/* --- Operations --- */

struct outcome {
    bool finished;
    bool succeeded;
    bool cancelled;
    enum db_kind object_kind;
    char object_id[UUID_SIZE];
    char result[UUID_SIZE];
    const struct mutation *mutation;
    int64_t sequence;
    char etag[API_ETAG_SIZE];
    struct text document;
    json_t *tail;
    json_t *issued; /* by a mutation that issues: the answer's document */
};

static json_t *parse_tail(const char *tail)
{
    struct text text = {0};
    json_t *value = NULL;

    text_printf(&text, "{%s}", tail[0] ? tail + 1 : "");
    if (!text.failed)
        value = json_loadb(text.bytes, text.size, 0, NULL);
    text_free(&text);
    return value;
}

static bool read_outcome(void *context, const struct db_operation *row)
{
    struct outcome *outcome = context;
    json_t *arguments = json_loads(row->arguments, 0, NULL);

    outcome->succeeded = strcmp(row->state, "succeeded") == 0;
    outcome->cancelled = strcmp(row->state, "cancelled") == 0;
    outcome->finished =
        outcome->succeeded || outcome->cancelled || strcmp(row->state, "failed") == 0;
    outcome->mutation = mutation_of_action(row->action);
    outcome->sequence = row->sequence;
    snprintf(outcome->object_id, sizeof(outcome->object_id), "%s", row->object_id);
    snprintf(outcome->result, sizeof(outcome->result), "%s", json_text(arguments, "result"));
    operation_etag(row, outcome->etag);
    operation_write(&outcome->document, row);
    outcome->tail = parse_tail(row->tail);
    if (outcome->mutation && outcome->mutation->flags & MUTATION_ISSUES)
        outcome->issued = json_incref(json_object_get(arguments, "run"));
    json_decref(arguments);
    return false;
}

static bool asks_for_operation(const struct api_request *request)
{
    return request->route == API_OPERATION_GET || request->route == API_OPERATION_CANCEL;
}

/* The operation's own document: for those who asked for it, or for who must go on waiting. */
static void send_operation(struct api_request *request, struct outcome *outcome, const char *id,
                           int status, bool replayed)
{
    struct api_answer answer = {.status = status,
                                .size = outcome->document.size,
                                .sequence = (uint64_t)outcome->sequence,
                                .replayed = replayed};

    answer.bytes = text_take(&outcome->document);
    if (asks_for_operation(request))
        snprintf(answer.etag, sizeof(answer.etag), "%s", outcome->etag);
    snprintf(answer.operation, sizeof(answer.operation), "%s", id);
    if (status == 202)
        snprintf(answer.location, sizeof(answer.location), "/v1/operations/%s", id);
    api_answer(request, &answer);
}

static void send_failure(struct api_request *request, const struct outcome *outcome, const char *id)
{
    struct api_problem problem = {.type = API_PROBLEM_NONE};

    reply_read_problem(&problem, json_object_get(outcome->tail, "problem"));
    snprintf(problem.operation, sizeof(problem.operation), "%s", id);
    api_refuse(request, &problem);
}

/* A host's status is made when it is asked for, so its document is not in the row. */
static bool send_host(struct daemon *daemon, struct api_request *request, struct api_answer *answer)
{
    answer->bytes = host_document(daemon);
    if (!answer->bytes)
        return false;
    answer->size = strlen(answer->bytes);
    object_etag(daemon->host_id, 1, answer->etag);
    api_answer(request, answer);
    return true;
}

static bool send_issued(struct api_request *request, const struct outcome *outcome,
                        struct api_answer *answer)
{
    answer->bytes = json_dumps(outcome->issued, JSON_COMPACT);
    if (!answer->bytes)
        return false;
    answer->size = strlen(answer->bytes);
    api_answer(request, answer);
    return true;
}

/* What an operation made or changed was deleted since. */
static void refuse_gone(struct api_request *request, const char *id)
{
    struct api_problem problem = {.type = API_PROBLEM_NONE};

    api_problem_set(&problem, API_PROBLEM_NOT_FOUND,
                    "The operation %s succeeded, and its object was deleted since.", id);
    snprintf(problem.operation, sizeof(problem.operation), "%s", id);
    api_refuse(request, &problem);
}

/* The object that an operation made or changed. */
static void send_result(struct daemon *daemon, struct api_request *request, struct outcome *outcome,
                        const char *id, bool replayed)
{
    struct reading reading = {.daemon = daemon, .only_vm = ""};
    struct db *db = store_reader(daemon->store);
    enum db_result result;

    reading.answer.status = reply_status(outcome->mutation);
    reading.answer.replayed = replayed;
    snprintf(reading.answer.operation, sizeof(reading.answer.operation), "%s", id);
    if (outcome->issued && send_issued(request, outcome, &reading.answer))
        return;
    if (reading.answer.status == 201)
        reply_location(reading.answer.location, sizeof(reading.answer.location),
                       outcome->mutation->kind, outcome->object_id, outcome->result);
    if (reading.answer.status == 204) {
        api_answer(request, &reading.answer);
        return;
    }
    if (outcome->mutation->kind == DB_HOST && send_host(daemon, request, &reading.answer))
        return;
    result = read_one(db, outcome->mutation->kind, "", outcome->result, &reading);
    if (result == DB_NOT_FOUND)
        refuse_gone(request, id);
    else if (result != DB_OK || !send_text(request, &reading))
        refuse(request, DB_FAILED, outcome->mutation->kind, outcome->result, db);
    text_free(&reading.text);
}

static void send_outcome(struct daemon *daemon, struct api_request *request,
                         struct outcome *outcome, const char *id, bool replayed)
{
    if (asks_for_operation(request) || !outcome->mutation)
        send_operation(request, outcome, id, 200, replayed);
    else if (outcome->succeeded)
        send_result(daemon, request, outcome, id, replayed);
    else
        send_failure(request, outcome, id);
}

bool reply_operation(struct daemon *daemon, struct api_request *request, const char *id,
                     bool replayed, bool now)
{
    struct outcome outcome = {.finished = false};
    struct db *db = store_reader(daemon->store);
    enum db_result result = db ? db_operation_get(db, id, read_outcome, &outcome) : DB_FAILED;
    bool answered = true;

    if (result == DB_NOT_FOUND) {
        struct api_problem problem = {.type = API_PROBLEM_NONE};

        api_problem_set(&problem, API_PROBLEM_NOT_FOUND, "There is no operation %s.", id);
        api_refuse(request, &problem);
    } else if (result != DB_OK) {
        refuse(request, result, DB_HOST, id, db);
    } else if (outcome.finished) {
        send_outcome(daemon, request, &outcome, id, replayed);
    } else if (now) {
        send_operation(request, &outcome, id, request->route == API_OPERATION_GET ? 200 : 202,
                       replayed);
    } else {
        answered = false;
    }
    text_free(&outcome.document);
    json_decref(outcome.tail);
    json_decref(outcome.issued);
    return answered;
}
