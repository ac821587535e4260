/* SPDX-License-Identifier: MIT */
/*
 * Adoption: after a start of the daemon, what was running is found again. A VM
 * whose worker answers is followed as before. One whose worker is there but
 * does not answer is unknown, never restarted. One whose worker is gone has
 * ended: with the host, when the host was started since, or by itself. A restart by the policy that
 * the daemon before had planned is planned again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/log.h"
#include "mgmtd/network.h"
#include "mgmtd/supervisor.h"
#include "mgmtd/vm_end.h"
#include "mgmtd/worker.h"

struct adoption {
    struct vms *vms;
    bool host_started;
    char (*ids)[UUID_SIZE];
    size_t count;
};

/* The run directory does not survive a start of the host; a file in it tells. */
static bool mark_host_started(const struct daemon *daemon)
{
    char path[PATH_SIZE];
    int fd = -1;

    if (path_join(path, daemon->options.run, "adopted"))
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool has_socket(const struct daemon *daemon, const char *id)
{
    char path[PATH_SIZE];

    return worker_path(daemon, id, "control", path) && access(path, F_OK) == 0;
}

/* The policy would start it again: a daemon that was killed may have had that before it. */
static bool wants_restart(const struct vm_view *view, enum vm_state ended)
{
    const struct vm_restart *restart = &view->restart;

    return view->desired != VM_WANT_STOPPED &&
           (restart->policy == RESTART_ALWAYS ||
            (restart->policy == RESTART_ON_FAILURE && ended == VM_CRASHED));
}

static bool is_due(const struct adoption *adoption, const struct vm_view *view)
{
    const struct vm_restart *restart = &view->restart;

    return !adoption->host_started && !(VM_STATE_BIT(view->state) & VM_STATES_ACTIVE) &&
           (restart->attempts == 0 || view->restarts < restart->attempts) &&
           wants_restart(view, view->state);
}

static void collect(void *context, const struct vm_view *view)
{
    struct adoption *adoption = context;
    bool wanted = VM_STATE_BIT(view->state) & VM_STATES_ACTIVE || is_due(adoption, view) ||
                  has_socket(adoption->vms->daemon, view->id) ||
                  (adoption->host_started && view->autostart);
    void *grown;

    if (!wanted)
        return;
    grown = realloc(adoption->ids, (adoption->count + 1) * UUID_SIZE);
    if (!grown)
        return;
    adoption->ids = grown;
    memcpy(adoption->ids[adoption->count++], view->id, UUID_SIZE);
}

/* Locked. The worker is gone; `text` says why the VM is in the state `ended`. */
static void set_gone(struct vms *vms, struct vm *vm, enum vm_state ended, bool restarts,
                     const char *text)
{
    const struct vm_restart *restart = &vm->view.restart;
    bool again = restarts && wants_restart(&vm->view, ended);

    vm->restart_at = again ? time_monotonic() + restart->delay * 1000 : 0;
    if (restarts && !again && ended == VM_STOPPED)
        vm->view.desired = VM_WANT_STOPPED;
    vms_change_state(vms, vm, ended, text, NULL);
}

static void end_gone(struct adoption *adoption, const struct vm_view *view)
{
    struct vms *vms = adoption->vms;
    char text[256] = "The host was started again.";
    enum vm_state ended = VM_STOPPED;
    struct vm *vm;

    if (!adoption->host_started)
        ended = vm_end_judge(vms->daemon, view, text);
    worker_clean(vms->daemon, view->id);
    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, view->id);
    if (vm && VM_STATE_BIT(vm->view.state) & VM_STATES_ACTIVE)
        set_gone(vms, vm, ended, !adoption->host_started, text);
    else if (vm && is_due(adoption, &vm->view))
        vm->restart_at = time_monotonic() + vm->view.restart.delay * 1000;
    pthread_mutex_unlock(&vms->lock);
}

static void adopt_one(struct adoption *adoption, const char *id)
{
    struct vms *vms = adoption->vms;
    struct bh_control_error error = {.message = ""};
    struct vm_view view;

    if (!vms_get(vms, id, &view))
        return;
    if (has_socket(vms->daemon, id) && supervisor_attach(vms, id, &error)) {
        log_write(LOG_LEVEL_INFO, "adopted a running VM", "vm", id, NULL);
        return;
    }
    if (worker_alive(vms->daemon, id, view.pid)) {
        log_write(LOG_LEVEL_WARNING, "a worker does not answer", "vm", id, "detail", error.message,
                  NULL);
        vms_set_state(vms, id, VM_UNKNOWN, "The worker does not answer.", NULL);
        return;
    }
    /* A start that was under way goes on by itself. */
    if (view.state != VM_STARTING || adoption->host_started)
        end_gone(adoption, &view);
    if (adoption->host_started && view.autostart)
        change_submit_internal(vms->daemon, API_VM_START, id, "autostart");
}

static void *adopt_all(void *context)
{
    struct adoption *adoption = context;
    struct vms *vms = adoption->vms;

    worker_await_beginnings(vms->daemon);
    adoption->host_started = mark_host_started(vms->daemon);
    vms_visit(vms, collect, adoption);
    for (size_t i = 0; i < adoption->count && !atomic_load(&vms->stopping); i++)
        adopt_one(adoption, adoption->ids[i]);
    free(adoption->ids);
    free(adoption);
    networks_restore(vms->daemon);
    operations_go(vms->daemon->operations);
    return NULL;
}

bool vms_adopt(struct vms *vms)
{
    struct adoption *adoption = calloc(1, sizeof(*adoption));

    if (!adoption)
        return false;
    adoption->vms = vms;
    vms->adopting = pthread_create(&vms->adopter, NULL, adopt_all, adoption) == 0;
    if (!vms->adopting)
        free(adoption);
    return vms->adopting;
}
