/* SPDX-License-Identifier: MIT */
#include "mgmtd/rename.h"

#include <stdio.h>
#include <string.h>

#include "db/list.h"
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

/* Saves the document that says the new name, unless an operation may put the old one back. */
static bool save_idle(struct change *change, struct object *object)
{
    const char *noun = object->kind == DB_VM ? "VM" : "disk";

    if (!operations_busy(change->daemon->operations, object->id))
        return save(change, object);
    api_problem_set(&change->problem, API_PROBLEM_WRONG_STATE,
                    "The %s %s names the %s %s, and an operation on it is under way. Try again "
                    "when it is done.",
                    noun, object->name, db_kind_name(change->object.kind), change->object.name);
    api_problem_point(&change->problem, "/name", "is in the document of the %s %s", noun,
                      object->name);
    operations_holder(change->daemon->operations, object->id, change->problem.holder);
    return false;
}

/* What is done with one object that may say the old name; it is loaded. */
typedef bool follow_step(struct following *following, struct object *object);

static bool follow_in_vm(struct following *following, struct object *vm)
{
    return !replace_all(following, vm) || save_idle(following->change, vm);
}

typedef bool save_object(struct change *change, struct object *object);

/* Of a document that says the name in one member and carries a label of it. */
static bool follow_member(struct following *following, struct object *object, const char *member,
                          save_object *save_it)
{
    struct change *change = following->change;
    enum db_result result;

    if (strcmp(json_text(object->document, member), following->old_name) != 0)
        return true;
    json_object_set_new(object->document, member, json_string(change->object.name));
    if (!save_it(change, object))
        return false;
    result = db_label_set(change->db, object->id, member, change->object.name);
    /* A disk is found by the image's uuid, too. */
    if (result == DB_OK && object->kind == DB_DISK)
        result = db_label_add(change->db, object->id, member, change->object.id);
    return result == DB_OK || change_refuse(change, result);
}

static bool follow_in_disk(struct following *following, struct object *disk)
{
    return follow_member(following, disk, "image", save_idle);
}

static bool follow_in_token(struct following *following, struct object *token)
{
    return follow_member(following, token, "user", save);
}

static bool collect_vm(void *context, const char *id, const char *kind, const char *name)
{
    struct following *following = context;

    (void)name;
    if (strcmp(kind, db_kind_name(DB_VM)) == 0)
        json_array_append_new(following->ids, json_string(id));
    return true;
}

static bool collect_disk(void *context, const struct db_object *row)
{
    struct following *following = context;

    json_array_append_new(following->ids, json_string(row->id));
    return true;
}

static bool collect_token(void *context, const struct db_token *row)
{
    struct following *following = context;

    if (strcmp(row->user_id, following->change->object.id) == 0)
        json_array_append_new(following->ids, json_string(row->id));
    return true;
}

static bool follow_one(struct following *following, enum db_kind kind, const char *id,
                       follow_step *step)
{
    struct change *change = following->change;
    struct object object;
    enum db_result result = object_load(&object, change->db, kind, "", id);
    bool done = result == DB_OK ? step(following, &object) : change_refuse(change, result);

    object_release(&object);
    return done;
}

/* Goes through what was collected, and begins anew. */
static bool follow_each(struct following *following, enum db_result collected, enum db_kind kind,
                        follow_step *step)
{
    bool done = collected == DB_OK || change_refuse(following->change, collected);
    const json_t *id;
    size_t index;

    json_array_foreach(following->ids, index, id)
    {
        done = done && follow_one(following, kind, json_string_value(id), step);
    }
    json_array_clear(following->ids);
    return done;
}

static bool follow_disks(struct following *following)
{
    const struct change *change = following->change;
    const struct db_list made_from = {.kind = DB_DISK,
                                      .filter = {{"image", DB_MATCH_EQUAL, change->object.id}},
                                      .filter_count = 1,
                                      .limit = -1};

    return follow_each(following, db_list(change->db, &made_from, collect_disk, following), DB_DISK,
                       follow_in_disk);
}

bool rename_follow(struct change *change, const char *old_name)
{
    struct following following = {change, old_name, NULL};
    const struct object *object = &change->object;
    bool done;

    if (strcmp(old_name, object->name) == 0)
        return true;
    following.ids = json_array();
    if (object->kind == DB_USER)
        done = follow_each(&following, db_token_each(change->db, collect_token, &following),
                           DB_TOKEN, follow_in_token);
    else
        done = follow_each(&following,
                           db_reference_users(change->db, object->id, collect_vm, &following),
                           DB_VM, follow_in_vm);
    if (object->kind == DB_IMAGE)
        done = done && follow_disks(&following);
    json_decref(following.ids);
    return done;
}
