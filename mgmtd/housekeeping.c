/* SPDX-License-Identifier: MIT */
/* What is done now and then, by one thread that sleeps in between. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/log.h"
#include "db/operation.h"
#include "mgmtd/host.h"
#include "mgmtd/housekeeping.h"
#include "mgmtd/pki.h"
#include "mgmtd/trust.h"

#define ROUND_SECONDS 60
#define DAY_MS        86400000ll
#define TRIM_BATCH    500 /* rows a transaction: others write in between */

struct housekeeping {
    struct daemon *daemon;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
};

struct trimming {
    int64_t before;
    int64_t trimmed;
};

static bool trim_job(void *context, struct db *db, struct journal *journal)
{
    struct trimming *trimming = context;
    int64_t operations = 0;
    int64_t events = 0;

    (void)journal;
    if (db_operation_trim(db, trimming->before, TRIM_BATCH, &operations) != DB_OK ||
        db_event_trim(db, trimming->before, TRIM_BATCH, &events) != DB_OK)
        return false;
    trimming->trimmed = operations > events ? operations : events;
    return true;
}

static void trim(struct daemon *daemon)
{
    struct trimming trimming = {.before = time_now() - daemon->options.history_days * DAY_MS};
    char message[256];

    do {
        trimming.trimmed = 0;
        if (store_call(daemon->store, trim_job, &trimming, message, sizeof(message)) != DB_OK)
            return;
    } while (trimming.trimmed == TRIM_BATCH);
}

void housekeeping_round(struct daemon *daemon)
{
    char message[400];

    trim(daemon);
    trust_save_uses(daemon->trust);
    if (pki_renew(daemon->pki, message, sizeof(message))) {
        host_use_certificate(daemon);
        log_write(LOG_LEVEL_INFO, "the server certificate was renewed", NULL);
    } else if (message[0]) {
        log_write(LOG_LEVEL_ERROR, "the server certificate cannot be renewed", "detail", message,
                  NULL);
    }
}

static void *keep_house(void *context)
{
    struct housekeeping *housekeeping = context;

    pthread_mutex_lock(&housekeeping->lock);
    while (!housekeeping->stopping) {
        struct timespec until;

        pthread_mutex_unlock(&housekeeping->lock);
        housekeeping_round(housekeeping->daemon);
        pthread_mutex_lock(&housekeeping->lock);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += ROUND_SECONDS;
        if (!housekeeping->stopping)
            pthread_cond_timedwait(&housekeeping->wake, &housekeeping->lock, &until);
    }
    pthread_mutex_unlock(&housekeeping->lock);
    return NULL;
}

struct housekeeping *housekeeping_start(struct daemon *daemon)
{
    struct housekeeping *housekeeping = calloc(1, sizeof(*housekeeping));

    if (!housekeeping)
        return NULL;
    housekeeping->daemon = daemon;
    pthread_mutex_init(&housekeeping->lock, NULL);
    pthread_cond_init(&housekeeping->wake, NULL);
    if (pthread_create(&housekeeping->thread, NULL, keep_house, housekeeping) == 0)
        return housekeeping;
    free(housekeeping);
    return NULL;
}

void housekeeping_stop(struct housekeeping *housekeeping)
{
    pthread_mutex_lock(&housekeeping->lock);
    housekeeping->stopping = true;
    pthread_cond_signal(&housekeeping->wake);
    pthread_mutex_unlock(&housekeeping->lock);
    pthread_join(housekeeping->thread, NULL);
    free(housekeeping);
}
