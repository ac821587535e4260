/* SPDX-License-Identifier: MIT */
/* Disks are files of the state directory, named by their uuids. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmtd/command.h"
#include "mgmtd/disk.h"
#include "mgmtd/storage.h"
#include "mgmtd/vms.h"

#define SECTOR    512
#define RESIZE_MS 600000

static bool refuse_field(struct change *change, const char *pointer, const char *detail)
{
    api_problem_set(&change->problem, API_PROBLEM_INVALID_FIELDS, "%s %s.", pointer, detail);
    api_problem_point(&change->problem, pointer, "%s", detail);
    return false;
}

/* The image to copy, which must be ready; its size is the least. */
static bool plan_image(struct change *change, char image_id[UUID_SIZE], int64_t *least)
{
    const char *name = json_text(change->body, "image");
    struct object image;
    json_t *tail = NULL;
    bool fits;

    image_id[0] = '\0';
    *least = 0;
    if (!name[0])
        return true;
    if (object_load(&image, change->db, DB_IMAGE, "", name) != DB_OK)
        return refuse_field(change, "/image", "names no image");
    fits =
        strcmp(json_text(image.document, "kind"), "disk") == 0 && strcmp(image.state, "ready") == 0;
    if (fits) {
        struct text text = {0};

        text_printf(&text, "{%s}", image.tail + 1);
        tail = text.failed ? NULL : json_loadb(text.bytes, text.size, 0, NULL);
        text_free(&text);
        *least = json_number(json_object_get(tail, "status"), "size", 0);
        snprintf(image_id, UUID_SIZE, "%s", image.id);
    }
    json_decref(tail);
    object_release(&image);
    return fits || refuse_field(change, "/image", "must be a ready image of kind disk");
}

static bool plan_size(struct change *change, int64_t least)
{
    int64_t size = json_number(change->body, "size", 0);

    if (size == 0 && least > 0) {
        size = (least + SECTOR - 1) / SECTOR * SECTOR;
        json_object_set_new(change->body, "size", json_integer(size));
    }
    if (size == 0)
        return refuse_field(change, "/size", "is needed without an image");
    if (size % SECTOR)
        return refuse_field(change, "/size", "must be a multiple of 512");
    return size >= least || refuse_field(change, "/size", "must not be below the image's size");
}

bool disk_plan_create(struct change *change)
{
    struct object *object = &change->object;
    char image_id[UUID_SIZE];
    enum db_result result = DB_OK;
    int64_t least;

    if (!plan_image(change, image_id, &least) || !plan_size(change, least))
        return false;
    if (!json_object_get(change->body, "format"))
        json_object_set_new(change->body, "format", json_string("raw"));
    object_set_status(object, "creating", "");
    if (!change_insert(change) || !object_write_tags(change->db, object))
        return change->problem.type == API_PROBLEM_NONE ? change_refuse(change, DB_FAILED) : false;
    if (image_id[0]) {
        /* The image stays as long as it is being copied. */
        result = db_reference_add(change->db, object->id, "image", image_id, false);
        if (result == DB_OK)
            result = db_label_add(change->db, object->id, "image", image_id);
        if (result == DB_OK && strcmp(json_text(change->body, "image"), image_id) != 0)
            result =
                db_label_add(change->db, object->id, "image", json_text(change->body, "image"));
    }
    return result == DB_OK || change_refuse(change, result);
}

static bool load(struct operation *operation, struct object *disk)
{
    struct db *db = store_reader(operation->daemon->store);

    *disk = (struct object){.kind = DB_DISK};
    if (db && object_load(disk, db, DB_DISK, "", operation->result) == DB_OK)
        return true;
    return operation_fail(operation, API_PROBLEM_NOT_FOUND, "The disk is gone.");
}

static bool resize_raw(struct operation *operation, const char *path, int64_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool done = fd >= 0 && ftruncate(fd, size) == 0 && fsync(fd) == 0;
    int error = errno;

    if (fd >= 0)
        close(fd);
    if (done)
        return true;
    return operation_fail(operation,
                          error == ENOSPC ? API_PROBLEM_STORAGE_FULL : API_PROBLEM_OPERATION_FAILED,
                          "The disk's file cannot be made: %s", strerror(error));
}

static bool qemu_img(struct operation *operation, const char *verb, const char *path, int64_t size)
{
    char bytes[32];
    const char *const arguments[] = {"qemu-img", verb, "-q", "-f", "qcow2", path, bytes, NULL};
    struct command command = {
        .arguments = arguments, .timeout_ms = RESIZE_MS, .operation = operation};
    char problem[512];

    snprintf(bytes, sizeof(bytes), "%" PRId64, size);
    if (command_run(&command, problem, sizeof(problem)))
        return true;
    return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "%s", problem);
}

static bool copy_image(struct operation *operation, const struct object *disk, const char *format,
                       const char *path)
{
    struct db *db = store_reader(operation->daemon->store);
    char from[PATH_SIZE];
    char id[64];
    char name[64];

    if (!db || db_reference_get(db, disk->id, "image", id, name) != DB_OK ||
        !image_path(operation->daemon, id, from))
        return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "The image is gone.");
    operation_report(operation, 0.1, "Copying the image %s.", name);
    if (strcmp(format, "raw") == 0)
        return storage_copy(operation, from, path);
    return storage_convert(operation, "raw", from, format, path);
}

