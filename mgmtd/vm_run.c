/* SPDX-License-Identifier: MIT */
/*
 * The life of a VM: start, shutdown, power off, reset, pause, resume. Each run
 * looks first at what is, and succeeds at once when it is what was wanted; so
 * each can be run again after the daemon ended in the middle of it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "mgmtd/supervisor.h"
#include "mgmtd/vm_config.h"
#include "mgmtd/vm_plan.h"
#include "mgmtd/worker.h"

#define CALL_MS     30000 /* one answer of the worker; that of a start takes longest */
#define READY_MS    45000 /* from the worker's start to its hello, on a host that has much to do */
#define STEP_MS     20
#define END_MS      5000 /* from a power-off to the worker's end */
#define SHUTDOWN_MS 300000

/* --- Plans --- */

bool vm_plan_any(struct change *change)
{
    (void)change;
    return true;
}

bool vm_plan_start(struct change *change)
{
    struct vm_view view;

    if (vms_get(change->daemon->vms, change->object.id, &view) && view.state == VM_RUNNING &&
        !operations_busy(change->daemon->operations, change->object.id))
        change->deferred = false; /* it runs */
    return true;
}

bool vm_plan_shutdown(struct change *change)
{
    int64_t seconds = json_number(change->body, "force_after", 0);

    change->arguments = json_pack("{s:I}", "force_after", (json_int_t)seconds);
    return true;
}

/* --- What all runs need --- */

static bool get(struct operation *operation, struct vm_view *view)
{
    if (vms_get(operation->daemon->vms, operation->object_id, view))
        return true;
    return operation_fail(operation, API_PROBLEM_NOT_FOUND, "The VM is gone.");
}

static bool wrong_state(struct operation *operation, const struct vm_view *view, const char *wanted)
{
    return operation_fail(operation, API_PROBLEM_WRONG_STATE, "The VM is %s. %s",
                          vm_state_name(view->state), wanted);
}

/* Sends a request over a connection of its own; the supervisor hears the events. */
static bool call(struct operation *operation, enum bh_control_method method, json_t *params)
{
    struct bh_control_error error = {.message = ""};
    struct bh_control_client *client =
        worker_connect(operation->daemon, operation->object_id, CALL_MS, &error);
    bool done = false;

    if (client) {
        done = bh_control_call(client, method, params, CALL_MS, NULL, &error);
        bh_control_close(client);
    } else {
        json_decref(params);
    }
    if (done)
        return true;
    return operation_fail(operation,
                          error.code == BH_CONTROL_INVALID_STATE ||
                                  error.code == BH_CONTROL_NOT_SUPPORTED
                              ? API_PROBLEM_WRONG_STATE
                              : API_PROBLEM_OPERATION_FAILED,
                          "The VM's worker answered: %s", error.message);
}

static void set_state(struct operation *operation, enum vm_state state, const char *reason)
{
    vms_set_state(operation->daemon->vms, operation->object_id, state, reason, operation);
}

/* --- Start --- */

static bool has_room(struct operation *operation, int64_t memory)
{
    struct vms_commitment commitment;
    struct sysinfo host;
    int64_t room;

    vms_committed(operation->daemon->vms, &commitment);
    if (sysinfo(&host) != 0)
        return true;
    room = (int64_t)host.totalram * host.mem_unit - operation->daemon->options.memory_reserve -
           commitment.memory;
    if (memory <= room)
        return true;
    return operation_fail(operation, API_PROBLEM_NO_CAPACITY,
                          "The VM needs %lld MiB of memory and the host has %lld MiB left for VMs.",
                          (long long)(memory >> 20), (long long)(room > 0 ? room >> 20 : 0));
}

/* The worker before this one may still be on its way out. */
static bool wait_for_old_worker(struct operation *operation, int pid)
{
    for (int waited = 0; worker_alive(operation->daemon, operation->object_id, pid);
         waited += STEP_MS) {
        if (waited >= END_MS)
            worker_kill(operation->daemon, operation->object_id, pid);
        if (waited >= 2 * END_MS)
            return operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                                  "The VM's old worker, process %d, does not end.", pid);
        if (operation_pause(operation, STEP_MS))
            return false;
    }
    return true;
}

static bool wait_for_hello(struct operation *operation, int pid)
{
    struct bh_control_error error = {.message = ""};
    char said[480];

    for (int waited = 0; waited < READY_MS; waited += STEP_MS) {
        if (supervisor_attach(operation->daemon->vms, operation->object_id, &error))
            return true;
        if (operation_pause(operation, STEP_MS))
            return false;
        if (!worker_alive(operation->daemon, operation->object_id, pid)) {
            worker_complaint(operation->daemon, operation->object_id, pid, said, sizeof(said));
            return operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                                  "The VM's worker could not begin: %s", said);
        }
    }
    return operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                          "The worker was not ready in time: %s", error.message);
}

static void note_console(struct operation *operation)
{
    uint64_t end = vms_console_end(operation->daemon->vms, operation->object_id);

    worker_save_console_base(operation->daemon, operation->object_id, end);
}

