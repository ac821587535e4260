/* SPDX-License-Identifier: MIT */
/* Clones: a new VM with copies of a stopped VM's disks. The copies are raw. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mgmtd/snapshot.h"
#include "mgmtd/storage.h"
#include "mgmtd/vm_spec.h"
#include "mgmtd/vms.h"

static bool refuse(struct change *change, enum db_result result, enum db_kind kind,
                   const char *name)
{
    object_problem(&change->problem, result, kind, name, db_message(change->db));
    return false;
}

static void stamp(json_t *document, int64_t now)
{
    char time[TIME_SIZE];

    time_format(now, time);
    json_object_set_new(document, "revision", json_integer(1));
    json_object_set_new(document, "created_at", json_string(time));
    json_object_set_new(document, "updated_at", json_string(time));
}

/* A new disk's row, named after the new VM and the device. */
static bool insert_disk(struct change *change, const char *device, const char *from_id,
                        char id[UUID_SIZE])
{
    struct object disk;
    enum db_result result = object_load(&disk, change->db, DB_DISK, "", from_id);

    if (result == DB_OK) {
        uuid_make(disk.id);
        snprintf(disk.name, sizeof(disk.name), "%.31s-%.31s", json_text(change->body, "name"),
                 device);
        disk.revision = 1;
        disk.sequence = change->sequence;
        json_object_set_new(disk.document, "uuid", json_string(disk.id));
        json_object_set_new(disk.document, "name", json_string(disk.name));
        json_object_del(disk.document, "image");
        stamp(disk.document, change->now);
        object_set_status(&disk, "creating", "");
        result = object_insert(&disk, change->db);
        change->journal->mark[DB_DISK] = change->sequence;
        snprintf(id, UUID_SIZE, "%s", disk.id);
    }
    if (result != DB_OK)
        refuse(change, result, DB_DISK, disk.name);
    object_release(&disk);
    return result == DB_OK;
}

/* Replaces the disks of the new document by new ones; notes the copies to make. */
static bool plan_disks(struct change *change, json_t *document, json_t *copies)
{
    const char *name;
    json_t *device;

    json_object_foreach(json_object_get(document, "disks"), name, device)
    {
        char role[64];
        char from[64];
        char from_name[64];
        char to[UUID_SIZE];

        if (json_is_true(json_object_get(device, "cdrom")))
            continue;
        snprintf(role, sizeof(role), "disks/%s", name);
        if (db_reference_get(change->db, change->object.id, role, from, from_name) != DB_OK)
            return refuse(change, DB_NOT_FOUND, DB_DISK, json_text(device, "disk"));
        if (!insert_disk(change, name, from, to))
            return false;
        json_object_set_new(device, "disk", json_string(to));
        json_array_append_new(copies, json_pack("{s:s, s:s}", "from", from, "to", to));
    }
    return true;
}

static json_t *new_document(struct change *change, const char *id)
{
    json_t *document = json_deep_copy(change->object.document);
    const char *name;
    json_t *nic;

    json_object_del(document, "tags");
    json_object_del(document, "description");
    json_object_update(document, change->body);
    json_object_set_new(document, "uuid", json_string(id));
    json_object_foreach(json_object_get(document, "nics"), name, nic) json_object_del(nic, "mac");
    stamp(document, change->now);
    return document;
}

static void put(struct change *change)
{
    vms_put(change->daemon->vms, &change->child);
}

static bool insert_vm(struct change *change)
{
    struct object *vm = &change->child;
    enum db_result result;

    vm->kind = DB_VM;
    vm->revision = 1;
    vm->sequence = change->sequence;
    snprintf(vm->name, sizeof(vm->name), "%s", json_text(change->body, "name"));
    snprintf(vm->state, sizeof(vm->state), "stopped");
    vm->tail = vm_first_tail();
    if (!vm_spec_complete(vm->document, &change->problem))
        return false;
    result = object_insert(vm, change->db);
    if (result != DB_OK)
        return refuse(change, result, DB_VM, vm->name);
    return vm_spec_refer(change->db, vm, NULL, &change->problem);
}

bool clone_plan(struct change *change)
{
    struct object *vm = &change->child;
    struct vm_view view;
    json_t *copies;

    if (vms_get(change->daemon->vms, change->object.id, &view) &&
        VM_STATE_BIT(view.state) & VM_STATES_ACTIVE) {
        api_problem_set(&change->problem, API_PROBLEM_WRONG_STATE,
                        "The VM %s is %s. Shut it down first.", change->object.name,
                        vm_state_name(view.state));
        return false;
    }
    uuid_make(vm->id);
    vm->document = new_document(change, vm->id);
    copies = json_array();
    change->arguments = json_pack("{s:o}", "copies", copies);
    snprintf(change->result, sizeof(change->result), "%s", vm->id);
    change->committed = put;
    return plan_disks(change, vm->document, copies) && insert_vm(change);
}

static bool copy_disk(struct operation *operation, const char *from_id, const char *to_id)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];

    return disk_path(operation->daemon, from_id, from) && disk_path(operation->daemon, to_id, to) &&
           storage_copy(operation, from, to);
}

bool clone_run(struct operation *operation)
{
    const json_t *copies = json_object_get(operation->arguments, "copies");
    struct vm_view view;
    const json_t *copy;
    size_t index;

    if (vms_get(operation->daemon->vms, operation->object_id, &view) &&
        VM_STATE_BIT(view.state) & VM_STATES_ACTIVE)
        return operation_fail(operation, API_PROBLEM_WRONG_STATE, "The VM was started meanwhile.");
    json_array_foreach(copies, index, copy)
    {
        if (!copy_disk(operation, json_text(copy, "from"), json_text(copy, "to")))
            return false;
        operation_report(operation, (double)(index + 1) / (double)json_array_size(copies),
                         "Disk %zu is copied.", index + 1);
    }
    return true;
}

bool clone_finish(struct operation *operation, struct db *db, struct journal *journal,
                  bool succeeded)
{
    const json_t *copies = json_object_get(operation->arguments, "copies");
    char path[PATH_SIZE];
    const json_t *copy;
    size_t index;

    journal->mark[DB_VM] = journal->sequence;
    journal->mark[DB_DISK] = journal->sequence;
    if (!succeeded) {
        db_object_delete(db, operation->result, journal->sequence);
        vms_remove(operation->daemon->vms, operation->result);
    }
    json_array_foreach(copies, index, copy)
    {
        const char *id = json_text(copy, "to");

        if (!disk_path(operation->daemon, id, path))
            return false;
        if (!succeeded) {
            db_object_delete(db, id, journal->sequence);
            unlink(path);
        } else if (!storage_set_status(operation, db, journal, DB_DISK, id, "ready", "")) {
            return false;
        }
    }
    return true;
}
