/* SPDX-License-Identifier: MIT */
/* Changes of a VM that runs. */
#include <stdio.h>
#include <string.h>

#include "mgmtd/vm_config.h"
#include "mgmtd/vm_live.h"
#include "mgmtd/worker.h"

#define CALL_MS 10000

static bool differ(const json_t *before, const json_t *after, const char *name)
{
    const json_t *a = json_object_get(before, name);
    const json_t *b = json_object_get(after, name);

    return a != b && !json_equal(a, b);
}

/* --- What may change --- */

static void refuse_changes(const json_t *before, const json_t *after, const char *section,
                           const char *const *fields, struct api_problem *problem)
{
    const json_t *a = section ? json_object_get(before, section) : before;
    const json_t *b = section ? json_object_get(after, section) : after;
    char pointer[64];

    for (; *fields; fields++) {
        if (!differ(a, b, *fields))
            continue;
        snprintf(pointer, sizeof(pointer), "%s%s/%s", section ? "/" : "", section ? section : "",
                 *fields);
        api_problem_point(problem, pointer, "cannot change while the VM runs");
    }
}

static void check_disk_change(const char *name, const json_t *a, const json_t *b,
                              struct api_problem *problem)
{
    static const char *const fixed[] = {"disk", "cdrom", "bus", "read_only"};
    char pointer[96];

    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (!differ(a, b, fixed[i]))
            continue;
        snprintf(pointer, sizeof(pointer), "/disks/%s/%s", name, fixed[i]);
        api_problem_point(problem, pointer,
                          "cannot change while the VM runs; remove the device and add another");
    }
}

static void check_devices(const json_t *before, const json_t *after, struct api_problem *problem)
{
    char pointer[96];
    const char *name;
    json_t *device;

    json_object_foreach(json_object_get(after, "disks"), name, device)
    {
        const json_t *old = json_object_get(json_object_get(before, "disks"), name);

        if (old)
            check_disk_change(name, old, device, problem);
    }
    json_object_foreach(json_object_get(after, "nics"), name, device)
    {
        const json_t *old = json_object_get(json_object_get(before, "nics"), name);

        if (!old || json_equal(old, device))
            continue;
        snprintf(pointer, sizeof(pointer), "/nics/%s", name);
        api_problem_point(problem, pointer,
                          "cannot change while the VM runs; remove the device and add another");
    }
}

static void check_memory(const json_t *before, const json_t *after, struct api_problem *problem)
{
    const json_t *a = json_object_get(before, "memory");
    const json_t *b = json_object_get(after, "memory");
    int64_t was = json_number(a, "size", 0);
    int64_t size = json_number(b, "size", 0);

    if (size != was &&
        (size < json_number(a, "minimum", was) || size > json_number(a, "maximum", was)))
        api_problem_point(problem, "/memory/size",
                          "can change inside the range of %lld to %lld while the VM runs",
                          (long long)json_number(a, "minimum", was),
                          (long long)json_number(a, "maximum", was));
}

bool vm_live_allowed(const json_t *before, const json_t *after, struct api_problem *problem)
{
    static const char *const top[] = {"boot", NULL};
    static const char *const processors[] = {"count", NULL};
    static const char *const memory[] = {"minimum", "maximum", NULL};

    refuse_changes(before, after, NULL, top, problem);
    refuse_changes(before, after, "processors", processors, problem);
    refuse_changes(before, after, "memory", memory, problem);
    check_memory(before, after, problem);
    check_devices(before, after, problem);
    if (!problem->errors)
        return true;
    api_problem_set(problem, API_PROBLEM_NOT_CHANGEABLE,
                    "Stop the VM first, or leave out the fields that are named.");
    return false;
}

bool vm_live_needed(const json_t *before, const json_t *after)
{
    return differ(before, after, "processors") || differ(before, after, "memory") ||
           differ(before, after, "disks") || differ(before, after, "nics");
}

/* --- Telling the worker --- */

struct telling {
    struct operation *operation;
    const struct object *vm;
    struct bh_control_client *client;
};

static bool tell(struct telling *telling, enum bh_control_method method, json_t *params,
                 const char *pointer)
{
    struct bh_control_error error = {.message = ""};
    struct operation *operation = telling->operation;

    if (!params)
        return false; /* the problem is set */
    if (bh_control_call(telling->client, method, params, CALL_MS, NULL, &error)) {
        operation_report(operation, -1, "%s: done.", pointer);
        return true;
    }
    operation_fail(operation,
                   error.code == BH_CONTROL_NOT_SUPPORTED ? API_PROBLEM_NOT_CHANGEABLE
                                                          : API_PROBLEM_OPERATION_FAILED,
                   "The worker refused the change of %s: %s", pointer, error.message);
    api_problem_point(&operation->problem, pointer, "%s", error.message);
    return false;
}

