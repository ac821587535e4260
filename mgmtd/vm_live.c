/* SPDX-License-Identifier: MIT */
/* Changes of a VM that runs. */
#include <stdio.h>
#include <string.h>

#include "mgmtd/network.h"
#include "mgmtd/vm_config.h"
#include "mgmtd/vm_live.h"
#include "mgmtd/worker.h"
#include "parent/control/export.h"
#include "parent/control/open.h"

#define CALL_MS 10000

/* --- What may change --- */

static void refuse_changes(const json_t *before, const json_t *after, const char *section,
                           const char *const *fields, struct api_problem *problem)
{
    const json_t *a = section ? json_object_get(before, section) : before;
    const json_t *b = section ? json_object_get(after, section) : after;
    char pointer[64];

    for (; *fields; fields++) {
        if (!json_differs(a, b, *fields))
            continue;
        snprintf(pointer, sizeof(pointer), "%s%s/%s", section ? "/" : "", section ? section : "",
                 *fields);
        api_problem_point(problem, pointer, "cannot change while the VM runs");
    }
}

/* Devices that stay keep their `fixed` members. */
static void check_devices(const json_t *before, const json_t *after, const char *section,
                          const char *const *fixed, struct api_problem *problem)
{
    const json_t *old = json_object_get(before, section);
    char pointer[128];
    const char *name;
    json_t *device;

    json_object_foreach(json_object_get(after, section), name, device)
    {
        const json_t *was = json_object_get(old, name);

        for (size_t i = 0; was && fixed[i]; i++) {
            if (!json_differs(was, device, fixed[i]))
                continue;
            snprintf(pointer, sizeof(pointer), "/%s/%s/%s", section, name, fixed[i]);
            api_problem_point(problem, pointer,
                              "cannot change while the VM runs; remove the device and add another");
        }
    }
}

static void check_memory(const json_t *before, const json_t *after, struct api_problem *problem)
{
    const json_t *a = json_object_get(before, "memory");
    const json_t *b = json_object_get(after, "memory");
    int64_t was = json_number(a, "size", 0);
    int64_t size = json_number(b, "size", 0);
    int64_t minimum = json_number(a, "minimum", was);
    int64_t maximum = json_number(a, "maximum", was);

    if (size != was && minimum == maximum)
        api_problem_point(problem, "/memory/size",
                          "cannot change while the VM runs: it was started without a range, which "
                          "memory.minimum and memory.maximum give");
    else if (size < minimum || size > maximum)
        api_problem_point(problem, "/memory/size",
                          "can change from %lld MiB to %lld MiB while the VM runs",
                          (long long)(minimum >> 20), (long long)(maximum >> 20));
}

bool vm_live_allowed(const json_t *before, const json_t *after, struct api_problem *problem)
{
    static const char *const top[] = {"boot", NULL};
    static const char *const processors[] = {"count", NULL};
    static const char *const memory[] = {"minimum", "maximum", NULL};
    static const char *const disks[] = {
        "disk", "cdrom", "bus", "read_only", "iops", "bytes_per_second", NULL};
    static const char *const nics[] = {"network", "mac", "mtu", "queues", "trusted", NULL};

    refuse_changes(before, after, NULL, top, problem);
    refuse_changes(before, after, "processors", processors, problem);
    refuse_changes(before, after, "memory", memory, problem);
    check_memory(before, after, problem);
    check_devices(before, after, "disks", disks, problem);
    check_devices(before, after, "nics", nics, problem);
    if (!problem->errors)
        return true;
    problem->type = API_PROBLEM_NOT_CHANGEABLE;
    return false;
}

bool vm_live_needed(const json_t *before, const json_t *after)
{
    return json_differs(before, after, "processors") || json_differs(before, after, "memory") ||
           json_differs(before, after, "disks") || json_differs(before, after, "nics");
}

/* --- Telling the worker --- */

struct telling {
    struct operation *operation;
    const struct object *vm;
    struct bh_control_client *client;
    int pid;      /* of the worker */
    bool undoing; /* goes on after a refusal, and leaves the operation's problem as it is */
};

static bool refused(struct telling *telling, const char *pointer,
                    const struct bh_control_error *error)
{
    struct operation *operation = telling->operation;

    if (telling->undoing)
        return true;
    operation_fail(operation,
                   error->code == BH_CONTROL_NOT_SUPPORTED ? API_PROBLEM_NOT_CHANGEABLE
                                                           : API_PROBLEM_OPERATION_FAILED,
                   "The change of %s was refused: %s", pointer, error->message);
    api_problem_point(&operation->problem, pointer, "%s", error->message);
    return false;
}

