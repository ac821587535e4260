/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's thread. It owns the connections of the table's entries: other
 * threads add one under the table's lock and never touch it again.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/log.h"
#include "mgmtd/console_join.h"
#include "mgmtd/said.h"
#include "mgmtd/supervisor.h"
#include "mgmtd/vm_end.h"

#define TICK_MS       500
#define SWEEP_MS      2000
#define MISSED_MAX    3 /* sweeps without an answer until a VM's state is unknown */
#define GUEST_MS      2000
#define CONSOLE_CHUNK 65536

/* What a descriptor of an entry is: the low bits of the pointer that epoll keeps. */
enum source { SOURCE_CONTROL, SOURCE_CONSOLE, SOURCE_PROCESS, SOURCE_MASK = 3 };

static void watch(struct vms *vms, struct vm *vm, int fd, enum source source)
{
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u64 = (uint64_t)(uintptr_t)vm | (unsigned)source};

    if (fd >= 0)
        epoll_ctl(vms->epoll, EPOLL_CTL_ADD, fd, &event);
}

void supervisor_watch(struct vms *vms, struct vm *vm)
{
    watch(vms, vm, bh_control_client_fd(vm->client), SOURCE_CONTROL);
    watch(vms, vm, vm->console_fd, SOURCE_CONSOLE);
    watch(vms, vm, vm->pid_fd, SOURCE_PROCESS);
}

/* --- What workers say --- */

static void heard_state(struct vms *vms, struct vm *vm, const json_t *body)
{
    enum bh_vm_reason reason;
    const struct vm_cause *cause;
    char text[256];
    enum vm_state now = said_event(body, &reason, text);

    cause = reason == BH_REASON_REQUESTED && vm->cause.actor[0] ? &vm->cause : NULL;
    if (now == VM_STOPPED || now == VM_CRASHED) {
        vm->ended = true;
        vm_end(vms, vm, now, text, cause);
        return;
    }
    pthread_mutex_lock(&vms->lock);
    if (vm->view.state != now || reason == BH_REASON_GUEST_RESET)
        vms_change_state(vms, vm, now, text, cause);
    pthread_mutex_unlock(&vms->lock);
}

static void heard_memory(struct vms *vms, struct vm *vm, const json_t *body)
{
    pthread_mutex_lock(&vms->lock);
    vm->view.memory_assigned = json_number(body, "assigned_bytes", vm->view.memory_assigned);
    vms_publish(vms, vm, "vm.memory", NULL);
    pthread_mutex_unlock(&vms->lock);
}

/*
 * Locked. Tells what the guest said, at most once in GUEST_MS: a guest may say something else as
 * often as it likes, and each time is an event that is kept.
 */
static void tell_guest(struct vms *vms, struct vm *vm)
{
    if (!vm->guest_changed || time_monotonic() - vm->guest_told_at < GUEST_MS)
        return;
    vm->guest_changed = false;
    vm->guest_told_at = time_monotonic();
    vms_publish(vms, vm, "vm.guest", NULL);
}

static void heard_guest(struct vms *vms, struct vm *vm, const json_t *body)
{
    struct vm_guest guest;

    said_guest(body, &guest);
    pthread_mutex_lock(&vms->lock);
    if (memcmp(&vm->view.guest, &guest, sizeof(guest)) != 0) {
        vm->view.guest = guest;
        vm->guest_changed = true;
        tell_guest(vms, vm);
    }
    pthread_mutex_unlock(&vms->lock);
}

static void heard_event(struct vms *vms, struct vm *vm, const json_t *body)
{
    const char *event = json_text(body, "event");

    if (strcmp(event, "state") == 0)
        heard_state(vms, vm, body);
    else if (strcmp(event, "memory") == 0)
        heard_memory(vms, vm, body);
    else if (strcmp(event, "guest_info") == 0)
        heard_guest(vms, vm, json_object_get(body, "guest"));
    else if (strcmp(event, "disk_error") == 0)
        log_write(LOG_LEVEL_WARNING, "disk error", "vm", vm->view.id, "disk", json_text(body, "id"),
                  "detail", json_text(body, "message"), NULL);
}

static void heard_stats(struct vms *vms, struct vm *vm, json_t *body)
{
    int64_t assigned = json_number(json_object_get(body, "memory"), "assigned_bytes", 0);

    pthread_mutex_lock(&vms->lock);
    json_decref(vm->view.stats);
    vm->view.stats = json_incref(body);
    vm->view.memory_assigned = assigned;
    pthread_mutex_unlock(&vms->lock);
}

