/* SPDX-License-Identifier: MIT */
/* Connecting to a worker, and handing the connection to the supervisor. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "mgmtd/console_join.h"
#include "mgmtd/link.h"
#include "mgmtd/said.h"
#include "mgmtd/supervisor.h"
#include "mgmtd/worker.h"

#define CONNECT_MS 3000

/* Locked. Nobody joined the console since `join` was made: its scrollback ends where it did. */
static bool is_current(struct vms *vms, struct vm *vm, const struct console_join *join)
{
    struct console *console = join->fd >= 0 ? vms_console(vms, vm) : NULL;

    return !console || console_end(console) == join->end;
}

/* Locked. Gives the connection to the entry, unless another came first. */
static bool hand_over(struct vms *vms, const char *id, struct bh_control_client *client,
                      const struct console_join *join)
{
    const struct bh_control_hello *hello = bh_control_client_hello(client);
    struct bh_control_error error;
    struct vm *vm = vms_find(vms, id);
    enum vm_state state = said_state(hello->state);

    if (!vm || vm->client || !is_current(vms, vm, join))
        return false;
    vm->client = client;
    vm->console_fd = join->fd;
    vm->console_known = join->known;
    if (join->gap > 0 && vms_console(vms, vm))
        console_leave_gap(vm->console, join->gap);
    vm->view.pid = hello->keeper > 0 ? hello->keeper : hello->pid;
    vm->uid = vm->uid ? vm->uid : worker_uid(hello->pid);
    vm->view.heard_at = time_now();
    vm->started_at = vm->started_at ? vm->started_at : time_monotonic();
    vm->missed = 0;
    vm->stats_id = -1;
    if (!bh_control_send(client, BH_METHOD_STATUS, NULL, &vm->status_id, &error))
        vm->status_id = -1;
    vm_drop_fd(&vm->pid_fd);
    vm->pid_fd = pidfd_open(vm->view.pid, 0);
    if (vm->view.state != state && state != VM_STOPPED && state != VM_CRASHED)
        vms_change_state(vms, vm, state, "", NULL);
    supervisor_watch(vms, vm);
    return true;
}

/* Locked. */
static bool is_attached(struct vms *vms, const char *id)
{
    const struct vm *vm = vms_find(vms, id);

    return vm && vm->client;
}

bool supervisor_attach(struct vms *vms, const char *id, struct bh_control_error *error)
{
    struct bh_control_client *client = worker_connect(vms->daemon, id, CONNECT_MS, error);
    struct console_join join;
    bool handed;
    bool attached;

    if (!client)
        return false;
    console_join(vms, id, client, &join);
    if (join.fd >= 0)
        fcntl(join.fd, F_SETFL, fcntl(join.fd, F_GETFL) | O_NONBLOCK);
    pthread_mutex_lock(&vms->lock);
    handed = hand_over(vms, id, client, &join);
    attached = handed || is_attached(vms, id);
    pthread_mutex_unlock(&vms->lock);
    if (!handed) {
        vm_drop_fd(&join.fd);
        bh_control_close(client);
    } else {
        link_console_advanced(vms->daemon, id);
    }
    if (!attached)
        snprintf(error->message, sizeof(error->message), "another connection came between");
    eventfd_write(vms->wake, 1);
    return attached;
}
