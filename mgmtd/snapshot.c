/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: copies of a stopped VM's disks, sharing blocks where the file
 * system can. A snapshot holds references to its VM and to the disks, so none of
 * them can be deleted under it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/list.h"
#include "mgmtd/snapshot.h"
#include "mgmtd/storage.h"
#include "mgmtd/vms.h"

static bool snapshot_directory(const struct daemon *daemon, const char *id, char path[PATH_SIZE])
{
    return path_join(path, daemon->options.state, "snapshots/%s", id);
}

static bool snapshot_file(const struct daemon *daemon, const char *id, const char *disk_id,
                          char path[PATH_SIZE])
{
    return path_join(path, daemon->options.state, "snapshots/%s/%s", id, disk_id);
}

static bool require_stopped(struct change *change)
{
    struct vm_view view;

    if (!vms_get(change->daemon->vms, change->object.id, &view) ||
        !(VM_STATE_BIT(view.state) & VM_STATES_ACTIVE))
        return true;
    api_problem_set(&change->problem, API_PROBLEM_WRONG_STATE,
                    "The VM %s is %s. Shut it down first: only the disks of a stopped VM can be "
                    "saved, copied or put back.",
                    change->object.name, vm_state_name(view.state));
    return false;
}

static bool still_stopped(struct operation *operation)
{
    struct vm_view view;

    if (vms_get(operation->daemon->vms, operation->object_id, &view) &&
        !(VM_STATE_BIT(view.state) & VM_STATES_ACTIVE))
        return true;
    return operation_fail(operation, API_PROBLEM_WRONG_STATE, "The VM was started meanwhile.");
}

/* The uuids of the VM's disks, as a JSON array. */
static json_t *disks_of(struct change *change)
{
    json_t *ids = json_array();
    const char *name;
    json_t *device;

    json_object_foreach(json_object_get(change->object.document, "disks"), name, device)
    {
        char role[64];
        char id[64];
        char disk_name[64];

        snprintf(role, sizeof(role), "disks/%s", name);
        if (!json_is_true(json_object_get(device, "cdrom")) &&
            db_reference_get(change->db, change->object.id, role, id, disk_name) == DB_OK)
            json_array_append_new(ids, json_string(id));
    }
    return ids;
}

static bool refer(struct change *change, const struct object *snapshot, const json_t *disks)
{
    enum db_result result =
        db_reference_add(change->db, snapshot->id, "vm", change->object.id, false);
    const json_t *disk;
    size_t index;

    json_array_foreach(disks, index, disk)
    {
        char role[64];

        snprintf(role, sizeof(role), "disks/%zu", index);
        if (result == DB_OK)
            result =
                db_reference_add(change->db, snapshot->id, role, json_string_value(disk), false);
    }
    return result == DB_OK || change_refuse(change, result);
}

bool snapshot_plan_create(struct change *change)
{
    struct object *snapshot = &change->child;
    char now[TIME_SIZE];
    json_t *disks;
    enum db_result result;
    bool done;

    if (!require_stopped(change))
        return false;
    time_format(change->now, now);
    disks = disks_of(change);
    snapshot->kind = DB_SNAPSHOT;
    snapshot->revision = 1;
    snapshot->sequence = change->sequence;
    uuid_make(snapshot->id);
    snprintf(snapshot->scope, sizeof(snapshot->scope), "%s", change->object.id);
    snprintf(snapshot->name, sizeof(snapshot->name), "%s", json_text(change->body, "name"));
    snapshot->document = json_pack("{s:s}", "uuid", snapshot->id);
    json_object_update(snapshot->document, change->body);
    json_object_update_new(snapshot->document,
                           json_pack("{s:s, s:O, s:i, s:s, s:s}", "vm", change->object.id, "disks",
                                     disks, "revision", 1, "created_at", now, "updated_at", now));
    object_set_status(snapshot, "creating", "");
    snprintf(change->result, sizeof(change->result), "%s", snapshot->id);
    change->arguments = json_pack("{s:O}", "disks", disks);
    result = object_insert(snapshot, change->db);
    if (result != DB_OK)
        object_problem(&change->problem, result, DB_SNAPSHOT, snapshot->name,
                       db_message(change->db));
    done = result == DB_OK && refer(change, snapshot, disks) &&
           object_write_tags(change->db, snapshot);
    json_decref(disks);
    return done;
}

/* Copies each disk into the snapshot, or back. */
static bool copy_all(struct operation *operation, const json_t *disks, const char *snapshot_id,
                     bool back)
{
    size_t count = json_array_size(disks);
    const json_t *disk;
    size_t index;

    json_array_foreach(disks, index, disk)
    {
        const char *id = json_string_value(disk);
        char live[PATH_SIZE];
        char saved[PATH_SIZE];

        if (!disk_path(operation->daemon, id, live) ||
            !snapshot_file(operation->daemon, snapshot_id, id, saved))
            return false;
        if (!storage_copy(operation, back ? saved : live, back ? live : saved))
            return false;
        operation_report(operation, (double)(index + 1) / (double)count, "Disk %s is %s.", id,
                         back ? "put back" : "saved");
    }
    return true;
}