/* Another worker has gone on with the guest. */
static void heard_status(struct vms *vms, struct vm *vm, const json_t *body)
{
    const int64_t falls = json_number(body, "restarts", 0);

    pthread_mutex_lock(&vms->lock);
    if (vm->view.falls >= 0 && falls > vm->view.falls) {
        log_write(LOG_LEVEL_WARNING, "a worker fell, and its guest goes on in another", "vm",
                  vm->view.id, NULL);
        vms_publish(vms, vm, "vm.worker_restarted", NULL);
    }
    vm->view.falls = falls;
    pthread_mutex_unlock(&vms->lock);
    heard_guest(vms, vm, json_object_get(body, "guest"));
}

static void heard(struct vms *vms, struct vm *vm, struct bh_control_message *message)
{
    pthread_mutex_lock(&vms->lock);
    vm->view.heard_at = time_now();
    vm->missed = 0;
    if (vm->view.state == VM_UNKNOWN)
        vms_change_state(vms, vm, vm->view.last_known, "", NULL);
    pthread_mutex_unlock(&vms->lock);
    if (message->kind == BH_CONTROL_EVENT) {
        heard_event(vms, vm, message->body);
    } else if (message->id == vm->status_id) {
        vm->status_id = -1;
        if (message->kind == BH_CONTROL_RESULT)
            heard_status(vms, vm, message->body);
    } else if (message->id == vm->stats_id) {
        vm->stats_id = -1;
        if (message->kind == BH_CONTROL_RESULT)
            heard_stats(vms, vm, message->body);
    }
}

/* The connection is gone: is the worker? If not, connecting again is tried at each sweep. */
static void lost(struct vms *vms, struct vm *vm)
{
    if (vm->ended || vm_end_seen(vms, vm)) {
        vm_end_unheard(vms, vm);
        return;
    }
    pthread_mutex_lock(&vms->lock);
    bh_control_close(vm->client);
    vm->client = NULL;
    vm->stats_id = -1;
    vm_drop_fd(&vm->console_fd);
    pthread_mutex_unlock(&vms->lock);
}

static void receive(struct vms *vms, struct vm *vm)
{
    struct bh_control_message message;
    struct bh_control_error error;
    enum bh_control_receive got = BH_CONTROL_WAIT;

    while (vm->client && (got = bh_control_receive(vm->client, 0, &message, NULL, &error)) ==
                             BH_CONTROL_MESSAGE) {
        heard(vms, vm, &message);
        bh_control_message_release(&message);
    }
    if (vm->client && got == BH_CONTROL_CLOSED)
        lost(vms, vm);
}

/* --- Sweeps --- */

struct sweep {
    struct vms *vms;
    bool poll;
    struct vm **due; /* what to act upon without the lock */
    size_t count;
    size_t capacity;
};

static void collect(const void *node, VISIT visit, void *context)
{
    struct sweep *sweep = context;
    struct vm *vm = *(struct vm *const *)node;
    bool active = VM_STATE_BIT(vm->view.state) & VM_STATES_ACTIVE;

    if (visit != leaf && visit != postorder)
        return;
    if (!(active && sweep->poll) && !vm->restart_at && !vm->give_up)
        return;
    if (sweep->count == sweep->capacity) {
        size_t capacity = sweep->capacity ? sweep->capacity * 2 : 64;
        struct vm **grown = realloc(sweep->due, capacity * sizeof(struct vm *));

        if (!grown)
            return;
        sweep->due = grown;
        sweep->capacity = capacity;
    }
    sweep->due[sweep->count++] = vm;
}

static void restart_if_due(struct vms *vms, struct vm *vm)
{
    bool due;

    pthread_mutex_lock(&vms->lock);
    due = vm->restart_at && time_monotonic() >= vm->restart_at && !vm->removed;
    if (due) {
        vm->restart_at = 0;
        vm->view.restarts++;
    }
    pthread_mutex_unlock(&vms->lock);
    if (due)
        change_submit_internal(vms->daemon, API_VM_START, vm->view.id, "restart policy");
}

static void note_silence(struct vms *vms, struct vm *vm)
{
    pthread_mutex_lock(&vms->lock);
    tell_guest(vms, vm);
    if (vm->missed >= MISSED_MAX && vm->view.state != VM_UNKNOWN)
        vms_change_state(vms, vm, VM_UNKNOWN, "The worker does not answer.", NULL);
    pthread_mutex_unlock(&vms->lock);
}