/* Takes over `fds`, which go along. */
static bool tell_with(struct telling *telling, enum bh_control_method method, json_t *params,
                      struct bh_fds fds, const char *pointer)
{
    struct bh_control_error error = {.message = ""};

    if (!bh_control_call_with(telling->client, method, params, fds, CALL_MS, NULL, &error))
        return refused(telling, pointer, &error);
    operation_report(telling->operation, -1, "%s: %s.", pointer,
                     telling->undoing ? "undone" : "done");
    return true;
}

static bool tell(struct telling *telling, enum bh_control_method method, json_t *params,
                 const char *pointer)
{
    return tell_with(telling, method, params, bh_fds_one(-1), pointer);
}

struct opened {
    int fd;
    int server; /* as of bh_control_open_disk */
};

/* A disk or disc as the worker takes it, and its file opened; NULL: refused. */
static json_t *open_disk(struct telling *telling, const char *name, const json_t *device,
                         const char *pointer, struct opened *opened)
{
    json_t *disk = vm_config_disk(telling->operation, telling->vm, name, device);
    struct bh_control_error error;
    struct bh_disk_config config;

    *opened = (struct opened){-1, -1};
    if (!disk)
        return NULL;
    if (bh_disk_config_parse(disk, "disk", &config, &error)) {
        if (config.path[0])
            opened->fd = bh_control_open_disk(&config, (long)worker_uid(telling->pid),
                                              &opened->server, &error);
        if (!config.path[0] || opened->fd >= 0)
            return disk;
    }
    json_decref(disk);
    refused(telling, pointer, &error);
    return NULL;
}

static bool tell_settings(struct telling *telling, const json_t *before, const json_t *after)
{
    const json_t *processors = json_object_get(after, "processors");
    json_t *set = json_object();

    if (json_differs(before, after, "processors")) {
        json_object_set_new(set, "weight", json_integer(json_number(processors, "weight", 100)));
        json_object_set_new(set, "cap_percent", json_integer(vm_config_cap(processors)));
        json_object_set_new(set, "reserve_percent", json_integer(vm_config_reserve(processors)));
    }
    if (json_differs(before, after, "memory"))
        json_object_set_new(set, "memory_target_bytes",
                            json_integer(json_number(json_object_get(after, "memory"), "size", 0)));
    if (json_object_size(set) == 0) {
        json_decref(set);
        return true;
    }
    return tell(telling, BH_METHOD_SET, set,
                json_differs(before, after, "memory") ? "/memory/size" : "/processors");
}

static bool tell_disc(struct telling *telling, const char *name, const json_t *device,
                      const char *pointer)
{
    json_t *drive;
    struct opened opened;
    json_t *params;

    if (!json_is_string(json_object_get(device, "image")))
        return tell(telling, BH_METHOD_CD_EJECT, json_pack("{s:s, s:b}", "id", name, "force", 1),
                    pointer);
    drive = open_disk(telling, name, device, pointer, &opened);
    if (!drive)
        return false;
    params = json_pack("{s:s, s:s}", "id", name, "path", json_text(drive, "path"));
    json_decref(drive);
    return tell_with(telling, BH_METHOD_CD_INSERT, params, bh_fds_one(opened.fd), pointer);
}

static bool add_disk(struct telling *telling, const char *name, const json_t *device,
                     const char *pointer)
{
    struct opened opened;
    json_t *disk = open_disk(telling, name, device, pointer, &opened);
    bool added = disk && tell_with(telling, BH_METHOD_DISK_ADD, json_pack("{s:o}", "disk", disk),
                                   bh_fds_one(opened.fd), pointer);

    bh_export_settle(opened.server, added);
    return added;
}

static bool remove_disk(struct telling *telling, const char *name, const json_t *device,
                        const char *pointer)
{
    (void)device;
    return tell(telling, BH_METHOD_DISK_REMOVE, json_pack("{s:s}", "id", name), pointer);
}

