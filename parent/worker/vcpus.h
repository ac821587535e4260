/* SPDX-License-Identifier: MIT */
/*
 * One thread for each VP: runs it and serves its intercepts. The event loop
 * starts, parks, and ends all of them together. News for the event loop (a
 * triple fault, a failure) goes through a callback, which runs in a VP's
 * thread; that VP is then parked.
 */
#ifndef PARENT_WORKER_VCPUS_H
#define PARENT_WORKER_VCPUS_H

#include <pthread.h>
#include <stdatomic.h>

#include "parent/control/config.h"
#include "parent/worker/intercept.h"

#define BH_VCPUS_MAX BH_CONFIG_VPS_MAX

struct bh_vcpus;

struct bh_vcpu {
    struct bh_vcpus *all;
    pthread_t thread;
    struct bh_intercept_server server;
};

struct bh_vcpus {
    void (*stopped)(void *context, enum bh_intercept_result why, const char *text);
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool run; /* VPs may run; else they park */
    bool quit;
    unsigned parked;
    unsigned count;
    struct bh_vcpu vcpu[BH_VCPUS_MAX];
};

void bh_vcpus_init(struct bh_vcpus *vcpus,
                   void (*stopped)(void *context, enum bh_intercept_result why, const char *text),
                   void *context);

/* Starts a thread for a VP, parked. Before all run. */
bool bh_vcpus_add(struct bh_vcpus *vcpus, const struct bh_intercept_server *server,
                  struct bh_error *error);

void bh_vcpus_run(struct bh_vcpus *vcpus);

/* Tells all to park, without waiting; from any thread, a VP's too. */
void bh_vcpus_ask_park(struct bh_vcpus *vcpus);

/* Returns when all are parked. From the event loop only. */
void bh_vcpus_park(struct bh_vcpus *vcpus);

/* Ends and joins all threads; then VPs may be added again. */
void bh_vcpus_end(struct bh_vcpus *vcpus);

#endif
