/* SPDX-License-Identifier: MIT */
/* From a VM's document to its worker's configuration. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mgmtd/network.h"
#include "mgmtd/seed.h"
#include "mgmtd/storage.h"
#include "mgmtd/vm_config.h"
#include "mgmtd/worker.h"
#include "parent/control/config.h"

#define SEED_DISK "cloud-init"

int64_t vm_config_cap(const json_t *processors)
{
    int64_t cap = json_number(processors, "cap", 100);

    return cap >= 100 ? 0 : cap * json_number(processors, "count", 1);
}

int64_t vm_config_reserve(const json_t *processors)
{
    return json_number(processors, "reserve", 0) * json_number(processors, "count", 1);
}

void vm_config_tap(const char *vm_id, const char *name, char tap[16])
{
    char whole[UUID_SIZE + 64];
    uint8_t hash[SHA256_SIZE];
    char hex[SHA256_TEXT];

    snprintf(whole, sizeof(whole), "%s/%s", vm_id, name);
    sha256(whole, strlen(whole), hash);
    hex_format(hash, sizeof(hash), hex);
    snprintf(tap, 16, "bh%.12s", hex);
}

/* Loads what a role of the VM refers to. */
static bool load_target(struct operation *operation, const struct object *vm, enum db_kind kind,
                        const char *role, struct object *target)
{
    struct db *db = store_reader(operation->daemon->store);
    char id[64];
    char name[64];

    *target = (struct object){.kind = kind};
    if (db && db_reference_get(db, vm->id, role, id, name) == DB_OK &&
        object_load(target, db, kind, "", id) == DB_OK)
        return true;
    return operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                          "What /%s names cannot be found.", role);
}

static bool require_ready(struct operation *operation, const struct object *target)
{
    if (strcmp(target->state, "ready") == 0)
        return true;
    return operation_fail(operation, API_PROBLEM_WRONG_STATE, "The %s %s is %s, not ready.",
                          db_kind_name(target->kind), target->name, target->state);
}

/* The file of an image that a role names. */
static bool image_file(struct operation *operation, const struct object *vm, const char *role,
                       char path[PATH_SIZE])
{
    struct object image;
    bool done = load_target(operation, vm, DB_IMAGE, role, &image) &&
                require_ready(operation, &image) && image_path(operation->daemon, image.id, path);

    object_release(&image);
    return done;
}

/* Where a disk is, and its format. */
static bool disk_file(struct operation *operation, const struct object *vm, const char *role,
                      char path[PATH_SIZE], char format[16])
{
    struct object disk;
    bool done = load_target(operation, vm, DB_DISK, role, &disk) &&
                require_ready(operation, &disk) && disk_path(operation->daemon, disk.id, path);

    snprintf(format, 16, "%s", done ? json_text(disk.document, "format") : "");
    object_release(&disk);
    return done;
}

/* Copies members that mean the same in both, where they are there. */
static void copy_members(json_t *to, const json_t *from, const char *const *names)
{
    for (; *names; names++)
        if (json_object_get(from, *names))
            json_object_set(to, *names, json_object_get(from, *names));
}

json_t *vm_config_disk(struct operation *operation, const struct object *vm, const char *name,
                       const json_t *device)
{
    static const char *const limits[] = {"iops", "bytes_per_second", NULL};
    bool cdrom = json_is_true(json_object_get(device, "cdrom"));
    char path[PATH_SIZE] = "";
    char format[16] = "";
    char role[64];
    json_t *disk;

    snprintf(role, sizeof(role), "disks/%s", name);
    if (!cdrom && !disk_file(operation, vm, role, path, format))
        return NULL;
    if (cdrom && json_is_string(json_object_get(device, "image")) &&
        !image_file(operation, vm, role, path))
        return NULL;
    disk = json_pack("{s:s, s:s}", "id", name, "kind", cdrom ? "cd" : "disk");
    if (path[0])
        json_object_set_new(disk, "path", json_string(path));
    if (!cdrom) {
        json_object_set_new(disk, "format", json_string(format));
        json_object_set(disk, "read_only", json_object_get(device, "read_only"));
    }
    copy_members(disk, device, limits);
    return disk;
}

json_t *vm_config_nic_settings(const char *name, const json_t *device)
{
    json_t *settings = json_pack("{s:s, s:b}", "id", name, "link_up",
                                 !json_is_false(json_object_get(device, "connected")));
    static const char *const rates[] = {"transmit_bytes_per_second", "receive_bytes_per_second"};

    for (size_t i = 0; i < 2; i++)
        json_object_set_new(settings, rates[i], json_integer(json_number(device, rates[i], 0)));
    return settings;
}

/* The network's packets are the largest that reach anybody. */
static int64_t nic_mtu(const json_t *device, const json_t *network)
{
    int64_t most = json_number(network, "mtu", 1500);
    int64_t mtu = json_number(device, "mtu", most);

    most = most < BH_CONFIG_NIC_MTU_MAX ? most : BH_CONFIG_NIC_MTU_MAX;
    return mtu < most ? mtu : most;
}

