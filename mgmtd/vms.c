/* SPDX-License-Identifier: MIT */
/* The table of VMs: states in memory, written through the store. */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mgmtd/supervisor.h"
#include "mgmtd/vm_table.h"

#define SCROLLBACK_DEFAULT INT64_C(1048576)

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct vm *)a)->view.id, ((const struct vm *)b)->view.id);
}

struct vm *vms_find(struct vms *vms, const char *id)
{
    struct vm key;
    struct vm **found;

    snprintf(key.view.id, sizeof(key.view.id), "%s", id);
    found = tfind(&key, &vms->tree, compare);
    return found ? *found : NULL;
}

static struct vm *make(struct vms *vms, const char *id)
{
    struct vm *vm = calloc(1, sizeof(*vm));

    if (!vm)
        return NULL;
    snprintf(vm->view.id, sizeof(vm->view.id), "%s", id);
    vm->view.since = time_now();
    vm->console_fd = -1;
    vm->pid_fd = -1;
    vm->stats_id = -1;
    vm->status_id = -1;
    vm->view.falls = -1;
    if (!tsearch(vm, &vms->tree, compare)) {
        free(vm);
        return NULL;
    }
    return vm;
}

void vm_drop_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- States --- */

static const char *event_of(enum vm_state from, enum vm_state to)
{
    static const char *const types[VM_STATE_COUNT] = {
        [VM_STOPPED] = "vm.stopped", [VM_STARTING] = "vm.starting", [VM_RUNNING] = "vm.started",
        [VM_PAUSING] = "vm.pausing", [VM_PAUSED] = "vm.paused",     [VM_STOPPING] = "vm.stopping",
        [VM_CRASHED] = "vm.crashed", [VM_UNKNOWN] = "vm.lost",
    };

    if (to == VM_RUNNING && (from == VM_PAUSED || from == VM_PAUSING))
        return "vm.resumed";
    if (to == VM_RUNNING && from == VM_RUNNING)
        return "vm.reset";
    return from == VM_UNKNOWN && to != VM_STOPPED && to != VM_CRASHED ? "vm.found" : types[to];
}

void vms_change_state(struct vms *vms, struct vm *vm, enum vm_state state, const char *reason,
                      const struct vm_cause *cause)
{
    enum vm_state before = vm->view.state;

    if (before != VM_UNKNOWN)
        vm->view.last_known = before;
    vm->view.state = state;
    vm->view.since = time_now();
    vms->seen_at = vm->view.since;
    snprintf(vm->view.reason, sizeof(vm->view.reason), "%s", reason);
    if (!(VM_STATE_BIT(state) & VM_STATES_ACTIVE)) {
        vm->view.pid = 0;
        vm->view.memory_assigned = 0;
        vm->view.heard_at = 0;
        memset(&vm->view.guest, 0, sizeof(vm->view.guest));
        vm->guest_changed = false;
    } else if (vm->view.memory_assigned == 0) {
        vm->view.memory_assigned = vm->view.memory; /* until the worker says something else */
    }
    if (!(VM_STATE_BIT(state) & VM_STATES_ACTIVE) || state == VM_STARTING) {
        vm->view.pending = 0;
        vm->view.falls = 0;
    }
    vms_publish(vms, vm, event_of(before, state), cause);
    pthread_cond_broadcast(&vms->changed);
}

static struct vm_cause cause_of(const struct operation *operation)
{
    struct vm_cause cause = {.actor = "system"};

    if (operation) {
        memcpy(cause.actor, operation->actor, sizeof(cause.actor));
        memcpy(cause.operation, operation->id, sizeof(cause.operation));
        memcpy(cause.request_id, operation->request_id, sizeof(cause.request_id));
    }
    return cause;
}

void vms_set_state(struct vms *vms, const char *id, enum vm_state state, const char *reason,
                   const struct operation *operation)
{
    struct vm_cause cause = cause_of(operation);
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm && vm->view.state != state)
        vms_change_state(vms, vm, state, reason, &cause);
    else if (vm && vm->desired_changed)
        vms_publish(vms, vm, "vm.desired", &cause);
    pthread_mutex_unlock(&vms->lock);
}

void vms_set_pending(struct vms *vms, const char *id, unsigned pending)
{
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm && VM_STATE_BIT(vm->view.state) & VM_STATES_ACTIVE &&
        (vm->view.pending | pending) != vm->view.pending) {
        vm->view.pending |= pending;
        vms_publish(vms, vm, "vm.pending", NULL);
    }
    pthread_mutex_unlock(&vms->lock);
}

void vms_set_desired(struct vms *vms, const char *id, enum vm_desired desired, bool forget_restarts,
                     const struct operation *operation)
{
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm) {
        vm->cause = cause_of(operation);
        vm->desired_changed = vm->desired_changed || vm->view.desired != desired;
        vm->view.desired = desired;
        vm->restart_at = 0;
        if (forget_restarts) {
            vm->view.restarts = 0;
            vm->quick_ends = 0;
        }
    }
    pthread_mutex_unlock(&vms->lock);
}

