/* SPDX-License-Identifier: MIT */
/*
 * The operations engine: queues by object, threads that run their heads, and
 * what a run may call. Writing the rows is operation_row.c's, waiting requests
 * are waiter.c's.
 */
#include <pthread.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/poll.h>
#include <unistd.h>

#include "api/log.h"
#include "mgmtd/operation.h"
#include "mgmtd/operation_row.h"
#include "mgmtd/reply.h"
#include "mgmtd/waiter.h"

/* A run that hangs holds one of these and its object, nothing else. */
#define THREADS_MAX     64
#define STATISTICS_MAX  32
#define REPORT_MS       1000
#define FINISH_RETRY_MS 1000

/* The unfinished operations of one object; the first one runs, or is ready to. */
struct queue {
    char object_id[UUID_SIZE];
    struct operation *first;
    struct operation **last;
    struct queue *next_ready;
};

struct operations {
    struct daemon *daemon;
    struct waiters *waiters;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t idle;
    void *queues; /* tree of struct queue by object_id */
    void *by_id;  /* tree of struct operation by id */
    struct queue *ready;
    struct queue **last_ready;
    size_t depth;
    int threads;
    bool held; /* until operations_go */
    bool stopping;
    struct operation_statistics statistics[STATISTICS_MAX];
};

static int compare_queues(const void *a, const void *b)
{
    return strcmp(((const struct queue *)a)->object_id, ((const struct queue *)b)->object_id);
}

static int compare_operations(const void *a, const void *b)
{
    return strcmp(((const struct operation *)a)->id, ((const struct operation *)b)->id);
}

/* --- Trees: tsearch keeps pointers to elements; these hide its casts. --- */

static struct queue *find_queue(struct operations *operations, const char *object_id, bool make)
{
    struct queue key;
    struct queue **found;
    struct queue *queue;

    snprintf(key.object_id, sizeof(key.object_id), "%s", object_id);
    found = tfind(&key, &operations->queues, compare_queues);
    if (found || !make)
        return found ? *found : NULL;
    queue = calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;
    snprintf(queue->object_id, sizeof(queue->object_id), "%s", object_id);
    queue->last = &queue->first;
    if (!tsearch(queue, &operations->queues, compare_queues)) {
        free(queue);
        return NULL;
    }
    return queue;
}

static struct operation *find_operation(struct operations *operations, const char *id)
{
    struct operation key;
    struct operation **found;

    snprintf(key.id, sizeof(key.id), "%s", id);
    found = tfind(&key, &operations->by_id, compare_operations);
    return found ? *found : NULL;
}

static void operation_free(struct operation *operation)
{
    json_decref(operation->arguments);
    json_decref(operation->problem.errors);
    text_free(&operation->log);
    if (operation->wake >= 0)
        close(operation->wake);
    free(operation);
}

/* --- Running --- */

static void *run_loop(void *context);

/* Locked. One more thread, unless there are enough. */
static void add_thread(struct operations *operations)
{
    pthread_t thread;

    if (operations->threads >= THREADS_MAX || operations->stopping || operations->held)
        return;
    if (pthread_create(&thread, NULL, run_loop, operations) != 0)
        return; /* a thread that is there takes it later */
    pthread_detach(thread);
    operations->threads++;
}

/* Locked. Lets a thread take the queue's head. */
static void make_ready(struct operations *operations, struct queue *queue)
{
    queue->next_ready = NULL;
    *operations->last_ready = queue;
    operations->last_ready = &queue->next_ready;
    add_thread(operations);
}

/* Locked. The next operation to run, or NULL. */
static struct operation *take_ready(struct operations *operations)
{
    struct queue *queue = operations->ready;

    if (!queue || operations->stopping)
        return NULL;
    operations->ready = queue->next_ready;
    if (!operations->ready)
        operations->last_ready = &operations->ready;
    return queue->first;
}

static struct operation_statistics *find_statistics(struct operations *operations,
                                                    const char *action)
{
    struct operation_statistics *one = operations->statistics;

    while (one->action && strcmp(one->action, action) != 0 &&
           one < &operations->statistics[STATISTICS_MAX - 1])
        one++;
    one->action = action;
    return one;
}

/* Locked. */
static void count_end(struct operations *operations, const struct operation *operation,
                      enum operation_end end)
{
    struct operation_statistics *one = find_statistics(operations, operation->mutation->action);

    one->succeeded += end == OPERATION_SUCCEEDED;
    one->failed += end == OPERATION_FAILED;
    one->cancelled += end == OPERATION_CANCELLED;
    one->seconds += (double)(time_now() - operation->started_at) / 1000.0;
    one->waited += (double)operation->waited / 1000.0;
}

/* Takes a finished operation off its queue, and lets the next one of the object run. */
static void retire(struct operations *operations, struct operation *operation,
                   enum operation_end end)
{
    struct queue *queue = operation->queue;
    struct waiter *waiters;

