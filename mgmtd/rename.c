/* SPDX-License-Identifier: MIT */
#include "mgmtd/rename.h"

#include <stdio.h>
#include <string.h>

#include "db/token.h"
#include "mgmtd/operation.h"

#define ROLE_SIZE 64

struct following {
    struct change *change;
    const char *old_name;
    json_t *ids; /* of the objects whose documents may say the old name */
};

/* Says the new name in one place of a VM's document, if the old one there means this object. */
static bool replace(struct following *following, const struct object *vm, json_t *parent,
                    const char *member, const char *role)
{
    struct change *change = following->change;
    char id[64];
    char name[64];

    if (strcmp(json_text(parent, member), following->old_name) != 0 ||
        db_reference_get(change->db, vm->id, role, id, name) != DB_OK ||
        strcmp(id, change->object.id) != 0)
        return false;
    json_object_set_new(parent, member, json_string(change->object.name));
    return true;
}

static bool replace_devices(struct following *following, const struct object *vm, const char *list,
                            const char *member)
{
    json_t *devices = json_object_get(vm->document, list);
    char role[ROLE_SIZE];
    const char *name;
    json_t *device;
    bool any = false;

    json_object_foreach(devices, name, device)
    {
        snprintf(role, sizeof(role), "%s/%s", list, name);
        any |= replace(following, vm, device, member, role);
    }
    return any;
}

static bool replace_images(struct following *following, const struct object *vm)
{
    json_t *boot = json_object_get(vm->document, "boot");
    bool kernel = replace(following, vm, boot, "kernel", "boot/kernel");
    bool initrd = replace(following, vm, boot, "initrd", "boot/initrd");

    return replace_devices(following, vm, "disks", "image") || kernel || initrd;
}

static bool replace_all(struct following *following, const struct object *vm)
{
    switch (following->change->object.kind) {
    case DB_DISK:
        return replace_devices(following, vm, "disks", "disk");
    case DB_NETWORK:
        return replace_devices(following, vm, "nics", "network");
    default:
        return replace_images(following, vm);
    }
}

static bool save(struct change *change, struct object *object)
{
    enum db_result result;

    object->sequence = change->sequence;
    change->journal->mark[object->kind] = change->sequence;
    result = object_save(object, change->db, change->now);
    return result == DB_OK || change_refuse(change, result);
}

static bool refuse_busy(struct change *change, const struct object *vm)
{
    api_problem_set(&change->problem, API_PROBLEM_WRONG_STATE,
                    "The VM %s names the %s %s, and an operation on it is under way. Try again "
                    "when it is done.",
                    vm->name, db_kind_name(change->object.kind), change->object.name);
    api_problem_point(&change->problem, "/name", "is in the document of the VM %s", vm->name);
    operations_holder(change->daemon->operations, vm->id, change->problem.holder);
    return false;
}

static bool follow_vm(struct following *following, const char *id)
{
    struct change *change = following->change;
    struct object vm;
    enum db_result result = object_load(&vm, change->db, DB_VM, "", id);
    bool done = result == DB_OK || change_refuse(change, result);

    if (done && replace_all(following, &vm))
        done = operations_busy(change->daemon->operations, id) ? refuse_busy(change, &vm)
                                                               : save(change, &vm);
    object_release(&vm);
    return done;
}

static bool follow_token(struct following *following, const char *id)
{
    struct change *change = following->change;
    struct object token;
    enum db_result result = object_load(&token, change->db, DB_TOKEN, "", id);
    bool done = result == DB_OK || change_refuse(change, result);

    if (done && strcmp(json_text(token.document, "user"), following->old_name) == 0) {
        json_object_set_new(token.document, "user", json_string(change->object.name));
        done = save(change, &token);
        result = db_label_set(change->db, id, "user", change->object.name);
        done = done && (result == DB_OK || change_refuse(change, result));
    }
    object_release(&token);
    return done;
}

static bool collect_vm(void *context, const char *id, const char *kind, const char *name)
{
    struct following *following = context;

    (void)name;
    if (strcmp(kind, db_kind_name(DB_VM)) == 0)
        json_array_append_new(following->ids, json_string(id));
    return true;
}

static bool collect_token(void *context, const struct db_token *row)
{
    struct following *following = context;

    if (strcmp(row->user_id, following->change->object.id) == 0)
        json_array_append_new(following->ids, json_string(row->id));
    return true;
}

bool rename_follow(struct change *change, const char *old_name)
{
    struct following following = {change, old_name, NULL};
    bool of_user = change->object.kind == DB_USER;
    enum db_result result;
    const json_t *id;
    size_t index;
    bool done;

    if (strcmp(old_name, change->object.name) == 0)
        return true;
    following.ids = json_array();
    result = of_user ? db_token_each(change->db, collect_token, &following)
                     : db_reference_users(change->db, change->object.id, collect_vm, &following);
    done = result == DB_OK || change_refuse(change, result);
    json_array_foreach(following.ids, index, id)
    {
        if (done)
            done = of_user ? follow_token(&following, json_string_value(id))
                           : follow_vm(&following, json_string_value(id));
    }
    json_decref(following.ids);
    return done;
}
