/* SPDX-License-Identifier: MIT */
/*
 * A VM's status as text: written into its document and told in events, and read
 * again when the daemon starts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmtd/vm_table.h"

static const char *const state_names[VM_STATE_COUNT] = {
    [VM_STOPPED] = "stopped", [VM_STARTING] = "starting", [VM_RUNNING] = "running",
    [VM_PAUSING] = "pausing", [VM_PAUSED] = "paused",     [VM_STOPPING] = "stopping",
    [VM_CRASHED] = "crashed", [VM_UNKNOWN] = "unknown",
};

static const char *const desired_names[VM_DESIRED_COUNT] = {
    [VM_WANT_STOPPED] = "stopped", [VM_WANT_RUNNING] = "running", [VM_WANT_PAUSED] = "paused"};

const char *vm_state_name(enum vm_state state)
{
    return state_names[state];
}

const char *vm_desired_name(enum vm_desired desired)
{
    return desired_names[desired];
}

static int index_of(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

static void write_guest(struct text *text, const struct vm_guest *guest)
{
    static const char *const heartbeats[] = {
        [VM_HEARTBEAT_NONE] = "none", [VM_HEARTBEAT_OK] = "ok", [VM_HEARTBEAT_LOST] = "lost"};

    if (guest->addresses[0])
        text_printf(text, ",\"addresses\":[%s]", guest->addresses);
    if (guest->heartbeat == VM_HEARTBEAT_NONE && !guest->os[0] && !guest->host_name[0])
        return;
    text_printf(text, ",\"guest\":{\"heartbeat\":\"%s\"", heartbeats[guest->heartbeat]);
    if (guest->os[0])
        text_member(text, "os", guest->os);
    if (guest->host_name[0])
        text_member(text, "host_name", guest->host_name);
    text_puts(text, "}");
}

static void write_tail(struct text *text, const struct vm_view *view)
{
    char time[TIME_SIZE];

    time_format(view->since, time);
    text_printf(text, ",\"desired_state\":\"%s\",\"status\":{\"state\":\"%s\",\"since\":\"%s\"",
                desired_names[view->desired], state_names[view->state], time);
    if (view->state == VM_UNKNOWN) {
        time_format(view->heard_at, time);
        text_printf(text, ",\"last_known\":\"%s\",\"observed_at\":\"%s\"",
                    state_names[view->last_known], time);
    }
    if (view->reason[0])
        text_member(text, "reason", view->reason);
    if (view->pid)
        text_member_integer(text, "pid", view->pid);
    if (view->memory_assigned)
        text_member_integer(text, "memory_assigned", view->memory_assigned);
    text_member_integer(text, "restarts", view->restarts);
    write_guest(text, &view->guest);
    if (view->pending)
        text_printf(text, ",\"pending\":[%s%s%s]",
                    view->pending & VM_PENDING_NAME ? "\"/name\"" : "",
                    view->pending == (VM_PENDING_NAME | VM_PENDING_CLOUD_INIT) ? "," : "",
                    view->pending & VM_PENDING_CLOUD_INIT ? "\"/cloud_init\"" : "");
}

char *vm_first_tail(void)
{
    struct vm_view view = {.since = time_now()};
    struct text text = {0};

    write_tail(&text, &view);
    return text_take(&text);
}

struct publication {
    char id[UUID_SIZE];
    char name[NAME_SIZE];
    enum vm_state state;
    char *tail;
    char data[400];
    const char *type; /* a constant */
    struct vm_cause cause;
};

static bool publish_job(void *context, struct db *db, struct journal *journal)
{
    struct publication *publication = context;
    struct journal_event event = {
        .class = "lifecycle",
        .type = publication->type,
        .kind = DB_VM,
        .id = publication->id,
        .name = publication->name,
        .actor = publication->cause.actor,
        .operation = publication->cause.operation[0] ? publication->cause.operation : NULL,
        .request_id = publication->cause.request_id[0] ? publication->cause.request_id : NULL,
        .data = publication->data,
    };

    if (journal_append(journal, db, &event) != DB_OK)
        return false;
    return db_object_set_tail(db, publication->id, state_names[publication->state],
                              publication->tail, journal->sequence) == DB_OK;
}

static void publish_done(void *context, enum db_result result, const char *message)
{
    struct publication *publication = context;

    (void)result;
    (void)message;
    free(publication->tail);
    free(publication);
}

static void write_data(struct publication *publication, const struct vm_view *view)
{
    struct text data = {0};

    text_printf(&data, "{\"state\":\"%s\"", state_names[view->state]);
    if (view->reason[0])
        text_member(&data, "reason", view->reason);
    text_puts(&data, "}");
    snprintf(publication->data, sizeof(publication->data), "%s",
             data.size < sizeof(publication->data) ? data.bytes : "{}");
    text_free(&data);
}

void vms_publish(struct vms *vms, struct vm *vm, const char *type, const struct vm_cause *cause)
{
    static const struct vm_cause by_system = {.actor = "system"};
    struct publication *publication = calloc(1, sizeof(*publication));
    struct text tail = {0};

    if (!publication)
        return;
    write_tail(&tail, &vm->view);
    publication->tail = text_take(&tail);
    publication->state = vm->view.state;
    publication->type = type;
    memcpy(publication->id, vm->view.id, sizeof(publication->id));
    memcpy(publication->name, vm->view.name, sizeof(publication->name));
    publication->cause = cause ? *cause : by_system;
    vm->desired_changed = false;
    write_data(publication, &vm->view);
    if (!publication->tail) {
        free(publication);
        return;
    }
    store_submit(vms->daemon->store, publish_job, publish_done, publication);
}

static unsigned read_pending(const json_t *pointers)
{
    unsigned pending = 0;
    const json_t *pointer;
    size_t index;

    json_array_foreach(pointers, index, pointer)
    {
        pending |= strcmp(json_string_value(pointer), "/name") == 0 ? VM_PENDING_NAME
                                                                    : VM_PENDING_CLOUD_INIT;
    }
    return pending;
}

void vm_status_read(struct vm *vm, const struct object *object)
{
    struct text text = {0};
    json_t *tail;
    json_t *status;

    text_printf(&text, "{%s}}", object->tail[0] ? object->tail + 1 : "");
    tail = text.failed ? NULL : json_loadb(text.bytes, text.size, 0, NULL);
    text_free(&text);
    status = json_object_get(tail, "status");
    vm->view.state = (enum vm_state)index_of(state_names, VM_STATE_COUNT, object->state);
    vm->view.last_known =
        (enum vm_state)index_of(state_names, VM_STATE_COUNT, json_text(status, "last_known"));
    vm->view.desired = (enum vm_desired)index_of(desired_names, VM_DESIRED_COUNT,
                                                 json_text(tail, "desired_state"));
    vm->view.pid = (int)json_number(status, "pid", 0);
    vm->view.restarts = json_number(status, "restarts", 0);
    snprintf(vm->view.reason, sizeof(vm->view.reason), "%s", json_text(status, "reason"));
    vm->view.pending = read_pending(json_object_get(status, "pending"));
    json_decref(tail);
}
