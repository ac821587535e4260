/* SPDX-License-Identifier: MIT */
/* Files of disks and images. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmtd/command.h"
#include "mgmtd/storage.h"
#include "parent/control/export.h"

#define COPY_MS (4 * 3600 * 1000) /* of the largest disk on the slowest storage */
#define INFO_MS 30000

#define SETTLE_MS 20000 /* for a disk's last data to be written */

/* Limits of qemu-img, which parses what users upload: address space and processor time. */
#define LIMITS "prlimit", "--as=4294967296", "--cpu=7200", "--core=0"

bool disk_path(const struct daemon *daemon, const char *id, char path[PATH_SIZE])
{
    return path_join(path, daemon->options.state, "disks/%s", id);
}

bool image_path(const struct daemon *daemon, const char *id, char path[PATH_SIZE])
{
    return path_join(path, daemon->options.state, "images/%s", id);
}

bool storage_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return synced;
}

bool storage_settle(struct operation *operation, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool settled = fd < 0 || bh_export_await_end(fd, SETTLE_MS);

    if (fd >= 0)
        close(fd);
    return settled ||
           operation_fail(operation, API_PROBLEM_WRONG_STATE,
                          "The file %s is still in use by the server of a VM that has ended.",
                          path);
}

static bool run(struct operation *operation, const char *const *arguments, int timeout_ms,
                char *output)
{
    struct command command = {
        .arguments = arguments, .timeout_ms = timeout_ms, .operation = operation, .output = output};
    char problem[512] = "";

    if (command_run(&command, problem, sizeof(problem)))
        return true;
    return operation_fail(operation,
                          strstr(problem, "No space left") ? API_PROBLEM_STORAGE_FULL
                                                           : API_PROBLEM_OPERATION_FAILED,
                          "%s", problem);
}

/* Runs what writes `part`, which becomes `to` once it is whole and on the disk. */
static bool run_into(struct operation *operation, const char *const *arguments, const char *part,
                     const char *to)
{
    if (!run(operation, arguments, COPY_MS, NULL)) {
        unlink(part);
        return false;
    }
    if (storage_sync(part) && rename(part, to) == 0)
        return true;
    return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "cannot write %s: %s", to,
                          strerror(errno));
}

bool storage_copy(struct operation *operation, const char *from, const char *to)
{
    char part[PATH_SIZE];
    const char *const arguments[] = {"cp", "--reflink=auto", "--sparse=always", "--", from, part,
                                     NULL};

    snprintf(part, sizeof(part), "%s.part", to);
    return storage_settle(operation, from) && run_into(operation, arguments, part, to);
}

/* An image that names other files would read or write them with our rights. */
static bool is_alone(const json_t *info, const char *path)
{
    const json_t *data = json_object_get(json_object_get(info, "format-specific"), "data");
    const json_t *extents = json_object_get(data, "extents");
    const json_t *extent;
    size_t index;

    if (json_object_get(info, "backing-filename") || json_object_get(data, "data-file"))
        return false;
    json_array_foreach(extents, index, extent)
    {
        const char *name = json_text(extent, "filename");

        if (name[0] && strcmp(name, path) != 0)
            return false;
    }
    return true;
}

static bool check_alone(struct operation *operation, const char *format, const char *path)
{
    const char *const arguments[] = {LIMITS, "qemu-img", "info", "--output=json",
                                     "-f",   format,     path,   NULL};
    char *output = calloc(1, COMMAND_OUTPUT);
    json_t *info = NULL;
    bool alone = false;

    if (output && run(operation, arguments, INFO_MS, output)) {
        info = json_loads(output, 0, NULL);
        alone = info && is_alone(info, path);
        if (!alone)
            operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                           "The image refers to another file. Flatten it with qemu-img convert "
                           "before the upload.");
    }
    json_decref(info);
    free(output);
    return alone;
}

bool storage_convert(struct operation *operation, const char *format, const char *from,
                     const char *to_format, const char *to)
{
    char part[PATH_SIZE];
    const char *const arguments[] = {LIMITS, "qemu-img", "convert", "-f", format,
                                     "-O",   to_format,  from,      part, NULL};

    snprintf(part, sizeof(part), "%s.part", to);
    return storage_settle(operation, from) && check_alone(operation, format, from) &&
           run_into(operation, arguments, part, to);
}

int64_t storage_allocated(const char *path)
{
    struct stat file;

    return stat(path, &file) == 0 ? (int64_t)file.st_blocks * 512 : 0;
}

int64_t storage_length(const char *path)
{
    struct stat file;

    return stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
}

struct user {
    char id[UUID_SIZE];
    char kind[16];
    char name[NAME_SIZE];
};

static bool take_user(void *context, const char *id, const char *kind, const char *name)
{
    struct user *user = context;

    snprintf(user->id, sizeof(user->id), "%s", id);
    snprintf(user->kind, sizeof(user->kind), "%s", kind);
    snprintf(user->name, sizeof(user->name), "%s", name);
    return false;
}

bool storage_unused(struct change *change)
{
    struct user user = {.id = ""};

    db_reference_users(change->db, change->object.id, take_user, &user);
    if (!user.id[0])
        return true;
    api_problem_set(&change->problem, API_PROBLEM_IN_USE, "The %s %s is used by the %s %s.",
                    db_kind_name(change->object.kind), change->object.name,
                    strcmp(user.kind, db_kind_name(DB_VM)) == 0 ? "VM" : user.kind, user.name);
    snprintf(change->problem.holder, sizeof(change->problem.holder), "%s", user.id);
    return false;
}

bool storage_set_status(struct operation *operation, struct db *db, struct journal *journal,
                        enum db_kind kind, const char *id, const char *state, const char *more)
{
    struct object object;
    enum db_result result = object_load(&object, db, kind, "", id);

    if (result == DB_OK) {
        object_set_status(&object, state, more);
        object.sequence = journal->sequence;
        journal->mark[kind] = journal->sequence;
        result = object_update(&object, db);
    }
    object_release(&object);
    if (result == DB_OK)
        return true;
    object_problem(&operation->problem, result, kind, operation->object_name, db_message(db));
    return false;
}