    pthread_mutex_lock(&operations->lock);
    count_end(operations, operation, end);
    queue->first = operation->next;
    if (!queue->first)
        queue->last = &queue->first;
    tdelete(operation, &operations->by_id, compare_operations);
    operations->depth--;
    waiters = waiters_take(operations->waiters, operation->id);
    if (queue->first) {
        make_ready(operations, queue);
    } else {
        tdelete(queue, &operations->queues, compare_queues);
        free(queue);
    }
    pthread_mutex_unlock(&operations->lock);
    waiters_answer(operations->daemon, waiters);
    operation_free(operation);
}

static bool is_stopping(struct operations *operations)
{
    bool stopping;

    pthread_mutex_lock(&operations->lock);
    stopping = operations->stopping;
    pthread_mutex_unlock(&operations->lock);
    return stopping;
}

static enum operation_end run_body(struct operation *operation)
{
    bool done;

    if (operation_cancelled(operation)) {
        operation_fail(operation, API_PROBLEM_CANCELLED, "Cancelled before it began.");
        return OPERATION_CANCELLED;
    }
    done = operation->mutation->run(operation);
    if (done)
        return OPERATION_SUCCEEDED;
    if (operation_cancelled(operation)) {
        operation_fail(operation, API_PROBLEM_CANCELLED, "Cancelled while it ran.");
        return OPERATION_CANCELLED;
    }
    return OPERATION_FAILED;
}

static void log_end(const struct operation *operation, enum operation_end end)
{
    log_write(end == OPERATION_FAILED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "operation ended",
              "operation", operation->id, "kind", operation->mutation->action, "object",
              operation->object_id, "state", operation_end_name(end), "request_id",
              operation->request_id, "detail",
              end == OPERATION_SUCCEEDED ? "" : operation->problem.detail, NULL);
}

static void run_one(struct operations *operations, struct operation *operation)
{
    enum operation_end end = OPERATION_FAILED;

    operation->started_at = time_now();
    operation->reported_at = operation->started_at;
    operation->waited = operation->started_at - operation->created_at;
    while (!operation_row_begin(operation) && !is_stopping(operations))
        operation_pause(operation, FINISH_RETRY_MS);
    end = run_body(operation);
    /* Interrupted by the daemon's own end: the row stays unfinished, and is resumed. */
    if (end != OPERATION_SUCCEEDED && is_stopping(operations))
        return;
    while (!operation_row_end(operation, &end)) {
        if (is_stopping(operations))
            return;
        poll(NULL, 0, FINISH_RETRY_MS);
    }
    log_end(operation, end);
    retire(operations, operation, end);
}

static void *run_loop(void *context)
{
    struct operations *operations = context;
    struct operation *operation;

    pthread_mutex_lock(&operations->lock);
    while ((operation = take_ready(operations)) != NULL) {
        pthread_mutex_unlock(&operations->lock);
        run_one(operations, operation);
        pthread_mutex_lock(&operations->lock);
    }
    operations->threads--;
    pthread_cond_signal(&operations->idle);
    pthread_mutex_unlock(&operations->lock);
    return NULL;
}

void operations_add(struct operations *operations, struct operation *operation)
{
    struct queue *queue;

    operation->daemon = operations->daemon;
    pthread_mutex_lock(&operations->lock);
    queue = find_queue(operations, operation->object_id, true);
    if (!queue || !tsearch(operation, &operations->by_id, compare_operations)) {
        pthread_mutex_unlock(&operations->lock);
        log_write(LOG_LEVEL_ERROR, "no memory; the operation waits for the next start", "operation",
                  operation->id, NULL);
        operation_free(operation);
        return;
    }
    operation->queue = queue;
    operation->next = NULL;
    *queue->last = operation;
    queue->last = &operation->next;
    operations->depth++;
    if (queue->first == operation)
        make_ready(operations, queue);
    pthread_mutex_unlock(&operations->lock);
}

/* --- Cancelling --- */

static void cancel(struct operation *operation)
{
    atomic_store(&operation->cancelled, true);
    eventfd_write(operation->wake, 1);
}

void operations_cancel_older(struct operations *operations, const char *object_id,
                             const char *newer)
{
    struct queue *queue;

    pthread_mutex_lock(&operations->lock);
    queue = find_queue(operations, object_id, false);
    for (struct operation *operation = queue ? queue->first : NULL;
         operation && strcmp(operation->id, newer) != 0; operation = operation->next)
        cancel(operation);
    pthread_mutex_unlock(&operations->lock);
}

bool operations_cancel(struct operations *operations, const char *id)
{
    struct operation *operation;

    pthread_mutex_lock(&operations->lock);
    operation = find_operation(operations, id);
    if (operation)
        cancel(operation);
    pthread_mutex_unlock(&operations->lock);
    return operation != NULL;
}

/* --- Waiting --- */

void operations_await(struct operations *operations, struct api_request *request, const char *id,
                      bool replayed)
{
    bool waits;

    pthread_mutex_lock(&operations->lock);
    waits = request->wait > 0 && find_operation(operations, id) != NULL &&
            waiters_add(operations->waiters, request, id, replayed);
    pthread_mutex_unlock(&operations->lock);
    if (!waits)
        reply_operation(operations->daemon, request, id, replayed, true);
}