bool snapshot_run_create(struct operation *operation)
{
    char path[PATH_SIZE];

    if (!still_stopped(operation) ||
        !snapshot_directory(operation->daemon, operation->result, path))
        return false;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "cannot make %s: %s", path,
                              strerror(errno));
    return copy_all(operation, json_object_get(operation->arguments, "disks"), operation->result,
                    false);
}

static int64_t allocated(struct operation *operation, const char *snapshot_id, const json_t *disks)
{
    char path[PATH_SIZE];
    int64_t total = 0;
    const json_t *disk;
    size_t index;

    json_array_foreach(disks, index, disk)
    {
        if (snapshot_file(operation->daemon, snapshot_id, json_string_value(disk), path))
            total += storage_allocated(path);
    }
    return total;
}

static void remove_directory(const struct daemon *daemon, const char *id)
{
    char path[PATH_SIZE];
    char file[PATH_SIZE];
    struct dirent *entry;
    DIR *directory;

    if (!snapshot_directory(daemon, id, path))
        return;
    directory = opendir(path);
    while (directory && (entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.' && path_join(file, path, "%s", entry->d_name))
            unlink(file);
    if (directory)
        closedir(directory);
    rmdir(path);
}

bool snapshot_finish_create(struct operation *operation, struct db *db, struct journal *journal,
                            bool succeeded)
{
    const json_t *disks = json_object_get(operation->arguments, "disks");
    char more[64];

    if (!succeeded) {
        remove_directory(operation->daemon, operation->result);
        journal->mark[DB_SNAPSHOT] = journal->sequence;
        return db_object_delete(db, operation->result, journal->sequence) == DB_OK;
    }
    snprintf(more, sizeof(more), ",\"size\":%lld",
             (long long)allocated(operation, operation->result, disks));
    return storage_set_status(operation, db, journal, DB_SNAPSHOT, operation->result, "ready",
                              more);
}

static bool require_ready(struct change *change)
{
    if (strcmp(change->child.state, "ready") == 0)
        return true;
    api_problem_set(&change->problem, API_PROBLEM_WRONG_STATE, "The snapshot %s is %s, not ready.",
                    change->child.name, change->child.state);
    return false;
}

bool snapshot_plan_revert(struct change *change)
{
    if (!require_stopped(change) || !require_ready(change))
        return false;
    change->arguments = json_pack("{s:s, s:O}", "snapshot", change->child.id, "disks",
                                  json_object_get(change->child.document, "disks"));
    return true;
}

bool snapshot_run_revert(struct operation *operation)
{
    return still_stopped(operation) &&
           copy_all(operation, json_object_get(operation->arguments, "disks"),
                    json_text(operation->arguments, "snapshot"), true);
}

bool snapshot_plan_delete(struct change *change)
{
    snprintf(change->result, sizeof(change->result), "%s", change->child.id);
    return true;
}

bool snapshot_run_delete(struct operation *operation)
{
    remove_directory(operation->daemon, operation->result);
    return true;
}

/* --- With their VM --- */

struct removal {
    const struct daemon *daemon;
    struct db *db;
    int64_t sequence;
    enum db_result result;
};

static bool remove_files(void *context, const struct db_object *row)
{
    struct removal *removal = context;

    remove_directory(removal->daemon, row->id);
    return true;
}

static bool collect_id(void *context, const struct db_object *row)
{
    json_array_append_new(context, json_string(row->id));
    return true;
}

bool snapshots_remove_files(struct operation *operation)
{
    struct removal removal = {.daemon = operation->daemon};
    struct db_list list = {.kind = DB_SNAPSHOT, .scope = operation->object_id, .limit = -1};
    struct db *db = store_reader(operation->daemon->store);

    if (db && db_list(db, &list, remove_files, &removal) == DB_OK)
        return true;
    return operation_fail(operation, API_PROBLEM_UNAVAILABLE, "The snapshots cannot be listed.");
}

enum db_result snapshots_delete_rows(struct db *db, struct journal *journal, const char *vm_id)
{
    struct db_list list = {.kind = DB_SNAPSHOT, .scope = vm_id, .limit = -1};
    json_t *ids = json_array();
    enum db_result result = db_list(db, &list, collect_id, ids);
    const json_t *id;
    size_t index;

    json_array_foreach(ids, index, id)
    {
        if (result == DB_OK)
            result = db_object_delete(db, json_string_value(id), journal->sequence);
        journal->mark[DB_SNAPSHOT] = journal->sequence;
    }
    json_decref(ids);
    return result;
}
