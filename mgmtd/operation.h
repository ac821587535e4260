/* SPDX-License-Identifier: MIT */
/*
 * The operations engine: queued work, one at a time per object and in the order
 * of arrival, on threads of its own; and requests that wait for an end.
 *
 * Operations are rows first. What is here in memory is only what the unfinished
 * ones need; after a restart it is made again from the rows.
 *
 * Lock order: operations' lock, then nothing. Jobs of the store and callbacks of
 * a run are called without it.
 */
#ifndef MGMTD_OPERATION_H
#define MGMTD_OPERATION_H

#include <stdatomic.h>

#include "mgmtd/change.h"

struct operation {
    struct daemon *daemon;
    const struct mutation *mutation;
    int64_t number;
    char id[UUID_SIZE];
    enum db_kind kind;
    char object_id[UUID_SIZE];
    char object_name[NAME_SIZE];
    char actor[96];
    char request_id[72];
    char result[UUID_SIZE];
    json_t *arguments;
    int64_t created_at;
    int64_t started_at;
    bool resumed; /* it was there when this daemon began, and may have run before */

    /* The run's own. */
    struct api_problem problem;
    char event_data[256]; /* JSON object for the event at its end, or "" */
    const char *event;    /* instead of the mutation's, or NULL */
    double progress;
    struct text log; /* JSON objects with commas between */
    int64_t reported_at;

    atomic_bool cancelled;
    int wake; /* eventfd: readable once cancelled */

    /* The engine's own. */
    struct queue *queue;
    struct operation *next; /* in its object's queue */
    int64_t waited;         /* ms from its arrival to its start */
};

struct operations *operations_start(struct daemon *daemon);

/*
 * Takes up the unfinished operations of the database. Before requests are served.
 * Nothing runs until operations_go, when the workers that run are known.
 */
bool operations_resume(struct operations *operations, char *message, size_t size);
void operations_go(struct operations *operations);

/* Answers everybody who waits with what is now, and from then on nobody waits. */
void operations_release_waiters(struct operations *operations);

/* Interrupts those that run and waits for their threads. They go on at the next start. */
void operations_stop(struct operations *operations);

/* Queues an operation whose row is committed. Takes it over. */
void operations_add(struct operations *operations, struct operation *operation);

/* Cancels the unfinished ones on an object that came before the operation `newer`. */
void operations_cancel_older(struct operations *operations, const char *object_id,
                             const char *newer);

/* Asks one to stop. False when it is not unfinished. */
bool operations_cancel(struct operations *operations, const char *id);

/*
 * Answers `request` when the operation ends, or after request->wait seconds with 202.
 * Works for finished operations as well.
 */
void operations_await(struct operations *operations, struct api_request *request, const char *id,
                      bool replayed);

/* Whether an object has unfinished operations. */
bool operations_busy(struct operations *operations, const char *object_id);

/* The unfinished operation that came first on an object; false: there is none. */
bool operations_holder(struct operations *operations, const char *object_id, char id[UUID_SIZE]);

size_t operations_depth(struct operations *operations);

struct operation_statistics {
    const char *action;
    uint64_t succeeded;
    uint64_t failed;
    uint64_t cancelled;
    double seconds; /* of runs */
    double waited;  /* seconds in queues */
};

/* Calls `visit` for each kind of operation that ended since the daemon started. */
void operations_statistics(struct operations *operations,
                           void (*visit)(void *context, const struct operation_statistics *one),
                           void *context);

/* --- For a run --- */

/* A line for the operation's log, and how much is done (0 to 1; negative: as before). */
void operation_report(struct operation *operation, double progress, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void operation_progress(struct operation *operation, double progress);
bool operation_cancelled(const struct operation *operation);

/* Waits for milliseconds or a cancellation; true when cancelled. */
bool operation_pause(const struct operation *operation, int milliseconds);

/* Sets the problem; always false, so a run can return it. */
bool operation_fail(struct operation *operation, enum api_problem_type type, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

#endif