void operations_release_waiters(struct operations *operations)
{
    waiters_close(operations->waiters);
}

/* --- Life --- */

struct operations *operations_start(struct daemon *daemon)
{
    struct operations *operations = calloc(1, sizeof(*operations));

    if (!operations)
        return NULL;
    operations->daemon = daemon;
    operations->last_ready = &operations->ready;
    operations->held = true;
    pthread_mutex_init(&operations->lock, NULL);
    pthread_cond_init(&operations->idle, NULL);
    operations->waiters = waiters_start(daemon);
    if (!operations->waiters) {
        free(operations);
        return NULL;
    }
    return operations;
}

bool operations_resume(struct operations *operations, char *message, size_t size)
{
    return operation_row_resume(operations->daemon, operations, message, size);
}

void operations_go(struct operations *operations)
{
    pthread_mutex_lock(&operations->lock);
    operations->held = false;
    for (struct queue *queue = operations->ready; queue; queue = queue->next_ready)
        add_thread(operations);
    pthread_mutex_unlock(&operations->lock);
}

static void interrupt(const void *node, VISIT visit, void *context)
{
    struct operation *const *operation = node;

    (void)context;
    if (visit == leaf || visit == postorder)
        cancel(*operation);
}

static void free_operation_node(void *node)
{
    operation_free(node);
}

void operations_stop(struct operations *operations)
{
    pthread_mutex_lock(&operations->lock);
    operations->stopping = true;
    twalk_r(operations->by_id, interrupt, NULL);
    while (operations->threads > 0)
        pthread_cond_wait(&operations->idle, &operations->lock);
    pthread_mutex_unlock(&operations->lock);
    waiters_stop(operations->waiters);
    tdestroy(operations->by_id, free_operation_node);
    tdestroy(operations->queues, free);
    free(operations);
}

bool operations_busy(struct operations *operations, const char *object_id)
{
    bool busy;

    pthread_mutex_lock(&operations->lock);
    busy = find_queue(operations, object_id, false) != NULL;
    pthread_mutex_unlock(&operations->lock);
    return busy;
}

bool operations_holder(struct operations *operations, const char *object_id, char id[UUID_SIZE])
{
    const struct queue *queue;
    bool held;

    pthread_mutex_lock(&operations->lock);
    queue = find_queue(operations, object_id, false);
    held = queue && queue->first;
    if (held)
        memcpy(id, queue->first->id, UUID_SIZE);
    pthread_mutex_unlock(&operations->lock);
    return held;
}

size_t operations_depth(struct operations *operations)
{
    size_t depth;

    pthread_mutex_lock(&operations->lock);
    depth = operations->depth;
    pthread_mutex_unlock(&operations->lock);
    return depth;
}

void operations_statistics(struct operations *operations,
                           void (*visit)(void *context, const struct operation_statistics *one),
                           void *context)
{
    struct operation_statistics copy[STATISTICS_MAX];

    pthread_mutex_lock(&operations->lock);
    memcpy(copy, operations->statistics, sizeof(copy));
    pthread_mutex_unlock(&operations->lock);
    for (int i = 0; i < STATISTICS_MAX && copy[i].action; i++)
        visit(context, &copy[i]);
}

/* --- For a run --- */

void operation_report(struct operation *operation, double progress, const char *format, ...)
{
    struct text line = {0};
    char time[TIME_SIZE];
    char message[512];
    va_list arguments;
    int64_t now = time_now();

    va_start(arguments, format);
    /* clang-tidy 14 does not see the va_start above. */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    time_format(now, time);
    text_printf(&line, "%s{\"time\":\"%s\"", operation->log.size ? "," : "", time);
    text_member(&line, "message", message);
    text_puts(&line, "}");
    if (!line.failed)
        text_append(&operation->log, line.bytes, line.size);
    text_free(&line);
    if (progress >= 0)
        operation->progress = progress;
    if (now - operation->reported_at >= REPORT_MS) {
        operation->reported_at = now;
        operation_row_progress(operation);
    }
}

void operation_progress(struct operation *operation, double progress)
{
    int64_t now = time_now();

    operation->progress = progress;
    if (now - operation->reported_at >= REPORT_MS) {
        operation->reported_at = now;
        operation_row_progress(operation);
    }
}

bool operation_cancelled(const struct operation *operation)
{
    return atomic_load(&operation->cancelled);
}

bool operation_pause(const struct operation *operation, int milliseconds)
{
    struct pollfd wake = {.fd = operation->wake, .events = POLLIN};

    poll(&wake, 1, milliseconds);
    return operation_cancelled(operation);
}

bool operation_fail(struct operation *operation, enum api_problem_type type, const char *format,
                    ...)
{
    char detail[sizeof(operation->problem.detail)];
    va_list arguments;

    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    api_problem_set(&operation->problem, type, "%s", detail);
    return false;
}