json_t *vm_config_nic(struct operation *operation, const struct object *vm, const char *name,
                      const json_t *device)
{
    static const char *const options[] = {"mac", "queues", "trusted", NULL};
    struct network_tap wanted = {.several_queues = json_number(device, "queues", 1) > 1};
    char problem[256] = "";
    struct object network;
    json_t *nic = NULL;
    char role[64];
    char tap[16];
    bool made;

    snprintf(role, sizeof(role), "nics/%s", name);
    vm_config_tap(vm->id, name, tap);
    wanted.name = tap;
    made = load_target(operation, vm, DB_NETWORK, role, &network) &&
           require_ready(operation, &network);
    if (made && !network_tap_make(operation->daemon, &network, &wanted, problem, sizeof(problem)))
        made = operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                              "The NIC %s cannot be made: %s", name, problem);
    if (made) {
        nic = vm_config_nic_settings(name, device);
        json_object_set_new(nic, "tap", json_string(tap));
        json_object_set_new(nic, "mtu", json_integer(nic_mtu(device, network.document)));
        copy_members(nic, device, options);
    }
    object_release(&network);
    return nic;
}

static bool add_boot(struct operation *operation, const struct object *vm, json_t *config)
{
    const json_t *boot = json_object_get(vm->document, "boot");
    char path[PATH_SIZE];
    json_t *part;

    if (!json_object_get(boot, "kernel")) {
        operation_fail(operation, API_PROBLEM_WRONG_STATE,
                       "The VM has no kernel to start. Set /boot/kernel to an image of kind "
                       "kernel.");
        api_problem_point(&operation->problem, "/boot/kernel", "is needed to start");
        return false;
    }
    if (!image_file(operation, vm, "boot/kernel", path))
        return false;
    part = json_pack("{s:s, s:s}", "kernel", path, "command_line", json_text(boot, "cmdline"));
    json_object_set_new(config, "boot", part);
    if (!json_object_get(boot, "initrd"))
        return true;
    if (!image_file(operation, vm, "boot/initrd", path))
        return false;
    json_object_set_new(part, "initrd", json_string(path));
    return true;
}

static bool add_seed(struct operation *operation, const struct object *vm, json_t *disks)
{
    const json_t *seed = json_object_get(vm->document, "cloud_init");
    char path[PATH_SIZE];
    char problem[256];

    if (!seed)
        return true;
    if (!worker_path(operation->daemon, vm->id, "seed.iso", path))
        return false;
    if (!seed_make(path, vm->id, vm->name, seed, problem, sizeof(problem)))
        return operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                              "The cloud-init seed cannot be made: %s", problem);
    json_array_append_new(
        disks, json_pack("{s:s, s:s, s:s}", "id", SEED_DISK, "kind", "cd", "path", path));
    return true;
}

static bool add_devices(struct operation *operation, const struct object *vm, json_t *config)
{
    json_t *disks = json_array();
    json_t *nics = json_array();
    const char *name;
    json_t *device;

    json_object_set_new(config, "disks", disks);
    json_object_set_new(config, "nics", nics);
    json_object_foreach(json_object_get(vm->document, "disks"), name, device)
    {
        json_t *disk = vm_config_disk(operation, vm, name, device);

        if (!disk)
            return false;
        json_array_append_new(disks, disk);
    }
    json_object_foreach(json_object_get(vm->document, "nics"), name, device)
    {
        json_t *nic = vm_config_nic(operation, vm, name, device);

        if (!nic)
            return false;
        json_array_append_new(nics, nic);
    }
    return add_seed(operation, vm, disks);
}

/* What the worker would refuse is refused here, in its words. */
static bool check(struct operation *operation, const json_t *config)
{
    struct bh_control_error error = {.message = ""};
    struct bh_vm_config parsed;

    if (bh_vm_config_parse(config, &parsed, &error))
        return true;
    return operation_fail(operation, API_PROBLEM_WRONG_STATE,
                          "The VM cannot be configured so: %s: %s", error.field, error.message);
}

json_t *vm_config_make(struct operation *operation, const struct object *vm)
{
    const json_t *processors = json_object_get(vm->document, "processors");
    const json_t *memory = json_object_get(vm->document, "memory");
    json_t *config = json_pack(
        "{s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:b}", "version", BH_CONFIG_VERSION, "id",
        vm->id, "name", vm->name, "vps", (json_int_t)json_number(processors, "count", 1),
        "memory_bytes", (json_int_t)json_number(memory, "size", 0), "weight",
        (json_int_t)json_number(processors, "weight", 100), "cap_percent",
        (json_int_t)vm_config_cap(processors), "reserve_percent",
        (json_int_t)vm_config_reserve(processors), "on_crash", "stop", "nbd", 1);

    if (config && add_boot(operation, vm, config) && add_devices(operation, vm, config) &&
        check(operation, config))
        return config;
    json_decref(config);
    return NULL;
}

void vm_config_release(struct daemon *daemon, const struct object *vm)
{
    const char *name;
    json_t *nic;
    char tap[16];

    json_object_foreach(json_object_get(vm->document, "nics"), name, nic)
    {
        vm_config_tap(vm->id, name, tap);
        network_tap_remove(daemon, tap);
    }
}