static bool tell_settings(struct telling *telling, const json_t *before, const json_t *after)
{
    const json_t *processors = json_object_get(after, "processors");
    json_t *set = json_object();

    if (differ(before, after, "processors")) {
        json_object_set_new(set, "weight", json_integer(json_number(processors, "weight", 100)));
        json_object_set_new(set, "cap_percent", json_integer(vm_config_cap(processors)));
        json_object_set_new(set, "reserve_percent", json_integer(vm_config_reserve(processors)));
    }
    if (differ(before, after, "memory"))
        json_object_set_new(set, "memory_target_bytes",
                            json_integer(json_number(json_object_get(after, "memory"), "size", 0)));
    if (json_object_size(set) == 0) {
        json_decref(set);
        return true;
    }
    return tell(telling, BH_METHOD_SET, set,
                differ(before, after, "memory") ? "/memory/size" : "/processors");
}

static bool tell_disc(struct telling *telling, const char *name, const json_t *device,
                      const char *pointer)
{
    json_t *drive;
    json_t *params;

    if (!json_is_string(json_object_get(device, "image")))
        return tell(telling, BH_METHOD_CD_EJECT, json_pack("{s:s, s:b}", "id", name, "force", 1),
                    pointer);
    drive = vm_config_disk(telling->operation, telling->vm, name, device);
    if (!drive)
        return false;
    params = json_pack("{s:s, s:s}", "id", name, "path", json_text(drive, "path"));
    json_decref(drive);
    return tell(telling, BH_METHOD_CD_INSERT, params, pointer);
}

static bool tell_disks(struct telling *telling, const json_t *before, const json_t *after)
{
    const json_t *old = json_object_get(before, "disks");
    const json_t *new = json_object_get(after, "disks");
    char pointer[96];
    const char *name;
    json_t *device;

    json_object_foreach((json_t *)old, name, device)
    {
        snprintf(pointer, sizeof(pointer), "/disks/%s", name);
        if (!json_object_get(new, name) &&
            !tell(telling, BH_METHOD_DISK_REMOVE, json_pack("{s:s}", "id", name), pointer))
            return false;
    }
    json_object_foreach((json_t *)new, name, device)
    {
        const json_t *was = json_object_get(old, name);
        json_t *disk;

        snprintf(pointer, sizeof(pointer), "/disks/%s", name);
        if (was && differ(was, device, "image") && !tell_disc(telling, name, device, pointer))
            return false;
        if (was)
            continue;
        disk = vm_config_disk(telling->operation, telling->vm, name, device);
        if (!disk || !tell(telling, BH_METHOD_DISK_ADD, json_pack("{s:o}", "disk", disk), pointer))
            return false;
    }
    return true;
}

static bool tell_nics(struct telling *telling, const json_t *before, const json_t *after)
{
    const json_t *old = json_object_get(before, "nics");
    const json_t *new = json_object_get(after, "nics");
    char pointer[96];
    const char *name;
    json_t *device;

    json_object_foreach((json_t *)old, name, device)
    {
        snprintf(pointer, sizeof(pointer), "/nics/%s", name);
        if (!json_object_get(new, name) &&
            !tell(telling, BH_METHOD_NIC_REMOVE, json_pack("{s:s}", "id", name), pointer))
            return false;
    }
    json_object_foreach((json_t *)new, name, device)
    {
        json_t *nic;

        if (json_object_get(old, name))
            continue;
        snprintf(pointer, sizeof(pointer), "/nics/%s", name);
        nic = vm_config_nic(telling->operation, telling->vm, name, device);
        if (!nic || !tell(telling, BH_METHOD_NIC_ADD, json_pack("{s:o}", "nic", nic), pointer))
            return false;
    }
    return true;
}

bool vm_live_apply(struct operation *operation, const struct object *vm, const json_t *before,
                   const json_t *after)
{
    struct bh_control_error error = {.message = ""};
    struct telling telling = {operation, vm, NULL};
    bool done;

    telling.client = worker_connect(operation->daemon, operation->object_id, CALL_MS, &error);
    if (!telling.client)
        return operation_fail(operation, API_PROBLEM_UNAVAILABLE,
                              "The VM's worker does not answer: %s", error.message);
    done = tell_settings(&telling, before, after) && tell_disks(&telling, before, after) &&
           tell_nics(&telling, before, after);
    bh_control_close(telling.client);
    return done;
}
