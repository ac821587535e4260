/* SPDX-License-Identifier: MIT */
/* The writer thread and its group commit; reading connections by thread. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/operation.h"
#include "mgmtd/store.h"

/* So that a flood of jobs cannot keep the first of them waiting for long. */
#define BATCH_MAX 256

#define MESSAGE_SIZE 512

struct job {
    struct job *next;
    store_job *run;
    store_done *done;
    void *context;
    bool kept;
};

struct store {
    char *path;
    struct db *writer;
    struct journal journal;
    pthread_t thread;
    pthread_key_t reader_key;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct job *first;
    struct job **last;
    bool closing;
    bool failing;
    char failure[MESSAGE_SIZE];
    struct store_statistics statistics;

    _Atomic(store_advanced *) advanced;
    void *advanced_context; /* set before it */
    _Atomic int64_t sequence;
    _Atomic int64_t mark[JOURNAL_MARK_COUNT];
};

static void publish(struct store *store)
{
    store_advanced *advanced = atomic_load(&store->advanced);
    int64_t before = atomic_load(&store->sequence);

    for (int i = 0; i < JOURNAL_MARK_COUNT; i++)
        atomic_store(&store->mark[i], store->journal.mark[i]);
    atomic_store(&store->sequence, store->journal.sequence);
    if (advanced && store->journal.sequence != before)
        advanced(store->advanced_context, store->journal.sequence);
}

/* Takes up to BATCH_MAX jobs off the queue; waits for the first. NULL when closing. */
static struct job *take_batch(struct store *store)
{
    struct job *batch;
    struct job **end = &batch;

    pthread_mutex_lock(&store->lock);
    while (!store->first && !store->closing)
        pthread_cond_wait(&store->wake, &store->lock);
    batch = store->first;
    for (int i = 0; i < BATCH_MAX && *end; i++)
        end = &(*end)->next;
    store->first = *end;
    *end = NULL;
    if (!store->first)
        store->last = &store->first;
    pthread_mutex_unlock(&store->lock);
    return batch;
}

/* One job in a step of its own. A job that is not kept leaves the journal as it was. */
static enum db_result run_job(struct store *store, struct job *job)
{
    struct journal before = store->journal;
    enum db_result result = db_step_begin(store->writer);

    if (result != DB_OK)
        return result;
    job->kept = job->run(job->context, store->writer, &store->journal);
    if (!db_active(store->writer))
        return DB_FULL; /* SQLite gave the whole transaction up */
    if (job->kept)
        return db_step_keep(store->writer);
    db_step_undo(store->writer);
    store->journal = before;
    return DB_OK;
}

static enum db_result run_batch(struct store *store, struct job *batch, char message[MESSAGE_SIZE])
{
    struct journal before = store->journal;
    enum db_result result = db_begin(store->writer);

    for (struct job *job = batch; job && result == DB_OK; job = job->next)
        result = run_job(store, job);
    if (result == DB_OK)
        result = db_commit(store->writer);
    if (result != DB_OK) {
        snprintf(message, MESSAGE_SIZE, "%s", db_message(store->writer));
        db_rollback(store->writer);
        store->journal = before;
    }
    return result;
}

static void count_commit(struct store *store, enum db_result result, const char *message,
                         const struct job *batch, uint64_t nanoseconds)
{
    struct store_statistics *statistics = &store->statistics;
    unsigned bucket = 0;

    while (bucket < 11 && nanoseconds > (125000u << bucket))
        bucket++;
    pthread_mutex_lock(&store->lock);
    store->failing = result != DB_OK;
    snprintf(store->failure, sizeof(store->failure), "%s", message);
    statistics->commits++;
    statistics->commit_nanoseconds += nanoseconds;
    statistics->bucket[bucket]++;
    for (; batch; batch = batch->next)
        statistics->jobs++;
    pthread_mutex_unlock(&store->lock);
}

static uint64_t now_nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void commit_batch(struct store *store, struct job *batch)
{
    uint64_t start = now_nanoseconds();
    char message[MESSAGE_SIZE] = "";
    enum db_result result = run_batch(store, batch, message);

    count_commit(store, result, message, batch, now_nanoseconds() - start);
    if (result == DB_OK)
        publish(store);
    while (batch) {
        struct job *next = batch->next;

        if (batch->done)
            batch->done(batch->context, result, message);
        free(batch);
        batch = next;
    }
}