bool disk_run_create(struct operation *operation)
{
    const char *format;
    bool from_image;
    char path[PATH_SIZE];
    struct object disk;
    int64_t size;
    bool raw;
    bool done;

    if (!load(operation, &disk))
        return false;
    format = json_text(disk.document, "format");
    raw = strcmp(format, "raw") == 0;
    from_image = json_object_get(disk.document, "image") != NULL;
    size = json_number(disk.document, "size", 0);
    done = disk_path(operation->daemon, disk.id, path) &&
           (!from_image || copy_image(operation, &disk, format, path)) &&
           (raw ? resize_raw(operation, path, size)
                : qemu_img(operation, from_image ? "resize" : "create", path, size));
    object_release(&disk);
    return done;
}

static void failure_reason(const struct operation *operation, char *more, size_t size)
{
    struct text text = {0};

    text_member(&text, "reason", operation->problem.detail);
    snprintf(more, size, "%s", text.failed || text.size >= size ? "" : text.bytes);
    text_free(&text);
}

bool disk_finish_create(struct operation *operation, struct db *db, struct journal *journal,
                        bool succeeded)
{
    char path[PATH_SIZE];
    char more[700];

    if (!disk_path(operation->daemon, operation->result, path))
        return false;
    db_reference_clear(db, operation->result);
    if (succeeded) {
        snprintf(more, sizeof(more), ",\"allocated\":%lld", (long long)storage_allocated(path));
    } else {
        failure_reason(operation, more, sizeof(more));
        unlink(path);
    }
    return storage_set_status(operation, db, journal, DB_DISK, operation->result,
                              succeeded ? "ready" : "failed", more);
}

/* --- Growing --- */

static bool held_by_active_vm(struct change *change);

bool disk_plan_update(struct change *change)
{
    struct object *object = &change->object;
    int64_t before = json_number(object->document, "size", 0);
    int64_t size;

    json_merge(object->document, change->body);
    size = json_number(object->document, "size", before);
    if (size < before)
        return refuse_field(change, "/size", "cannot shrink");
    if (size % SECTOR)
        return refuse_field(change, "/size", "must be a multiple of 512");
    change->deferred = size > before;
    if (change->deferred && strcmp(object->state, "ready") != 0) {
        api_problem_set(&change->problem, API_PROBLEM_WRONG_STATE, "The disk is %s, not ready.",
                        object->state);
        return false;
    }
    if (change->deferred && held_by_active_vm(change))
        return false;
    if (change->deferred) {
        object_set_status(object, "resizing", "");
        change->arguments = json_pack("{s:I}", "before", (json_int_t)before);
    }
    return change_update(change) &&
           (object_write_tags(change->db, object) || change_refuse(change, DB_FAILED));
}

struct held {
    struct change *change;
    bool active;
};

static bool look_at_holder(void *context, const char *id, const char *kind, const char *name)
{
    struct held *held = context;
    struct vm_view view;

    if (strcmp(kind, "vm") != 0 || !vms_get(held->change->daemon->vms, id, &view) ||
        !(VM_STATE_BIT(view.state) & VM_STATES_ACTIVE))
        return true;
    held->active = true;
    api_problem_set(&held->change->problem, API_PROBLEM_NOT_CHANGEABLE,
                    "The VM %s runs from the disk. Stop it before the disk grows.", name);
    api_problem_point(&held->change->problem, "/size", "cannot change while a VM runs from it");
    snprintf(held->change->problem.holder, UUID_SIZE, "%s", id);
    return false;
}

static bool held_by_active_vm(struct change *change)
{
    struct held held = {.change = change};

    db_reference_users(change->db, change->object.id, look_at_holder, &held);
    return held.active;
}

bool disk_run_update(struct operation *operation)
{
    char path[PATH_SIZE];
    struct object disk;
    int64_t size;
    bool done;

    if (!load(operation, &disk))
        return false;
    size = json_number(disk.document, "size", 0);
    done = disk_path(operation->daemon, disk.id, path) && storage_settle(operation, path) &&
           (strcmp(json_text(disk.document, "format"), "raw") == 0
                ? resize_raw(operation, path, size)
                : qemu_img(operation, "resize", path, size));
    object_release(&disk);
    return done;
}

bool disk_finish_update(struct operation *operation, struct db *db, struct journal *journal,
                        bool succeeded)
{
    char path[PATH_SIZE];
    char more[64];
    struct object disk;

    if (!succeeded && object_load(&disk, db, DB_DISK, "", operation->result) == DB_OK) {
        json_object_set(disk.document, "size", json_object_get(operation->arguments, "before"));
        disk.sequence = journal->sequence;
        object_save(&disk, db, time_now());
        object_release(&disk);
    }
    if (!disk_path(operation->daemon, operation->result, path))
        return false;
    snprintf(more, sizeof(more), ",\"allocated\":%lld", (long long)storage_allocated(path));
    return storage_set_status(operation, db, journal, DB_DISK, operation->result, "ready", more);
}

/* --- Deleting --- */

bool disk_plan_delete(struct change *change)
{
    struct object *object = &change->object;
    enum db_result result;

    if (!storage_unused(change))
        return false;
    object_set_status(object, "deleting", "");
    result = object_update(object, change->db);
    return result == DB_OK || change_refuse(change, result);
}

bool disk_run_delete(struct operation *operation)
{
    char path[PATH_SIZE];

    if (!disk_path(operation->daemon, operation->object_id, path))
        return false;
    if (unlink(path) == 0 || errno == ENOENT)
        return true;
    return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "cannot remove %s: %s", path,
                          strerror(errno));
}