/* Waits for a worker that was started; one that does not get ready is ended. */
static bool await(struct operation *operation, int pid)
{
    if (wait_for_hello(operation, pid))
        return true;
    worker_kill(operation->daemon, operation->object_id, pid);
    for (int waited = 0; !worker_reap(pid) && waited < END_MS; waited += STEP_MS)
        usleep(STEP_MS * 1000);
    return false;
}

static bool launch(struct operation *operation, const struct object *vm)
{
    json_t *config = vm_config_make(operation, vm);
    char message[512] = "";
    int pid;

    if (!config)
        return false;
    worker_clean_socket(operation->daemon, vm->id);
    note_console(operation);
    pid = worker_spawn(operation->daemon, vm->id, vms_reserve_uid(operation->daemon->vms, vm->id),
                       config, message, sizeof(message));
    json_decref(config);
    if (pid == 0)
        return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "%s", message);
    operation_report(operation, 0.5, "The worker runs as process %d.", pid);
    return await(operation, pid);
}

/* The worker of a start that a daemon's end interrupted is used; two would be one too many. */
static bool resume_start(struct operation *operation, const struct object *vm)
{
    int pid = worker_find(operation->daemon, operation->object_id);

    if (pid == 0)
        return launch(operation, vm);
    operation_report(operation, 0.5, "The worker runs already, as process %d.", pid);
    return await(operation, pid);
}

static bool begin(struct operation *operation)
{
    struct vm_view view;

    if (!get(operation, &view))
        return false;
    if (view.state == VM_STARTING && !call(operation, BH_METHOD_START, NULL))
        return false;
    set_state(operation, VM_RUNNING, "");
    return true;
}

static bool start_anew(struct operation *operation, const struct object *vm,
                       const struct vm_view *view)
{
    if (!has_room(operation, view->memory) || !wait_for_old_worker(operation, view->pid))
        return false;
    set_state(operation, VM_STARTING, "");
    /* A daemon that was killed may have had no time to save that the VM starts. */
    return operation->resumed ? resume_start(operation, vm) : launch(operation, vm);
}

/* A start that came to nothing leaves no worker: its guest would run on without being a VM's. */
static void end_worker(struct operation *operation)
{
    struct daemon *daemon = operation->daemon;
    struct vm_view view;

    vms_give_up(daemon->vms, operation->object_id);
    if (!get(operation, &view))
        return;
    worker_kill(daemon, operation->object_id, view.pid);
    for (int waited = 0; worker_alive(daemon, operation->object_id, view.pid) && waited < END_MS;
         waited += STEP_MS)
        usleep(STEP_MS * 1000);
}

static bool is_by_policy(const struct operation *operation)
{
    return strcmp(operation->actor, "system") == 0;
}

static bool start(struct operation *operation, const struct vm_view *view)
{
    struct db *db = store_reader(operation->daemon->store);
    struct object vm;
    bool done;

    if (!db || object_load(&vm, db, DB_VM, "", operation->object_id) != DB_OK)
        return operation_fail(operation, API_PROBLEM_NOT_FOUND, "The VM is gone.");
    done = view->state == VM_STARTING ? resume_start(operation, &vm)
                                      : start_anew(operation, &vm, view);
    done = done && !operation_cancelled(operation) && begin(operation);
    if (!done) {
        end_worker(operation);
        vm_config_release(operation->daemon, &vm);
        set_state(operation, VM_STOPPED, operation->problem.detail);
        if (is_by_policy(operation) && !operation_cancelled(operation))
            vms_restart_later(operation->daemon->vms, operation->object_id);
    }
    object_release(&vm);
    return done;
}

bool vm_run_start(struct operation *operation)
{
    bool by_policy = is_by_policy(operation);
    struct vm_view view;

    if (!get(operation, &view))
        return false;
    if (view.state == VM_RUNNING)
        return true;
    if (view.state != VM_STOPPED && view.state != VM_CRASHED && view.state != VM_STARTING)
        return wrong_state(operation, &view,
                           view.state == VM_PAUSED ? "Resume it." : "Only a stopped VM starts.");
    /* The policy's own restart was overtaken by somebody's wish. */
    if (by_policy && view.desired == VM_WANT_STOPPED && !view.autostart)
        return operation_fail(operation, API_PROBLEM_CANCELLED, "The VM is to stay stopped.");
    vms_set_desired(operation->daemon->vms, operation->object_id, VM_WANT_RUNNING, !by_policy,
                    operation);
    return start(operation, &view);
}

/* --- End --- */

static bool wait_for_end(struct operation *operation, int timeout_ms)
{
    return vms_wait(operation->daemon->vms, operation->object_id, ~VM_STATES_ACTIVE, timeout_ms,
                    operation);
}

static void release_taps(struct operation *operation)
{
    struct db *db = store_reader(operation->daemon->store);
    struct object vm;

    if (db && object_load(&vm, db, DB_VM, "", operation->object_id) == DB_OK) {
        vm_config_release(operation->daemon, &vm);
        object_release(&vm);
    }
}

