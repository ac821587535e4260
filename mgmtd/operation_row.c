/* SPDX-License-Identifier: MIT */
/* The rows of operations as they run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "api/log.h"
#include "mgmtd/operation_row.h"
#include "mgmtd/reply.h"

const char *operation_end_name(enum operation_end end)
{
    static const char *const names[] = {[OPERATION_SUCCEEDED] = "succeeded",
                                        [OPERATION_FAILED] = "failed",
                                        [OPERATION_CANCELLED] = "cancelled"};

    return names[end];
}

static void add_time(struct text *text, const char *name, int64_t time)
{
    char formatted[TIME_SIZE];

    if (time == 0)
        return;
    time_format(time, formatted);
    text_member(text, name, formatted);
}

static char *make_tail(const struct operation *operation, const char *state, int64_t finished_at)
{
    struct text text = {0};

    text_printf(&text, ",\"state\":\"%s\",\"progress\":%.4g", state, operation->progress);
    add_time(&text, "started_at", operation->started_at);
    add_time(&text, "finished_at", finished_at);
    if (finished_at && operation->problem.type != API_PROBLEM_NONE) {
        text_puts(&text, ",\"problem\":");
        reply_write_problem(&text, &operation->problem);
    }
    text_puts(&text, ",\"log\":[");
    if (operation->log.size)
        text_append(&text, operation->log.bytes, operation->log.size);
    text_puts(&text, "]");
    return text_take(&text);
}

static enum db_result append(const struct operation *operation, struct db *db,
                             struct journal *journal, const char *type, const char *data)
{
    struct journal_event event = {.class = "operation",
                                  .type = type,
                                  .kind = operation->kind,
                                  .id = operation->object_id,
                                  .name = operation->object_name,
                                  .actor = operation->actor,
                                  .operation = operation->id,
                                  .request_id =
                                      operation->request_id[0] ? operation->request_id : NULL,
                                  .data = data};
    int64_t mark = journal->mark[operation->kind];
    enum db_result result = journal_append(journal, db, &event);

    /* What happens to an operation alone does not change its object. */
    if (strncmp(type, "operation.", strlen("operation.")) == 0)
        journal->mark[operation->kind] = mark;
    if (result == DB_OK)
        journal_mark(journal, JOURNAL_OPERATION);
    return result;
}

static enum db_result update(const struct operation *operation, struct db *db,
                             struct journal *journal, const char *state, int64_t finished_at)
{
    char *tail = make_tail(operation, state, finished_at);
    struct db_operation row = {.id = operation->id,
                               .state = state,
                               .sequence = journal->sequence,
                               .finished_at = finished_at,
                               .tail = tail};
    enum db_result result = tail ? db_operation_update(db, &row) : DB_FAILED;

    free(tail);
    return result;
}

static enum db_result append_action(const struct operation *operation, struct db *db,
                                    struct journal *journal, const char *type, const char *more)
{
    char data[128];

    snprintf(data, sizeof(data), "{\"action\":\"%s\"%s}", operation->mutation->action, more);
    return append(operation, db, journal, type, data);
}

struct write {
    struct operation *operation;
    enum operation_end end;
    enum db_result result;
    bool refused; /* by the mutation's finish */
};

static bool begin_job(void *context, struct db *db, struct journal *journal)
{
    struct write *write = context;

    write->result = append_action(write->operation, db, journal, "operation.started", "");
    if (write->result == DB_OK)
        write->result = update(write->operation, db, journal, "running", 0);
    return write->result == DB_OK;
}

static bool call(struct operation *operation, store_job *job, struct write *write)
{
    char message[512];
    enum db_result result =
        store_call(operation->daemon->store, job, write, message, sizeof(message));

    if (result == DB_OK && (write->result == DB_OK || write->refused))
        return true;
    log_write(LOG_LEVEL_ERROR, "cannot write an operation", "operation", operation->id, "detail",
              result == DB_OK ? db_result_name(write->result) : message, NULL);
    return false;
}

bool operation_row_begin(struct operation *operation)
{
    struct write write = {.operation = operation};

    return call(operation, begin_job, &write);
}

static enum db_result append_end(const struct write *write, struct db *db, struct journal *journal)
{
    const struct operation *operation = write->operation;
    const char *event = operation->event ? operation->event : operation->mutation->event;
    char type[64];
    enum db_result result;

    snprintf(type, sizeof(type), "operation.%s", operation_end_name(write->end));
    result = append_action(operation, db, journal, type, "");
    if (result == DB_OK && write->end == OPERATION_SUCCEEDED && event)
        result = append(operation, db, journal, event,
                        operation->event_data[0] ? operation->event_data : NULL);
    return result;
}

