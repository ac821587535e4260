/* SPDX-License-Identifier: MIT */
#include "mgmtd/cancel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmtd/operation.h"
#include "mgmtd/reply.h"

struct cancellation {
    struct daemon *daemon;
    struct api_request *request;
    struct api_problem problem;
    bool marked;

    /* Of the operation's row. */
    char id[UUID_SIZE];
    char etag[API_ETAG_SIZE];
    char state[STATE_SIZE];
    enum db_kind kind;
    char object_id[UUID_SIZE];
    char object_name[NAME_SIZE];
};

static bool read_row(void *context, const struct db_operation *row)
{
    struct cancellation *cancellation = context;
    json_t *arguments = json_loads(row->arguments, 0, NULL);

    operation_etag(row, cancellation->etag);
    db_kind_parse(row->object_kind, &cancellation->kind);
    snprintf(cancellation->id, sizeof(cancellation->id), "%s", row->id);
    snprintf(cancellation->state, sizeof(cancellation->state), "%s", row->state);
    snprintf(cancellation->object_id, sizeof(cancellation->object_id), "%s", row->object_id);
    snprintf(cancellation->object_name, sizeof(cancellation->object_name), "%s",
             json_text(arguments, "name"));
    json_decref(arguments);
    return false;
}

/* Fills the cancellation from the row; false with a problem. */
static bool check(struct cancellation *cancellation, struct db *db)
{
    const struct api_request *request = cancellation->request;
    struct api_problem *problem = &cancellation->problem;
    enum db_result result = db_operation_get(db, request->object, read_row, cancellation);

    if (result == DB_NOT_FOUND)
        api_problem_set(problem, API_PROBLEM_NOT_FOUND, "There is no operation %s.",
                        request->object);
    else if (result != DB_OK)
        object_problem(problem, result, DB_HOST, "", db_message(db));
    else if (!etag_matches(request->if_match, cancellation->etag))
        api_problem_set(problem, API_PROBLEM_PRECONDITION_FAILED, "The operation is %s now.",
                        cancellation->state);
    return problem->type == API_PROBLEM_NONE;
}

static bool record(const struct cancellation *cancellation, struct db *db, struct journal *journal)
{
    const struct journal_event event = {.class = "audit",
                                        .type = "operation.cancelling",
                                        .kind = cancellation->kind,
                                        .id = cancellation->object_id,
                                        .name = cancellation->object_name,
                                        .actor = cancellation->request->caller.name,
                                        .operation = cancellation->id,
                                        .request_id = cancellation->request->request_id};
    int64_t mark = journal->mark[cancellation->kind];
    bool done = journal_append(journal, db, &event) == DB_OK;

    journal->mark[cancellation->kind] = mark; /* the object itself does not change */
    return done;
}

static bool cancel_job(void *context, struct db *db, struct journal *journal)
{
    struct cancellation *cancellation = context;

    if (!check(cancellation, db) || cancellation->request->dry_run)
        return false;
    cancellation->marked = operations_cancel(cancellation->daemon->operations, cancellation->id);
    return cancellation->marked && record(cancellation, db, journal);
}

static void cancel_done(void *context, enum db_result result, const char *message)
{
    struct cancellation *cancellation = context;
    struct daemon *daemon = cancellation->daemon;
    struct api_request *request = cancellation->request;

    if (result != DB_OK && cancellation->problem.type == API_PROBLEM_NONE)
        object_problem(&cancellation->problem, result, DB_HOST, "", message);
    if (cancellation->problem.type != API_PROBLEM_NONE)
        api_refuse(request, &cancellation->problem);
    else if (cancellation->marked)
        operations_await(daemon->operations, request, cancellation->id, false);
    else
        reply_operation(daemon, request, cancellation->id, false, true);
    free(cancellation);
}

void cancel_submit(struct daemon *daemon, struct api_request *request)
{
    struct cancellation *cancellation = calloc(1, sizeof(*cancellation));
    struct api_problem problem = {.type = API_PROBLEM_NONE};

    if (!cancellation) {
        api_problem_set(&problem, API_PROBLEM_UNAVAILABLE, "The host has no memory left.");
        api_refuse(request, &problem);
        return;
    }
    *cancellation = (struct cancellation){.daemon = daemon, .request = request};
    store_submit(daemon->store, cancel_job, cancel_done, cancellation);
}
