/* SPDX-License-Identifier: MIT */
/*
 * Joining a console. The worker counts its output, the daemon wrote down where
 * in the scrollback the worker's output began; the difference is what is missing.
 */
#include "mgmtd/console_join.h"

#include <errno.h>
#include <unistd.h>

#include "mgmtd/link.h"
#include "mgmtd/vm_table.h"
#include "mgmtd/worker.h"

#define CALL_MS 3000
#define CHUNK   65536
#define SLACK   65536 /* bytes that a guest may write between counting and attaching */

/* Bytes that the worker's console has put out; a worker that does not say may have put out any. */
static int64_t count_output(struct bh_control_client *client)
{
    struct bh_control_error error;
    json_t *stats = NULL;
    int64_t made = INT64_MAX;

    if (bh_control_call(client, BH_METHOD_STATS, NULL, CALL_MS, &stats, &error))
        made = json_number(json_array_get(json_object_get(stats, "consoles"), 0), "out_bytes",
                           INT64_MAX);
    json_decref(stats);
    return made;
}

/* console_attach; *position is where the stream begins in the worker's output. */
static int attach(struct bh_control_client *client, int64_t wanted, int64_t *position)
{
    struct bh_control_message message;
    struct bh_control_error error;
    int64_t id = 0;
    int fd = -1;

    if (!bh_control_send(
            client, BH_METHOD_CONSOLE_ATTACH,
            json_pack("{s:s, s:I}", "console", "serial0", "replay_bytes", (json_int_t)wanted), &id,
            &error))
        return -1;
    while (bh_control_receive(client, CALL_MS, &message, &fd, &error) == BH_CONTROL_MESSAGE) {
        bool answer = message.kind != BH_CONTROL_EVENT && message.id == id;

        if (answer && message.kind == BH_CONTROL_RESULT)
            *position = json_number(message.body, "replay_position", 0);
        bh_control_message_release(&message);
        if (answer)
            return fd;
    }
    return -1;
}

void console_join(struct vms *vms, const char *id, struct bh_control_client *client,
                  struct console_join *join)
{
    int64_t base = (int64_t)worker_console_base(vms->daemon, id);
    int64_t position = 0;
    int64_t made;
    int64_t wanted;
    int64_t have;

    *join = (struct console_join){.fd = -1, .end = vms_console_end(vms, id)};
    have = (int64_t)join->end > base ? (int64_t)join->end - base : 0;
    made = count_output(client);
    wanted = made > have ? made - have : 0;
    wanted = wanted < (int64_t)BH_CONTROL_REPLAY_MAX - SLACK ? wanted + SLACK
                                                             : (int64_t)BH_CONTROL_REPLAY_MAX;
    join->fd = attach(client, wanted, &position);
    if (join->fd >= 0 && have > position)
        join->known = (uint64_t)(have - position);
    if (join->fd >= 0 && position > have)
        join->gap = (uint64_t)(position - have);
}

/*
 * What the scrollback does not have of `size` bytes from the worker goes there. The disk is waited
 * for without the table's lock: only this thread appends to a joined console, and frees it.
 */
static void keep_output(struct vms *vms, struct vm *vm, const char *bytes, size_t size)
{
    struct console *console;
    size_t known;

    pthread_mutex_lock(&vms->lock);
    known = vm->console_known < size ? (size_t)vm->console_known : size;
    vm->console_known -= known;
    console = size > known ? vms_console(vms, vm) : NULL;
    pthread_mutex_unlock(&vms->lock);
    if (console)
        console_append(console, bytes + known, size - known);
}

void console_join_read(struct vms *vms, struct vm *vm, size_t most)
{
    char bytes[CHUNK];
    bool any = false;

    while (most > 0 && vm->console_fd >= 0) {
        ssize_t got = read(vm->console_fd, bytes, sizeof(bytes));

        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            pthread_mutex_lock(&vms->lock);
            vm_drop_fd(&vm->console_fd);
            pthread_mutex_unlock(&vms->lock);
        }
        if (got <= 0)
            break;
        keep_output(vms, vm, bytes, (size_t)got);
        most = (size_t)got < most ? most - (size_t)got : 0;
        any = true;
    }
    if (any)
        link_console_advanced(vms->daemon, vm->view.id);
}