/* Asks a worker for its counters; one that did not answer the last time is not asked again. */
static void sweep_one(struct vms *vms, struct vm *vm)
{
    struct bh_control_error error;
    enum vm_state state = vm->view.state;

    if (!vm->client && state != VM_STARTING) {
        if (vm_end_seen(vms, vm)) {
            vm_end_unheard(vms, vm);
            return;
        }
        supervisor_attach(vms, vm->view.id, &error);
    }
    if (state != VM_STARTING)
        vm->missed++;
    if (vm->client && vm->stats_id < 0)
        bh_control_send(vm->client, BH_METHOD_STATS, NULL, &vm->stats_id, &error);
    note_silence(vms, vm);
}

void vms_give_up(struct vms *vms, const char *id)
{
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm && vm->client) {
        vm->give_up = true;
        eventfd_write(vms->wake, 1);
        while (!vm->removed && vm->give_up && !atomic_load(&vms->stopping))
            pthread_cond_wait(&vms->changed, &vms->lock);
    }
    pthread_mutex_unlock(&vms->lock);
}

static void free_removed(struct vms *vms)
{
    struct vm *list;

    pthread_mutex_lock(&vms->lock);
    list = vms->removed;
    vms->removed = NULL;
    pthread_mutex_unlock(&vms->lock);
    while (list) {
        struct vm *next = list->next_removed;

        supervisor_release(list);
        list = next;
    }
}

static void sweep(struct vms *vms, bool poll_workers)
{
    struct sweep all = {.vms = vms, .poll = poll_workers};

    pthread_mutex_lock(&vms->lock);
    twalk_r(vms->tree, collect, &all);
    if (poll_workers)
        vms->seen_at = time_now();
    pthread_mutex_unlock(&vms->lock);
    for (size_t i = 0; i < all.count; i++) {
        if (all.due[i]->give_up)
            vm_end_give_up(vms, all.due[i]);
        else if (all.due[i]->restart_at)
            restart_if_due(vms, all.due[i]);
        else if (poll_workers)
            sweep_one(vms, all.due[i]);
    }
    free(all.due);
}

static void dispatch(struct vms *vms, const struct epoll_event *event)
{
    struct vm *vm = (struct vm *)(uintptr_t)(event->data.u64 & ~(uint64_t)SOURCE_MASK);
    eventfd_t ignored;

    if (!vm) {
        eventfd_read(vms->wake, &ignored);
        return;
    }
    switch ((enum source)(event->data.u64 & SOURCE_MASK)) {
    case SOURCE_CONTROL:
        receive(vms, vm);
        break;
    case SOURCE_CONSOLE:
        console_join_read(vms, vm, CONSOLE_CHUNK);
        break;
    default:
        /* What it said last comes first. */
        receive(vms, vm);
        if (vm->pid_fd >= 0)
            vm_end_unheard(vms, vm);
        break;
    }
}

static void *supervise(void *context)
{
    struct vms *vms = context;
    struct epoll_event events[64];
    int64_t next_sweep = time_monotonic() + SWEEP_MS;

    while (!atomic_load(&vms->stopping)) {
        int count = epoll_wait(vms->epoll, events, 64, TICK_MS);
        bool poll_workers = time_monotonic() >= next_sweep;

        for (int i = 0; i < count; i++)
            dispatch(vms, &events[i]);
        if (poll_workers)
            next_sweep = time_monotonic() + SWEEP_MS;
        sweep(vms, poll_workers);
        vm_end_reap(vms);
        free_removed(vms);
    }
    return NULL;
}

/* --- Life --- */

bool supervisor_start(struct vms *vms)
{
    struct epoll_event event = {.events = EPOLLIN};

    vms->epoll = epoll_create1(EPOLL_CLOEXEC);
    vms->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (vms->epoll < 0 || vms->wake < 0 ||
        epoll_ctl(vms->epoll, EPOLL_CTL_ADD, vms->wake, &event) != 0)
        return false;
    return pthread_create(&vms->thread, NULL, supervise, vms) == 0;
}

void supervisor_stop(struct vms *vms)
{
    atomic_store(&vms->stopping, true);
    eventfd_write(vms->wake, 1);
    pthread_join(vms->thread, NULL);
    if (vms->adopting)
        pthread_join(vms->adopter, NULL);
    free_removed(vms);
    free(vms->dying);
    close(vms->epoll);
    close(vms->wake);
}

void supervisor_release(struct vm *vm)
{
    if (vm->client)
        bh_control_close(vm->client);
    vm_drop_fd(&vm->console_fd);
    vm_drop_fd(&vm->pid_fd);
    console_close(vm->console);
    json_decref(vm->view.stats);
    free(vm);
}