bool vms_wait(struct vms *vms, const char *id, unsigned states, int timeout_ms,
              const struct operation *operation)
{
    int64_t end = time_monotonic() + timeout_ms;
    bool reached = false;

    pthread_mutex_lock(&vms->lock);
    for (;;) {
        struct vm *vm = vms_find(vms, id);
        struct timespec until;

        reached = vm && states & VM_STATE_BIT(vm->view.state);
        if (reached || time_monotonic() >= end || (operation && operation_cancelled(operation)))
            break;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 50000000; /* a cancellation is noticed that soon */
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&vms->changed, &vms->lock, &until);
    }
    pthread_mutex_unlock(&vms->lock);
    return reached;
}

/* --- User ids of workers --- */

struct uid_search {
    const struct vm *not_this;
    unsigned first;
    bool used[WORKER_UIDS];
};

static void mark_uid(const void *node, VISIT visit, void *context)
{
    struct uid_search *search = context;
    const struct vm *vm = *(struct vm *const *)node;
    unsigned offset = vm->uid - search->first;

    if ((visit == leaf || visit == postorder) && vm != search->not_this && vm->uid != 0 &&
        offset < WORKER_UIDS && VM_STATE_BIT(vm->view.state) & VM_STATES_ACTIVE)
        search->used[offset] = true;
}

unsigned vms_reserve_uid(struct vms *vms, const char *id)
{
    struct uid_search search = {.first = vms->daemon->options.worker_uid};
    unsigned offset = 0;
    struct vm *vm;

    if (search.first == 0)
        return 0;
    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    search.not_this = vm;
    twalk_r(vms->tree, mark_uid, &search);
    while (offset < WORKER_UIDS - 1 && search.used[offset])
        offset++;
    if (vm)
        vm->uid = search.first + offset;
    pthread_mutex_unlock(&vms->lock);
    return search.first + offset;
}

/* --- Entries --- */

static void join_tags(const json_t *tags, char *text, size_t size)
{
    size_t used = 0;
    size_t index;
    const json_t *tag;

    text[0] = '\0';
    json_array_foreach(tags, index, tag)
    {
        size_t length = json_string_length(tag);

        if (used + length + 2 > size)
            return;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "",
                                 json_string_value(tag));
    }
}

static void take_document(struct vm *vm, const struct object *object)
{
    const json_t *document = object->document;
    const json_t *restart = json_object_get(document, "restart");
    const char *policy = json_text(restart, "policy");
    struct vm_view *view = &vm->view;

    snprintf(view->name, sizeof(view->name), "%s", object->name);
    join_tags(json_object_get(document, "tags"), view->tags, sizeof(view->tags));
    view->processors = json_number(json_object_get(document, "processors"), "count", 1);
    view->memory = json_number(json_object_get(document, "memory"), "size", 0);
    view->autostart = json_is_true(json_object_get(document, "autostart"));
    view->restart = (struct vm_restart){
        .policy = strcmp(policy, "always") == 0       ? RESTART_ALWAYS
                  : strcmp(policy, "on-failure") == 0 ? RESTART_ON_FAILURE
                                                      : RESTART_NEVER,
        .delay = json_number(restart, "delay", 1),
        .maximum_delay = json_number(restart, "maximum_delay", 300),
        .attempts = json_number(restart, "attempts", 0),
    };
    vm->scrollback = (uint64_t)json_number(json_object_get(document, "console"), "scrollback",
                                           SCROLLBACK_DEFAULT);
    if (vm->console)
        console_set_limit(vm->console, vm->scrollback);
}

void vms_put(struct vms *vms, const struct object *object)
{
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, object->id);
    if (!vm)
        vm = make(vms, object->id);
    if (vm)
        take_document(vm, object);
    pthread_mutex_unlock(&vms->lock);
}

void vms_remove(struct vms *vms, const char *id)
{
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm) {
        tdelete(vm, &vms->tree, compare);
        vm->removed = true;
        vm->next_removed = vms->removed;
        vms->removed = vm;
        pthread_cond_broadcast(&vms->changed);
    }
    pthread_mutex_unlock(&vms->lock);
    eventfd_write(vms->wake, 1);
}

struct loading {
    struct vms *vms;
    struct db *db;
};

static bool load_row(void *context, const struct db_object *row)
{
    struct loading *loading = context;
    struct object object;
    struct vm *vm;

    if (object_load(&object, loading->db, DB_VM, "", row->id) != DB_OK)
        return false;
    vms_put(loading->vms, &object);
    pthread_mutex_lock(&loading->vms->lock);
    vm = vms_find(loading->vms, object.id);
    if (vm)
        vm_status_read(vm, &object);
    pthread_mutex_unlock(&loading->vms->lock);
    object_release(&object);
    return vm != NULL;
}

bool vms_load(struct vms *vms, char *message, size_t size)
{
    struct loading loading = {.vms = vms, .db = store_reader(vms->daemon->store)};
    enum db_result result =
        loading.db ? db_object_each(loading.db, DB_VM, load_row, &loading) : DB_FAILED;

    if (result != DB_OK)
        snprintf(message, size, "cannot read the VMs: %s",
                 loading.db ? db_message(loading.db) : "no connection");
    return result == DB_OK;
}