static bool end_job(void *context, struct db *db, struct journal *journal)
{
    struct write *write = context;
    struct operation *operation = write->operation;
    bool succeeded = write->end == OPERATION_SUCCEEDED;

    write->result = append_end(write, db, journal);
    if (write->result != DB_OK)
        return false;
    if (operation->mutation->finish &&
        !operation->mutation->finish(operation, db, journal, succeeded) && succeeded) {
        write->refused = true;
        return false;
    }
    if (succeeded)
        journal->mark[operation->mutation->kind] = journal->sequence;
    write->result = update(operation, db, journal, operation_end_name(write->end), time_now());
    return write->result == DB_OK;
}

bool operation_row_end(struct operation *operation, enum operation_end *end)
{
    struct write write = {.operation = operation, .end = *end};

    if (*end == OPERATION_SUCCEEDED)
        operation->progress = 1;
    if (!call(operation, end_job, &write))
        return false;
    if (!write.refused)
        return true;
    *end = OPERATION_FAILED;
    write = (struct write){.operation = operation, .end = *end};
    return call(operation, end_job, &write);
}

/* --- Progress: a copy of what is to be written, because the run goes on. --- */

struct progress {
    struct operation copy;
};

static bool progress_job(void *context, struct db *db, struct journal *journal)
{
    struct progress *progress = context;
    char more[48];

    snprintf(more, sizeof(more), ",\"progress\":%.4g", progress->copy.progress);
    return append_action(&progress->copy, db, journal, "operation.progress", more) == DB_OK &&
           update(&progress->copy, db, journal, "running", 0) == DB_OK;
}

static void progress_done(void *context, enum db_result result, const char *message)
{
    struct progress *progress = context;

    (void)result;
    (void)message;
    text_free(&progress->copy.log);
    free(progress);
}

void operation_row_progress(const struct operation *operation)
{
    struct progress *progress = calloc(1, sizeof(*progress));

    if (!progress)
        return;
    progress->copy.mutation = operation->mutation;
    progress->copy.kind = operation->kind;
    progress->copy.progress = operation->progress;
    progress->copy.started_at = operation->started_at;
    memcpy(progress->copy.id, operation->id, sizeof(operation->id));
    memcpy(progress->copy.object_id, operation->object_id, sizeof(operation->object_id));
    memcpy(progress->copy.object_name, operation->object_name, sizeof(operation->object_name));
    memcpy(progress->copy.actor, operation->actor, sizeof(operation->actor));
    memcpy(progress->copy.request_id, operation->request_id, sizeof(operation->request_id));
    if (operation->log.size)
        text_append(&progress->copy.log, operation->log.bytes, operation->log.size);
    store_submit(operation->daemon->store, progress_job, progress_done, progress);
}

/* --- Taking up --- */

struct resumption {
    struct daemon *daemon;
    struct operations *operations;
    bool failed;
};

static struct operation *from_row(const struct db_operation *row)
{
    struct operation *operation = calloc(1, sizeof(*operation));
    json_t *all = json_loads(row->arguments, 0, NULL);

    if (!operation) {
        json_decref(all);
        return NULL;
    }
    operation->mutation = mutation_of_action(row->action);
    operation->number = row->number;
    operation->created_at = row->created_at;
    operation->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    db_kind_parse(row->object_kind, &operation->kind);
    snprintf(operation->id, sizeof(operation->id), "%s", row->id);
    snprintf(operation->object_id, sizeof(operation->object_id), "%s", row->object_id);
    snprintf(operation->object_name, sizeof(operation->object_name), "%s", json_text(all, "name"));
    snprintf(operation->actor, sizeof(operation->actor), "%s", row->actor);
    snprintf(operation->request_id, sizeof(operation->request_id), "%s",
             json_text(all, "request_id"));
    snprintf(operation->result, sizeof(operation->result), "%s", json_text(all, "result"));
    operation->arguments = json_incref(json_object_get(all, "run"));
    json_decref(all);
    return operation;
}

static bool resume_row(void *context, const struct db_operation *row)
{
    struct resumption *resumption = context;
    struct operation *operation = from_row(row);

    if (!operation || !operation->mutation || !operation->mutation->run) {
        resumption->failed = true;
        free(operation);
        return false;
    }
    operation->daemon = resumption->daemon;
    operation->resumed = true;
    if (strcmp(row->state, "running") == 0)
        operation_report(operation, 0, "The daemon started again, and with it this operation.");
    operations_add(resumption->operations, operation);
    return true;
}

bool operation_row_resume(struct daemon *daemon, struct operations *operations, char *message,
                          size_t size)
{
    struct resumption resumption = {.daemon = daemon, .operations = operations};
    struct db *db = store_reader(daemon->store);
    enum db_result result = db ? db_operation_unfinished(db, resume_row, &resumption) : DB_FAILED;

    if (result == DB_OK && !resumption.failed)
        return true;
    snprintf(message, size, "cannot take up the unfinished operations: %s",
             resumption.failed ? "one is of a kind that this release does not know"
                               : db_result_name(result));
    return false;
}
