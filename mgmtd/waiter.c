/* SPDX-License-Identifier: MIT */
/* Requests that wait; one thread answers those whose time is over. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mgmtd/reply.h"
#include "mgmtd/waiter.h"

struct waiter {
    struct waiter *next;
    struct api_request *request;
    char id[UUID_SIZE];
    int64_t deadline; /* time_monotonic */
    bool replayed;
};

struct waiters {
    struct daemon *daemon;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct waiter *first;
    bool closed;
    bool stopping;
};

/* Locked. Unlinks the waiters that fit: of an operation, or with a deadline up to `until`. */
static struct waiter *unlink_fitting(struct waiters *waiters, const char *id, int64_t until)
{
    struct waiter *taken = NULL;
    struct waiter **link = &waiters->first;

    while (*link) {
        struct waiter *waiter = *link;

        if (id ? strcmp(waiter->id, id) == 0 : waiter->deadline <= until) {
            *link = waiter->next;
            waiter->next = taken;
            taken = waiter;
        } else {
            link = &waiter->next;
        }
    }
    return taken;
}

void waiters_answer(struct daemon *daemon, struct waiter *list)
{
    while (list) {
        struct waiter *next = list->next;

        reply_operation(daemon, list->request, list->id, list->replayed, true);
        free(list);
        list = next;
    }
}

/* Locked. Waits until the next deadline, or for a change. */
static void wait_for_deadline(struct waiters *waiters)
{
    int64_t next = INT64_MAX;
    struct timespec until;

    for (struct waiter *waiter = waiters->first; waiter; waiter = waiter->next)
        if (waiter->deadline < next)
            next = waiter->deadline;
    if (next == INT64_MAX) {
        pthread_cond_wait(&waiters->changed, &waiters->lock);
        return;
    }
    until = (struct timespec){.tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000};
    pthread_cond_timedwait(&waiters->changed, &waiters->lock, &until);
}

static void *wait_loop(void *context)
{
    struct waiters *waiters = context;

    pthread_mutex_lock(&waiters->lock);
    while (!waiters->stopping) {
        struct waiter *late = unlink_fitting(waiters, NULL, time_monotonic());

        if (!late) {
            wait_for_deadline(waiters);
            continue;
        }
        pthread_mutex_unlock(&waiters->lock);
        waiters_answer(waiters->daemon, late);
        pthread_mutex_lock(&waiters->lock);
    }
    pthread_mutex_unlock(&waiters->lock);
    return NULL;
}

struct waiters *waiters_start(struct daemon *daemon)
{
    struct waiters *waiters = calloc(1, sizeof(*waiters));
    pthread_condattr_t attributes;

    if (!waiters)
        return NULL;
    waiters->daemon = daemon;
    pthread_mutex_init(&waiters->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waiters->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&waiters->thread, NULL, wait_loop, waiters) != 0) {
        free(waiters);
        return NULL;
    }
    return waiters;
}

bool waiters_add(struct waiters *waiters, struct api_request *request, const char *id,
                 bool replayed)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    bool added;

    if (!waiter)
        return false;
    waiter->request = request;
    waiter->replayed = replayed;
    waiter->deadline = time_monotonic() + (int64_t)request->wait * 1000;
    snprintf(waiter->id, sizeof(waiter->id), "%s", id);
    pthread_mutex_lock(&waiters->lock);
    added = !waiters->closed;
    if (added) {
        waiter->next = waiters->first;
        waiters->first = waiter;
        pthread_cond_signal(&waiters->changed);
    }
    pthread_mutex_unlock(&waiters->lock);
    if (!added)
        free(waiter);
    return added;
}

struct waiter *waiters_take(struct waiters *waiters, const char *id)
{
    struct waiter *taken;

    pthread_mutex_lock(&waiters->lock);
    taken = unlink_fitting(waiters, id, 0);
    pthread_mutex_unlock(&waiters->lock);
    return taken;
}

void waiters_close(struct waiters *waiters)
{
    struct waiter *all;

    pthread_mutex_lock(&waiters->lock);
    waiters->closed = true;
    all = unlink_fitting(waiters, NULL, INT64_MAX);
    pthread_mutex_unlock(&waiters->lock);
    waiters_answer(waiters->daemon, all);
}

void waiters_stop(struct waiters *waiters)
{
    pthread_mutex_lock(&waiters->lock);
    waiters->stopping = true;
    pthread_cond_signal(&waiters->changed);
    pthread_mutex_unlock(&waiters->lock);
    pthread_join(waiters->thread, NULL);
    free(waiters);
}