bool vms_get(struct vms *vms, const char *id, struct vm_view *view)
{
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm)
        *view = vm->view;
    view->stats = NULL;
    pthread_mutex_unlock(&vms->lock);
    return vm != NULL;
}

struct visiting {
    void (*visit)(void *context, const struct vm_view *vm);
    void *context;
};

static void visit_node(const void *node, VISIT visit, void *context)
{
    struct visiting *visiting = context;
    struct vm *const *vm = node;

    if (visit == leaf || visit == postorder)
        visiting->visit(visiting->context, &(*vm)->view);
}

void vms_visit(struct vms *vms, void (*visit)(void *context, const struct vm_view *vm),
               void *context)
{
    struct visiting visiting = {visit, context};

    pthread_mutex_lock(&vms->lock);
    twalk_r(vms->tree, visit_node, &visiting);
    pthread_mutex_unlock(&vms->lock);
}

struct copying {
    struct vm_view *views;
    size_t count;
    size_t capacity;
};

static void copy_view(void *context, const struct vm_view *view)
{
    struct copying *copying = context;

    if (copying->count == copying->capacity) {
        size_t capacity = copying->capacity ? copying->capacity * 2 : 64;
        struct vm_view *grown = realloc(copying->views, capacity * sizeof(*grown));

        if (!grown)
            return;
        copying->views = grown;
        copying->capacity = capacity;
    }
    copying->views[copying->count] = *view;
    json_incref(view->stats);
    copying->count++;
}

struct vm_view *vms_copy(struct vms *vms, size_t *count)
{
    struct copying copying = {.views = NULL};

    vms_visit(vms, copy_view, &copying);
    *count = copying.count;
    return copying.views;
}

void vms_copy_free(struct vm_view *views, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_decref(views[i].stats);
    free(views);
}

static void add_commitment(void *context, const struct vm_view *vm)
{
    struct vms_commitment *commitment = context;

    commitment->total++;
    if (!(VM_STATE_BIT(vm->state) & VM_STATES_ACTIVE))
        return;
    commitment->active++;
    commitment->memory += vm->memory;
    commitment->processors += vm->processors;
}

void vms_committed(struct vms *vms, struct vms_commitment *commitment)
{
    *commitment = (struct vms_commitment){0};
    vms_visit(vms, add_commitment, commitment);
}

void vms_observed(struct vms *vms, char text[TIME_SIZE])
{
    int64_t seen_at;

    pthread_mutex_lock(&vms->lock);
    seen_at = vms->seen_at;
    pthread_mutex_unlock(&vms->lock);
    time_format(seen_at, text);
}

/* --- Consoles --- */

struct console *vms_console(struct vms *vms, struct vm *vm)
{
    char path[PATH_SIZE];

    if (!vm->console && path_join(path, vms->daemon->options.state, "consoles/%s", vm->view.id))
        vm->console = console_open(path, vm->scrollback);
    return vm->console;
}

/* The console of a VM, for the caller to read without the table's lock, and to close. */
static struct console *borrow_console(struct vms *vms, const char *id)
{
    struct console *console = NULL;
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm)
        console = console_hold(vms_console(vms, vm));
    pthread_mutex_unlock(&vms->lock);
    return console;
}

ssize_t vms_console_read(struct vms *vms, const char *id, uint64_t offset, void *bytes, size_t size,
                         struct console_span *span)
{
    struct console *console = borrow_console(vms, id);
    ssize_t got = console ? console_read(console, offset, bytes, size, span) : -1;

    console_close(console);
    return got;
}

uint64_t vms_console_end(struct vms *vms, const char *id)
{
    struct console *console;
    char path[PATH_SIZE];
    uint64_t end;

    if (!path_join(path, vms->daemon->options.state, "consoles/%s", id) || access(path, F_OK) != 0)
        return 0;
    console = borrow_console(vms, id);
    end = console ? console_end(console) : 0;
    console_close(console);
    return end;
}

bool vms_console_write(struct vms *vms, const char *id, const void *bytes, size_t size)
{
    ssize_t sent = -1;
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm && vm->console_fd >= 0)
        sent = send(vm->console_fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    pthread_mutex_unlock(&vms->lock);
    return sent == (ssize_t)size;
}

/* --- Life --- */

struct vms *vms_start(struct daemon *daemon)
{
    struct vms *vms = calloc(1, sizeof(*vms));
    pthread_condattr_t attributes;

    if (!vms)
        return NULL;
    vms->daemon = daemon;
    vms->seen_at = time_now();
    pthread_mutex_init(&vms->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&vms->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!supervisor_start(vms)) {
        free(vms);
        return NULL;
    }
    return vms;
}

static void free_vm(void *node)
{
    supervisor_release(node);
}

void vms_stop(struct vms *vms)
{
    supervisor_stop(vms);
    tdestroy(vms->tree, free_vm);
    free(vms);
}