static void *write_loop(void *context)
{
    struct store *store = context;
    struct job *batch;

    while ((batch = take_batch(store)) != NULL)
        commit_batch(store, batch);
    return NULL;
}

static void close_reader(void *reader)
{
    db_close(reader);
}

static bool start(struct store *store, const char *path)
{
    store->path = strdup(path);
    store->last = &store->first;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->wake, NULL);
    return store->path && pthread_key_create(&store->reader_key, close_reader) == 0 &&
           pthread_create(&store->thread, NULL, write_loop, store) == 0;
}

struct store *store_open(const char *path, char *message, size_t size)
{
    struct store *store = calloc(1, sizeof(*store));

    if (!store) {
        snprintf(message, size, "no memory");
        return NULL;
    }
    if (db_open(path, DB_WRITER, &store->writer, message, size) != DB_OK) {
        free(store);
        return NULL;
    }
    if (journal_load(&store->journal, store->writer) != DB_OK) {
        snprintf(message, size, "cannot read %s: %s", path, db_message(store->writer));
    } else {
        publish(store);
        if (start(store, path))
            return store;
        snprintf(message, size, "cannot start the writer thread");
    }
    db_close(store->writer);
    free(store->path);
    free(store);
    return NULL;
}

void store_close(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    close_reader(pthread_getspecific(store->reader_key));
    pthread_key_delete(store->reader_key);
    db_close(store->writer);
    free(store->path);
    free(store);
}

void store_watch(struct store *store, store_advanced *advanced, void *context)
{
    store->advanced_context = context;
    atomic_store(&store->advanced, advanced);
}

void store_submit(struct store *store, store_job *run, store_done *done, void *context)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job) {
        if (done)
            done(context, DB_FAILED, "no memory");
        return;
    }
    *job = (struct job){.run = run, .done = done, .context = context};
    pthread_mutex_lock(&store->lock);
    *store->last = job;
    store->last = &job->next;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

struct call {
    store_job *run;
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool finished;
    enum db_result result;
    char *message;
    size_t size;
};

static bool run_call(void *context, struct db *db, struct journal *journal)
{
    struct call *call = context;

    return call->run(call->context, db, journal);
}

static void finish_call(void *context, enum db_result result, const char *message)
{
    struct call *call = context;

    pthread_mutex_lock(&call->lock);
    call->result = result;
    if (call->message)
        snprintf(call->message, call->size, "%s", message);
    call->finished = true;
    pthread_cond_signal(&call->done);
    pthread_mutex_unlock(&call->lock);
}

enum db_result store_call(struct store *store, store_job *job, void *context, char *message,
                          size_t size)
{
    struct call call = {.run = job, .context = context, .message = message, .size = size};

    pthread_mutex_init(&call.lock, NULL);
    pthread_cond_init(&call.done, NULL);
    store_submit(store, run_call, finish_call, &call);
    pthread_mutex_lock(&call.lock);
    while (!call.finished)
        pthread_cond_wait(&call.done, &call.lock);
    pthread_mutex_unlock(&call.lock);
    pthread_cond_destroy(&call.done);
    pthread_mutex_destroy(&call.lock);
    return call.result;
}

struct db *store_reader(struct store *store)
{
    struct db *reader = pthread_getspecific(store->reader_key);
    char message[512];

    if (reader)
        return reader;
    if (db_open(store->path, DB_READER, &reader, message, sizeof(message)) != DB_OK)
        return NULL;
    if (pthread_setspecific(store->reader_key, reader) != 0) {
        db_close(reader);
        return NULL;
    }
    return reader;
}

int64_t store_sequence(const struct store *store)
{
    return atomic_load(&store->sequence);
}

int64_t store_kind_sequence(const struct store *store, enum journal_mark mark)
{
    return atomic_load(&store->mark[mark]);
}

bool store_healthy(struct store *store, char *message, size_t size)
{
    bool healthy;

    pthread_mutex_lock(&store->lock);
    healthy = !store->failing;
    snprintf(message, size, "%s", healthy ? "writable" : store->failure);
    pthread_mutex_unlock(&store->lock);
    return healthy;
}

void store_statistics(struct store *store, struct store_statistics *statistics)
{
    pthread_mutex_lock(&store->lock);
    *statistics = store->statistics;
    pthread_mutex_unlock(&store->lock);
}
