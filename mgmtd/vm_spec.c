/* SPDX-License-Identifier: MIT */
/* Defaults, limits and references of VM documents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmtd/vm_spec.h"
#include "parent/control/config.h"

#define MIB             (1024 * 1024ll)
#define MEMORY_STEP     (2 * MIB)
#define MEMORY_LEAST    (32 * MIB)
#define MEMORY_MOST     (MIB * 1024 * 1024)
#define DEVICE_NAME_MAX 31 /* bytes, of the worker */
#define REFERENCES_MAX  128
#define ROLE_SIZE       48

/* --- Defaults --- */

static json_t *section(json_t *spec, const char *name)
{
    json_t *value = json_object_get(spec, name);

    if (!value) {
        value = json_object();
        json_object_set_new(spec, name, value);
    }
    return value;
}

static void default_integer(json_t *object, const char *name, int64_t value)
{
    if (!json_object_get(object, name))
        json_object_set_new(object, name, json_integer(value));
}

static void default_text(json_t *object, const char *name, const char *value)
{
    if (!json_object_get(object, name))
        json_object_set_new(object, name, json_string(value));
}

static void default_false(json_t *object, const char *name)
{
    if (!json_object_get(object, name))
        json_object_set_new(object, name, json_false());
}

static void fill_nic(json_t *nic)
{
    uint8_t bytes[3];
    char mac[18];

    if (!json_object_get(nic, "connected"))
        json_object_set_new(nic, "connected", json_true());
    if (json_object_get(nic, "mac") || !random_bytes(bytes, sizeof(bytes)))
        return;
    snprintf(mac, sizeof(mac), "52:54:00:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2]);
    json_object_set_new(nic, "mac", json_string(mac));
}

static void fill(json_t *spec)
{
    json_t *processors = section(spec, "processors");
    json_t *restart = section(spec, "restart");
    const char *name;
    json_t *device;

    default_integer(processors, "count", 1);
    default_integer(processors, "weight", 100);
    default_integer(processors, "reserve", 0);
    default_integer(processors, "cap", 100);
    default_integer(section(spec, "console"), "scrollback", MIB);
    default_text(restart, "policy", "never");
    default_integer(restart, "delay", 1);
    default_integer(restart, "maximum_delay", 300);
    default_integer(restart, "attempts", 0);
    default_false(spec, "autostart");
    json_object_foreach(section(spec, "disks"), name, device)
    {
        default_false(device, "cdrom");
        default_false(device, "read_only");
        default_text(device, "bus", "scsi");
    }
    json_object_foreach(section(spec, "nics"), name, device) fill_nic(device);
}

/* --- Limits --- */

static void check_memory(const json_t *memory, struct api_problem *problem)
{
    int64_t size = json_number(memory, "size", 0);
    int64_t minimum = json_number(memory, "minimum", size);
    int64_t maximum = json_number(memory, "maximum", size);

    if (size < MEMORY_LEAST || size > MEMORY_MOST || size % MEMORY_STEP)
        api_problem_point(problem, "/memory/size",
                          "must be a multiple of 2 MiB from 32 MiB to 1 TiB");
    if (minimum > size)
        api_problem_point(problem, "/memory/size",
                          "must be at least /memory/minimum, which is %lld MiB",
                          (long long)(minimum / MIB));
    if (minimum % MEMORY_STEP)
        api_problem_point(problem, "/memory/minimum", "must be a multiple of 2 MiB");
    if (maximum < size)
        api_problem_point(problem, "/memory/size",
                          "must be at most /memory/maximum, which is %lld MiB",
                          (long long)(maximum / MIB));
    if (maximum % MEMORY_STEP)
        api_problem_point(problem, "/memory/maximum", "must be a multiple of 2 MiB");
}

static void check_disk(const char *name, const json_t *disk, struct api_problem *problem)
{
    bool cdrom = json_is_true(json_object_get(disk, "cdrom"));
    char pointer[96];

    snprintf(pointer, sizeof(pointer), "/disks/%s", name);
    if (strlen(name) > DEVICE_NAME_MAX)
        api_problem_point(problem, pointer, "the name must have at most %d bytes", DEVICE_NAME_MAX);
    if (cdrom && json_object_get(disk, "disk"))
        api_problem_point(problem, pointer, "a CD drive takes an image, not a disk");
    if (!cdrom && !json_object_get(disk, "disk"))
        api_problem_point(problem, pointer, "needs disk, or cdrom: true");
    if (!cdrom && json_is_string(json_object_get(disk, "image")))
        api_problem_point(problem, pointer, "only a CD drive takes an image");
    snprintf(pointer, sizeof(pointer), "/disks/%s/bus", name);
    if (strcmp(json_text(disk, "bus"), "scsi") != 0)
        api_problem_point(problem, pointer, "this version has scsi only; leave it out");
}

/* What the contract has and this version's worker has not is refused when it is asked for. */
static void check_boot(const json_t *boot, struct api_problem *problem)
{
    if (json_object_get(boot, "firmware"))
        api_problem_point(problem, "/boot/firmware",
                          "this version has no firmware for VMs yet; leave it out, and set "
                          "/boot/kernel to an image of kind kernel");
    else if (json_array_size(json_object_get(boot, "order")) > 0)
        api_problem_point(problem, "/boot/order",
                          "is for firmware, which this version has not yet; leave it out");
    if (json_object_get(boot, "initrd") && !json_object_get(boot, "kernel"))
        api_problem_point(problem, "/boot/initrd", "needs a kernel");
}

static void check_devices(const json_t *spec, struct api_problem *problem)
{
    const char *name;
    json_t *device;

    json_object_foreach(json_object_get(spec, "disks"), name, device)
        check_disk(name, device, problem);
    if (json_object_size(json_object_get(spec, "nics")) > BH_CONFIG_NICS_MAX)
        api_problem_point(problem, "/nics", "at most %u devices", BH_CONFIG_NICS_MAX);
}

bool vm_spec_complete(json_t *spec, struct api_problem *problem)
{
    const json_t *processors;

    fill(spec);
    processors = json_object_get(spec, "processors");
    check_memory(json_object_get(spec, "memory"), problem);
    check_boot(json_object_get(spec, "boot"), problem);
    check_devices(spec, problem);
    if (json_number(processors, "reserve", 0) > json_number(processors, "cap", 100))
        api_problem_point(problem, "/processors/reserve", "must not be above the cap");
    if (!problem->errors)
        return true;
    problem->type = API_PROBLEM_INVALID_FIELDS;
    return false;
}

/* --- References --- */

struct reference {
    char role[ROLE_SIZE];
    char id[UUID_SIZE];
    bool exclusive;
};

struct referring {
    struct db *db;
    const struct object *vm;
    const json_t *before;
    struct api_problem *problem;
    struct reference found[REFERENCES_MAX];
    size_t count;
};

/* The value at "disks/root/disk" of a document. */
static const char *value_at(const json_t *document, const char *path)
{
    char part[96];

    for (;;) {
        const char *slash = strchr(path, '/');
        size_t length = slash ? (size_t)(slash - path) : strlen(path);

        snprintf(part, sizeof(part), "%.*s", (int)length, path);
        if (!slash)
            return json_text(document, part);
        document = json_object_get(document, part);
        path = slash + 1;
    }
}

struct target {
    char id[UUID_SIZE];
    char kind[16];
    char state[STATE_SIZE];
};

static bool take_target(void *context, const struct db_object *row)
{
    struct target *target = context;
    struct text whole = {0};
    json_t *document;

    snprintf(target->id, sizeof(target->id), "%s", row->id);
    snprintf(target->state, sizeof(target->state), "%s", row->state);
    text_append(&whole, row->head, row->head_size);
    text_puts(&whole, "}");
    document = whole.failed ? NULL : json_loadb(whole.bytes, whole.size, 0, NULL);
    snprintf(target->kind, sizeof(target->kind), "%s", json_text(document, "kind"));
    json_decref(document);
    text_free(&whole);
    return false;
}

/*
 * Looks one name up. `path` is where in the document the name is, `role` what
 * the reference is kept as, `image_kind` what an image must be for.
 */
static void refer(struct referring *all, enum db_kind kind, const char *path, const char *role,
                  const char *image_kind)
{
    const char *name = value_at(all->vm->document, path);
    struct reference *reference = &all->found[all->count];
    struct target target = {.kind = ""};
    char pointer[128];
    char old_id[64] = "";
    char old_name[64];

    if (!name[0] || all->count == REFERENCES_MAX)
        return;
    snprintf(pointer, sizeof(pointer), "/%s", path);
    if (all->before && strcmp(value_at(all->before, path), name) == 0)
        db_reference_get(all->db, all->vm->id, role, old_id, old_name);
    if (db_object_get(all->db, kind, "", old_id[0] ? old_id : name, take_target, &target) !=
        DB_OK) {
        api_problem_point(all->problem, pointer, "there is no %s %s", db_kind_name(kind), name);
        return;
    }
    if (strcmp(target.state, "deleting") == 0 || strcmp(target.state, "failed") == 0) {
        api_problem_point(all->problem, pointer, "the %s %s is %s", db_kind_name(kind), name,
                          target.state);
        return;
    }
    if (image_kind && strcmp(image_kind, target.kind) != 0) {
        api_problem_point(all->problem, pointer, "the image %s is of kind %s, not %s", name,
                          target.kind, image_kind);
        return;
    }
    snprintf(reference->role, sizeof(reference->role), "%s", role);
    snprintf(reference->id, sizeof(reference->id), "%s", target.id);
    reference->exclusive = kind == DB_DISK;
    all->count++;
}

static void refer_devices(struct referring *all)
{
    const json_t *document = all->vm->document;
    char path[ROLE_SIZE + 16];
    char role[ROLE_SIZE];
    const char *name;
    json_t *device;

    json_object_foreach(json_object_get(document, "disks"), name, device)
    {
        bool cdrom = json_is_true(json_object_get(device, "cdrom"));

        snprintf(role, sizeof(role), "disks/%s", name);
        snprintf(path, sizeof(path), "%s/%s", role, cdrom ? "image" : "disk");
        refer(all, cdrom ? DB_IMAGE : DB_DISK, path, role, cdrom ? "cdrom" : NULL);
    }
    json_object_foreach(json_object_get(document, "nics"), name, device)
    {
        snprintf(role, sizeof(role), "nics/%s", name);
        snprintf(path, sizeof(path), "%s/network", role);
        refer(all, DB_NETWORK, path, role, NULL);
    }
}

struct holder {
    const char *not_this;
    char id[UUID_SIZE];
    char name[NAME_SIZE];
};

static bool take_holder(void *context, const char *id, const char *kind, const char *name)
{
    struct holder *holder = context;

    if (strcmp(kind, "vm") != 0 || strcmp(id, holder->not_this) == 0)
        return true;
    snprintf(holder->id, sizeof(holder->id), "%s", id);
    snprintf(holder->name, sizeof(holder->name), "%s", name);
    return false;
}

static bool refuse_taken(struct referring *all, const struct reference *reference)
{
    struct holder holder = {.not_this = all->vm->id};
    char pointer[ROLE_SIZE + 16];

    db_reference_users(all->db, reference->id, take_holder, &holder);
    snprintf(pointer, sizeof(pointer), "/%s/disk", reference->role);
    api_problem_set(all->problem, API_PROBLEM_IN_USE,
                    "The disk belongs to the VM %s. A disk has one VM.", holder.name);
    api_problem_point(all->problem, pointer, "belongs to the VM %s", holder.name);
    snprintf(all->problem->holder, sizeof(all->problem->holder), "%s", holder.id);
    return false;
}

static bool fail(struct referring *all, enum db_result result)
{
    object_problem(all->problem, result == DB_EXISTS ? DB_FAILED : result, DB_VM, all->vm->name,
                   db_message(all->db));
    return false;
}

static bool write_references(struct referring *all)
{
    enum db_result result = db_reference_clear(all->db, all->vm->id);

    for (size_t i = 0; result == DB_OK && i < all->count; i++) {
        const struct reference *one = &all->found[i];

        result = db_reference_add(all->db, all->vm->id, one->role, one->id, one->exclusive);
        if (result == DB_EXISTS)
            return refuse_taken(all, one);
    }
    return result == DB_OK || fail(all, result);
}

static bool write_macs(struct referring *all)
{
    enum db_result result = db_mac_clear(all->db, all->vm->id);
    char pointer[96];
    const char *name;
    json_t *nic;

    json_object_foreach(json_object_get(all->vm->document, "nics"), name, nic)
    {
        const char *mac = json_text(nic, "mac");

        if (result == DB_OK)
            result = db_mac_add(all->db, all->vm->id, mac);
        if (result == DB_EXISTS) {
            snprintf(pointer, sizeof(pointer), "/nics/%s/mac", name);
            api_problem_set(all->problem, API_PROBLEM_IN_USE, "The address %s is taken.", mac);
            api_problem_point(all->problem, pointer, "another NIC of this host has it");
            return false;
        }
    }
    return result == DB_OK || fail(all, result);
}

bool vm_spec_refer(struct db *db, const struct object *vm, const json_t *before,
                   struct api_problem *problem)
{
    struct referring *all = calloc(1, sizeof(*all));
    bool done = false;

    if (!all)
        return false;
    *all = (struct referring){.db = db, .vm = vm, .before = before, .problem = problem};
    refer(all, DB_IMAGE, "boot/kernel", "boot/kernel", "kernel");
    refer(all, DB_IMAGE, "boot/initrd", "boot/initrd", "initrd");
    refer_devices(all);
    if (problem->errors)
        problem->type = API_PROBLEM_INVALID_FIELDS;
    else
        done = write_references(all) && write_macs(all) &&
               (object_write_tags(db, vm) || fail(all, DB_FAILED));
    free(all);
    return done;
}
