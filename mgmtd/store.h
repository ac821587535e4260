/* SPDX-License-Identifier: MIT */
/*
 * The store: one thread writes to the database, and commits the jobs of many
 * callers together, so that each caller's change is on disk when it is told so
 * and still hundreds of changes a second fit.
 *
 * A job runs on the writer thread inside a step of a transaction. It returns
 * true to keep what it wrote and false to undo it. Its `done` is called on the
 * writer thread after the commit is on disk: DB_OK, or why nothing was written.
 * `done` must be quick and must not call store_call.
 *
 * Lock order: the store's lock is taken last and never held during a job.
 */
#ifndef MGMTD_STORE_H
#define MGMTD_STORE_H

#include "db/object.h"
#include "mgmtd/journal.h"

struct store;

typedef bool store_job(void *context, struct db *db, struct journal *journal);
typedef void store_done(void *context, enum db_result result, const char *message);

/* Called on the writer thread after each commit that added events. */
typedef void store_advanced(void *context, int64_t sequence);

/* Opens the database and starts the writer. NULL with `message` naming file and remedy. */
struct store *store_open(const char *path, char *message, size_t size);

/* Finishes the jobs that are queued, then ends the writer. */
void store_close(struct store *store);

void store_watch(struct store *store, store_advanced *advanced, void *context);

void store_submit(struct store *store, store_job *job, store_done *done, void *context);

/* The same, waiting for the commit. Not on the writer thread. */
enum db_result store_call(struct store *store, store_job *job, void *context, char *message,
                          size_t size);

/* This thread's own reading connection; NULL when it cannot be opened. */
struct db *store_reader(struct store *store);

/* The newest durable event, of all and of those that changed a kind or an operation. */
int64_t store_sequence(const struct store *store);
int64_t store_kind_sequence(const struct store *store, enum journal_mark mark);

/* Whether the last commit worked, and why not. */
bool store_healthy(struct store *store, char *message, size_t size);

struct store_statistics {
    uint64_t commits;
    uint64_t jobs;
    uint64_t commit_nanoseconds;
    uint64_t bucket[12]; /* commits that took at most 2^i / 8 ms; the last: longer */
};
void store_statistics(struct store *store, struct store_statistics *statistics);

#endif
