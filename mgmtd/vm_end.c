/* SPDX-License-Identifier: MIT */
#include "mgmtd/vm_end.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "mgmtd/console_join.h"
#include "mgmtd/said.h"
#include "mgmtd/worker.h"

#define CONSOLE_DRAIN 4194304u /* bytes at most after the worker's end */

static int64_t back_off(const struct vm *vm)
{
    int64_t delay = vm->view.restart.delay;

    for (int64_t i = 0; i < vm->quick_ends && delay < vm->view.restart.maximum_delay; i++)
        delay *= 2;
    return delay < vm->view.restart.maximum_delay ? delay : vm->view.restart.maximum_delay;
}

/* Locked. Plans a restart where the policy wants one. Returns what to add to the reason. */
static const char *plan_restart(struct vm *vm, enum vm_state ended_as)
{
    const struct vm_restart *restart = &vm->view.restart;
    bool wanted = vm->view.desired != VM_WANT_STOPPED &&
                  (restart->policy == RESTART_ALWAYS ||
                   (restart->policy == RESTART_ON_FAILURE && ended_as == VM_CRASHED));

    if (!wanted) {
        if (ended_as == VM_STOPPED)
            vm->view.desired = VM_WANT_STOPPED;
        return "";
    }
    if (time_monotonic() - vm->started_at > restart->maximum_delay * 1000)
        vm->quick_ends = 0;
    if (restart->attempts > 0 && vm->quick_ends >= restart->attempts)
        return " No more restarts: too many in a row.";
    vm->restart_at = time_monotonic() + back_off(vm) * 1000;
    vm->quick_ends++;
    return "";
}

void vms_restart_later(struct vms *vms, const char *id)
{
    struct vm *vm;

    pthread_mutex_lock(&vms->lock);
    vm = vms_find(vms, id);
    if (vm)
        (void)plan_restart(vm, VM_CRASHED);
    pthread_mutex_unlock(&vms->lock);
}

static void detach(struct vms *vms, struct vm *vm)
{
    pthread_mutex_lock(&vms->lock);
    if (vm->client)
        bh_control_close(vm->client);
    vm->client = NULL;
    vm->stats_id = -1;
    vm_drop_fd(&vm->console_fd);
    vm_drop_fd(&vm->pid_fd);
    pthread_mutex_unlock(&vms->lock);
}

/* A worker ends some time after it said so; until then it would become a zombie. */
static void reap_later(struct vms *vms, int pid)
{
    int *grown;

    if (worker_reap(pid))
        return;
    grown = realloc(vms->dying, (vms->dying_count + 1) * sizeof(int));
    if (!grown)
        return;
    vms->dying = grown;
    vms->dying[vms->dying_count++] = pid;
}

void vm_end_reap(struct vms *vms)
{
    size_t kept = 0;

    for (size_t i = 0; i < vms->dying_count; i++)
        if (!worker_reap(vms->dying[i]))
            vms->dying[kept++] = vms->dying[i];
    vms->dying_count = kept;
}

void vm_end(struct vms *vms, struct vm *vm, enum vm_state state, const char *reason,
            const struct vm_cause *cause)
{
    char whole[256];
    int pid = vm->view.pid;

    console_join_read(vms, vm, CONSOLE_DRAIN);
    detach(vms, vm);
    reap_later(vms, pid);
    pthread_mutex_lock(&vms->lock);
    if (VM_STATE_BIT(vm->view.state) & VM_STATES_ACTIVE) {
        const char *more = plan_restart(vm, state);

        snprintf(whole, sizeof(whole), "%s%s", reason, more);
        json_decref(vm->view.stats);
        vm->view.stats = NULL;
        vm->started_at = 0;
        worker_clean(vms->daemon, vm->view.id);
        vms_change_state(vms, vm, state, whole, cause);
    }
    vm->ended = false;
    pthread_mutex_unlock(&vms->lock);
}

bool vm_end_seen(const struct vms *vms, const struct vm *vm)
{
    struct pollfd process = {.fd = vm->pid_fd, .events = POLLIN};

    if (vm->pid_fd >= 0)
        return poll(&process, 1, 0) > 0;
    return !worker_alive(vms->daemon, vm->view.id, vm->view.pid);
}

enum vm_state vm_end_judge(const struct daemon *daemon, const struct vm_view *view, char text[256])
{
    enum vm_state state = VM_CRASHED;
    enum bh_vm_reason reason;
    json_t *event;
    bool told = worker_last_words(daemon, view->id, &event);

    if (told)
        state = said_event(event, &reason, text);
    json_decref(event);
    if (told && (state == VM_STOPPED || state == VM_CRASHED))
        return state;
    if (view->state == VM_STOPPING && view->desired == VM_WANT_STOPPED) {
        snprintf(text, 256, "The worker ended while the VM was being stopped.");
        return VM_STOPPED;
    }
    snprintf(text, 256, "The worker ended unexpectedly.");
    return VM_CRASHED;
}

void vm_end_unheard(struct vms *vms, struct vm *vm)
{
    struct vm_view view = {.pid = 0};
    enum vm_state state;
    char text[256];

    vms_get(vms, vm->view.id, &view);
    state = vm_end_judge(vms->daemon, &view, text);
    vm_end(vms, vm, state, text, NULL);
}

void vm_end_give_up(struct vms *vms, struct vm *vm)
{
    reap_later(vms, vm->view.pid);
    detach(vms, vm);
    pthread_mutex_lock(&vms->lock);
    vm->give_up = false;
    pthread_cond_broadcast(&vms->changed);
    pthread_mutex_unlock(&vms->lock);
}
