/* SPDX-License-Identifier: MIT */
#include "parent/worker/vcpus.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/*
 * This signal only ends the system call that runs a VP. One that comes between
 * the look at `run` and that call is lost, so it is sent until the thread has
 * parked.
 */
#define KICK_SIGNAL   SIGUSR1
#define KICK_AGAIN_NS 2000000

static void ignore(int signal)
{
    (void)signal;
}

void bh_vcpus_init(struct bh_vcpus *vcpus,
                   void (*stopped)(void *context, enum bh_intercept_result why, const char *text),
                   void *context)
{
    struct sigaction action = {.sa_handler = ignore}; /* without SA_RESTART */

    memset(vcpus, 0, sizeof(*vcpus));
    vcpus->stopped = stopped;
    vcpus->context = context;
    (void)pthread_mutex_init(&vcpus->lock, NULL);
    (void)pthread_cond_init(&vcpus->changed, NULL);
    (void)sigaction(KICK_SIGNAL, &action, NULL);
}

/* Waits until the VP may run; false when the thread is to end. */
static bool wait_for_turn(struct bh_vcpus *vcpus)
{
    bool quit;

    (void)pthread_mutex_lock(&vcpus->lock);
    vcpus->parked++;
    (void)pthread_cond_broadcast(&vcpus->changed);
    while (!atomic_load(&vcpus->run) && !vcpus->quit)
        (void)pthread_cond_wait(&vcpus->changed, &vcpus->lock);
    vcpus->parked--;
    quit = vcpus->quit;
    (void)pthread_mutex_unlock(&vcpus->lock);
    return !quit;
}

/* Runs the VP until all are to park, or until something happens that it cannot serve. */
static void run_vcpu(struct bh_vcpu *vcpu)
{
    struct bh_vcpus *vcpus = vcpu->all;
    struct hv_message message;
    struct bh_error error = {0};
    enum bh_intercept_result result = BH_INTERCEPT_RESUME;

    while (atomic_load(&vcpus->run) && result == BH_INTERCEPT_RESUME) {
        switch (bh_vp_run(vcpu->server.vp, &message, &error)) {
        case BH_VP_MESSAGE:
            result = bh_intercept_serve(&vcpu->server, &message, &error);
            break;
        case BH_VP_INTERRUPTED:
            break;
        default:
            result = BH_INTERCEPT_FAILED;
            break;
        }
    }
    if (result == BH_INTERCEPT_RESUME)
        return;
    bh_vcpus_ask_park(vcpus);
    vcpus->stopped(vcpus->context, result, error.text);
}

static void *vcpu_thread(void *argument)
{
    struct bh_vcpu *vcpu = argument;

    while (wait_for_turn(vcpu->all))
        run_vcpu(vcpu);
    return NULL;
}

bool bh_vcpus_add(struct bh_vcpus *vcpus, const struct bh_intercept_server *server,
                  struct bh_error *error)
{
    struct bh_vcpu *vcpu = &vcpus->vcpu[vcpus->count];
    int number;

    if (vcpus->count == BH_VCPUS_MAX)
        return bh_error_set(error, EINVAL, "More than %u virtual processors.", BH_VCPUS_MAX);
    vcpu->all = vcpus;
    vcpu->server = *server;
    number = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
    if (number != 0)
        return bh_error_set(error, number, "No thread for a virtual processor: %s.",
                            strerror(number));
    vcpus->count++;
    return true;
}

void bh_vcpus_run(struct bh_vcpus *vcpus)
{
    (void)pthread_mutex_lock(&vcpus->lock);
    atomic_store(&vcpus->run, true);
    (void)pthread_cond_broadcast(&vcpus->changed);
    (void)pthread_mutex_unlock(&vcpus->lock);
}

static void kick_all(struct bh_vcpus *vcpus)
{
    for (unsigned i = 0; i < vcpus->count; i++)
        if (!pthread_equal(vcpus->vcpu[i].thread, pthread_self()))
            (void)pthread_kill(vcpus->vcpu[i].thread, KICK_SIGNAL);
}

void bh_vcpus_ask_park(struct bh_vcpus *vcpus)
{
    atomic_store(&vcpus->run, false);
    kick_all(vcpus);
}

static struct timespec soon(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += KICK_AGAIN_NS;
    if (time.tv_nsec >= 1000000000) {
        time.tv_nsec -= 1000000000;
        time.tv_sec++;
    }
    return time;
}

void bh_vcpus_park(struct bh_vcpus *vcpus)
{
    atomic_store(&vcpus->run, false);
    (void)pthread_mutex_lock(&vcpus->lock);
    while (vcpus->parked < vcpus->count) {
        struct timespec until = soon();

        kick_all(vcpus);
        (void)pthread_cond_timedwait(&vcpus->changed, &vcpus->lock, &until);
    }
    (void)pthread_mutex_unlock(&vcpus->lock);
}

void bh_vcpus_end(struct bh_vcpus *vcpus)
{
    bh_vcpus_park(vcpus);
    (void)pthread_mutex_lock(&vcpus->lock);
    vcpus->quit = true;
    (void)pthread_cond_broadcast(&vcpus->changed);
    (void)pthread_mutex_unlock(&vcpus->lock);
    for (unsigned i = 0; i < vcpus->count; i++)
        (void)pthread_join(vcpus->vcpu[i].thread, NULL);
    vcpus->count = 0;
    vcpus->parked = 0;
    vcpus->quit = false;
}