/* Ends the VM whatever it takes. */
static bool power_off(struct operation *operation, const struct vm_view *view)
{
    struct daemon *daemon = operation->daemon;

    call(operation, BH_METHOD_POWER_OFF, NULL);
    if (!wait_for_end(operation, END_MS) && !operation_cancelled(operation)) {
        operation_report(operation, -1, "The worker did not end; killing process %d.", view->pid);
        worker_kill(daemon, operation->object_id, view->pid);
        wait_for_end(operation, END_MS);
        if (worker_alive(daemon, operation->object_id, view->pid))
            return operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                                  "The worker, process %d, cannot be ended.", view->pid);
    }
    vms_give_up(daemon->vms, operation->object_id);
    set_state(operation, VM_STOPPED, "Powered off.");
    release_taps(operation);
    operation->problem.type = API_PROBLEM_NONE; /* of a call to a worker that was gone already */
    return true;
}

bool vm_run_poweroff(struct operation *operation)
{
    struct vm_view view;

    if (!get(operation, &view))
        return false;
    vms_set_desired(operation->daemon->vms, operation->object_id, VM_WANT_STOPPED, true, operation);
    if (!(VM_STATE_BIT(view.state) & VM_STATES_ACTIVE)) {
        set_state(operation, VM_STOPPED, "Powered off.");
        return true;
    }
    set_state(operation, VM_STOPPING, "");
    return power_off(operation, &view);
}

/* The guest was asked; with `force_after` seconds it is ended after them. */
static bool await_shutdown(struct operation *operation, const struct vm_view *view,
                           int64_t force_after)
{
    int timeout_ms = force_after > 0 ? (int)force_after * 1000 : SHUTDOWN_MS;

    operation_report(operation, 0.3, "The guest was asked to shut down.");
    if (wait_for_end(operation, timeout_ms)) {
        release_taps(operation);
        return true;
    }
    if (operation_cancelled(operation))
        return false;
    if (force_after > 0)
        return power_off(operation, view);
    return operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                          "The guest did not shut down in %d seconds. Power it off, or give "
                          "force_after.",
                          timeout_ms / 1000);
}

bool vm_run_shutdown(struct operation *operation)
{
    int64_t force_after = json_number(operation->arguments, "force_after", 0);
    struct vm_view view;

    if (!get(operation, &view))
        return false;
    if (view.state != VM_STOPPED && view.state != VM_CRASHED && view.state != VM_RUNNING &&
        view.state != VM_STOPPING)
        return wrong_state(operation, &view,
                           "Only a running guest can shut down; resume it or "
                           "power it off.");
    /* Of a VM that has ended, too: its restart policy may be about to start it again. */
    vms_set_desired(operation->daemon->vms, operation->object_id, VM_WANT_STOPPED, true, operation);
    if (view.state == VM_STOPPED || view.state == VM_CRASHED) {
        set_state(operation, view.state, ""); /* makes the wish known */
        return true;
    }
    if (view.state == VM_RUNNING && !call(operation, BH_METHOD_SHUTDOWN, NULL)) {
        if (force_after > 0)
            return power_off(operation, &view);
        vms_set_desired(operation->daemon->vms, operation->object_id, VM_WANT_RUNNING, true,
                        operation);
        return false;
    }
    return await_shutdown(operation, &view, force_after);
}

/* --- Between --- */

bool vm_run_reset(struct operation *operation)
{
    struct vm_view view;

    if (!get(operation, &view))
        return false;
    if (view.state != VM_RUNNING && view.state != VM_PAUSED && view.state != VM_STOPPING)
        return wrong_state(operation, &view, "Start it.");
    vms_set_desired(operation->daemon->vms, operation->object_id, VM_WANT_RUNNING, true, operation);
    if (!call(operation, BH_METHOD_RESET, NULL))
        return false;
    set_state(operation, VM_RUNNING, "Reset.");
    return true;
}

bool vm_run_pause(struct operation *operation)
{
    struct vm_view view;

    if (!get(operation, &view))
        return false;
    if (view.state == VM_PAUSED)
        return true;
    if (view.state != VM_RUNNING)
        return wrong_state(operation, &view, "Only a running VM can be paused.");
    vms_set_desired(operation->daemon->vms, operation->object_id, VM_WANT_PAUSED, false, operation);
    if (!call(operation, BH_METHOD_PAUSE, NULL))
        return false;
    set_state(operation, VM_PAUSED, "");
    return true;
}

bool vm_run_resume(struct operation *operation)
{
    struct vm_view view;

    if (!get(operation, &view))
        return false;
    if (view.state == VM_RUNNING)
        return true;
    if (view.state != VM_PAUSED)
        return wrong_state(operation, &view, "Only a paused VM can be resumed.");
    vms_set_desired(operation->daemon->vms, operation->object_id, VM_WANT_RUNNING, false,
                    operation);
    if (!call(operation, BH_METHOD_RESUME, NULL))
        return false;
    set_state(operation, VM_RUNNING, "");
    return true;
}