static bool add_nic(struct telling *telling, const char *name, const json_t *device,
                    const char *pointer)
{
    json_t *nic = vm_config_nic(telling->operation, telling->vm, name, device);
    struct bh_control_error error;
    struct bh_fds fds;
    json_t *params;

    if (!nic)
        return false;
    if (!bh_control_open_tap(json_text(nic, "tap"), (unsigned)json_number(nic, "queues", 1), &fds,
                             &error)) {
        json_decref(nic);
        return refused(telling, pointer, &error);
    }
    params = json_pack("{s:o, s:i}", "nic", nic, "tap_queues", (int)fds.count);
    return tell_with(telling, BH_METHOD_NIC_ADD, params, fds, pointer);
}

static bool remove_nic(struct telling *telling, const char *name, const json_t *device,
                       const char *pointer)
{
    char tap[16];

    (void)device;
    if (!tell(telling, BH_METHOD_NIC_REMOVE, json_pack("{s:s}", "id", name), pointer))
        return false;
    vm_config_tap(telling->vm->id, name, tap);
    network_tap_remove(telling->operation->daemon, tap);
    return true;
}

typedef bool tell_device(struct telling *telling, const char *name, const json_t *device,
                         const char *pointer);

/* Calls `change` for each device of the section that is in `these` and not in `others`. */
static bool tell_each(struct telling *telling, const char *section, const json_t *these,
                      const json_t *others, tell_device *change)
{
    const json_t *absent = json_object_get(others, section);
    char pointer[96];
    const char *name;
    json_t *device;

    json_object_foreach(json_object_get(these, section), name, device)
    {
        snprintf(pointer, sizeof(pointer), "/%s/%s", section, name);
        if (!json_object_get(absent, name) && !change(telling, name, device, pointer))
            return false;
    }
    return true;
}

typedef bool tell_difference(struct telling *telling, const char *name, const json_t *was,
                             const json_t *device, const char *pointer);

/* Calls `change` for each device of the section that is in both and not the same. */
static bool tell_kept(struct telling *telling, const char *section, const json_t *before,
                      const json_t *after, tell_difference *change)
{
    const json_t *old = json_object_get(before, section);
    char pointer[96];
    const char *name;
    json_t *device;

    json_object_foreach(json_object_get(after, section), name, device)
    {
        const json_t *was = json_object_get(old, name);

        snprintf(pointer, sizeof(pointer), "/%s/%s", section, name);
        if (was && !json_equal(was, device) && !change(telling, name, was, device, pointer))
            return false;
    }
    return true;
}

static bool change_disc(struct telling *telling, const char *name, const json_t *was,
                        const json_t *device, const char *pointer)
{
    return !json_differs(was, device, "image") || tell_disc(telling, name, device, pointer);
}

/* Its cable and rates. */
static bool change_nic(struct telling *telling, const char *name, const json_t *was,
                       const json_t *device, const char *pointer)
{
    (void)was;
    return tell(telling, BH_METHOD_NIC_SET, vm_config_nic_settings(name, device), pointer);
}

/* What can be taken back comes first. */
static bool tell_all(struct telling *telling, const json_t *before, const json_t *after)
{
    return tell_settings(telling, before, after) &&
           tell_kept(telling, "nics", before, after, change_nic) &&
           tell_each(telling, "disks", after, before, add_disk) &&
           tell_each(telling, "nics", after, before, add_nic) &&
           tell_kept(telling, "disks", before, after, change_disc) &&
           tell_each(telling, "disks", before, after, remove_disk) &&
           tell_each(telling, "nics", before, after, remove_nic);
}

static void take_back(struct telling *telling, const json_t *before, const json_t *after)
{
    telling->undoing = true;
    tell_settings(telling, after, before);
    tell_kept(telling, "nics", after, before, change_nic);
    tell_each(telling, "disks", after, before, remove_disk);
    tell_each(telling, "nics", after, before, remove_nic);
}

bool vm_live_apply(struct operation *operation, const struct object *vm, const json_t *before,
                   const json_t *after)
{
    struct bh_control_error error = {.message = ""};
    struct telling telling = {.operation = operation, .vm = vm};
    bool done;

    telling.client = worker_connect(operation->daemon, operation->object_id, CALL_MS, &error);
    if (!telling.client)
        return operation_fail(operation, API_PROBLEM_UNAVAILABLE,
                              "The VM's worker does not answer: %s", error.message);
    telling.pid = bh_control_client_hello(telling.client)->pid;
    done = tell_all(&telling, before, after);
    if (!done)
        take_back(&telling, before, after);
    bh_control_close(telling.client);
    return done;
}
