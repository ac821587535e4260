/* SPDX-License-Identifier: MIT */
#include "parent/worker/disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/control/export.h"
#include "parent/control/nbd_uri.h"
#include "parent/control/open.h"
#include "vsp/storage/controller.h"
#include "vsp/storage/file.h"
#include "vsp/storage/nbd.h"

struct bh_disks {
    char vm[sizeof(((struct bh_vm_config *)0)->id)];
    struct bh_vmbus *vmbus;
    struct bh_uring uring;
    struct bh_controller *controller;
    bool nbd; /* libnbd is loaded */
    struct bh_disks_owner owner;
    uint32_t count;
    struct bh_disk_config config[BH_CONFIG_DISKS_MAX];
};
_Static_assert(BH_CONFIG_DISKS_MAX <= BH_CONTROLLER_LUNS, "every disk has a LUN");

static bool refuse(struct bh_control_error *error, enum bh_control_error_code code,
                   const char *field, const char *id, const char *text)
{
    return bh_control_error_set(error, code, field, "Disk %s: %s", id, text);
}

static void on_failed(void *context, const char *id, const char *operation, const char *sentence)
{
    const struct bh_disks *disks = context;

    bh_vmbus_log(disks->vmbus, "%s", sentence);
    disks->owner.failed(disks->owner.context, id, operation, sentence);
}

static struct bh_disk_config *look_up(struct bh_disks *disks, const char *id)
{
    for (uint32_t i = 0; i < disks->count; i++)
        if (strcmp(disks->config[i].id, id) == 0)
            return &disks->config[i];
    return NULL;
}

static struct bh_disk_config *find(struct bh_disks *disks, const char *id,
                                   struct bh_control_error *error)
{
    struct bh_disk_config *found = look_up(disks, id);

    if (found == NULL)
        (void)refuse(error, BH_CONTROL_NOT_FOUND, "id", id, "there is none of this id.");
    return found;
}

static bool is_export(const struct bh_disk_config *config)
{
    return config->qcow2 || bh_nbd_uri_is(config->path);
}

/* On a socket that is connected to the server. */
static struct bh_store *attach_export(struct bh_disks *disks, const struct bh_disk_config *config,
                                      int fd, struct bh_control_error *error)
{
    struct bh_nbd_uri uri = {.name = ""};
    struct bh_store *store;
    struct bh_error reason;

    if (!disks->nbd) {
        (void)close(fd);
        (void)refuse(
            error, BH_CONTROL_NOT_SUPPORTED, "disk.path", config->id,
            "this worker was started without NBD: its configuration says nothing of nbd, or "
            "Debian's package libnbd0 is missing.");
        return NULL;
    }
    if (!config->qcow2 && !bh_nbd_uri_parse(config->path, &uri, error)) {
        (void)close(fd);
        return NULL;
    }
    store = bh_nbd_attach(bh_vmbus_loop(disks->vmbus), fd, uri.name, config->read_only, &reason);
    if (store == NULL)
        (void)refuse(error, BH_CONTROL_RESOURCE, NULL, config->id, reason.text);
    return store;
}

/* Takes over `fd`: the open file, or a socket to an NBD server; -1: connects to the URI itself. */
static struct bh_store *open_store(struct bh_disks *disks, const struct bh_disk_config *config,
                                   int fd, struct bh_control_error *error)
{
    bool read_only = config->read_only;
    struct bh_store *store;
    struct bh_error reason;

    if (fd >= 0 && is_export(config))
        return attach_export(disks, config, fd, error);
    store = fd >= 0 ? bh_file_open(&disks->uring, fd, read_only, &reason)
                    : bh_nbd_open(bh_vmbus_loop(disks->vmbus), config->path, read_only, &reason);
    if (store == NULL)
        (void)refuse(error, BH_CONTROL_RESOURCE, NULL, config->id, reason.text);
    return store;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static bool is_free(struct bh_disks *disks, const char *id, struct bh_control_error *error)
{
    if (look_up(disks, id) != NULL)
        return refuse(error, BH_CONTROL_ALREADY_EXISTS, "disk.id", id, "the id is taken.");
    return disks->count < BH_CONFIG_DISKS_MAX ||
           refuse(error, BH_CONTROL_RESOURCE, NULL, id, "the VM has all 64 disks it can have.");
}

/*
 * Has the descriptor of a disk kept, so that it outlives this worker. Not the connection to a
 * server: nobody could say what of it is under way.
 */
static bool keep(const struct bh_disks *disks, struct bh_disk_config *config, int fd,
                 struct bh_control_error *error)
{
    struct bh_added_places places = {{0}};
    struct bh_error reason;

    config->kept = 0;
    if (fd < 0 || is_export(config))
        return true;
    for (uint32_t i = 0; i < disks->count; i++)
        bh_added_place_take(&places, disks->config[i].kept);
    config->kept = bh_added_keep_disk(&disks->owner.added, &places, fd, &reason);
    return config->kept != 0 || refuse(error, BH_CONTROL_RESOURCE, NULL, config->id, reason.text);
}

static void write_down(const struct bh_disks *disks)
{
    disks->owner.added.write_down(disks->owner.added.context);
}

/* Takes over `fd`. */
static struct bh_disk *make(struct bh_disks *disks, const struct bh_disk_config *config, int fd,
                            struct bh_control_error *error)
{
    const struct bh_disk_options options = {.vm = disks->vm,
                                            .id = config->id,
                                            .is_cd = config->is_cd,
                                            .iops = config->iops,
                                            .bytes_per_second = config->bytes_per_second,
                                            .failed = on_failed,
                                            .context = disks};
    struct bh_store *store = NULL;
    struct bh_disk *disk;

    if (config->path[0] != '\0') {
        store = open_store(disks, config, fd, error);
        if (store == NULL)
            return NULL;
    }
    disk = bh_disk_create(bh_vmbus_loop(disks->vmbus), &options, store);
    if (disk == NULL)
        (void)refuse(error, BH_CONTROL_RESOURCE, NULL, config->id, "the worker lacks memory.");
    return disk;
}

bool bh_disks_put_in(struct bh_disks *disks, const struct bh_disk_config *config, int fd,
                     struct bh_control_error *error)
{
    struct bh_disk *disk;

    if (!is_free(disks, config->id, error)) {
        close_if_open(fd);
        return false;
    }
    disk = make(disks, config, fd, error);
    if (disk == NULL)
        return false;
    disks->config[disks->count++] = *config;
    (void)bh_controller_add(disks->controller, disk); /* there is a LUN for each */
    return true;
}

bool bh_disks_add(struct bh_disks *disks, const struct bh_disk_config *config, int fd,
                  struct bh_control_error *error)
{
    struct bh_disk_config added = *config;
    struct bh_disk *disk;

    if (!is_free(disks, config->id, error) || !keep(disks, &added, fd, error)) {
        close_if_open(fd);
        return false;
    }
    disk = make(disks, &added, fd, error);
    if (disk == NULL) {
        bh_added_forget_disk(disks->owner.added.kept, added.kept);
        return false;
    }
    disks->config[disks->count++] = added;
    write_down(disks);
    (void)bh_controller_add(disks->controller, disk);
    return true;
}

bool bh_disks_remove(struct bh_disks *disks, const char *id, struct bh_control_error *error)
{
    struct bh_disk_config *config = find(disks, id, error);
    uint32_t kept;

    if (config == NULL)
        return false;
    kept = config->kept;
    bh_controller_remove(disks->controller, bh_controller_find(disks->controller, id));
    disks->count--;
    memmove(config, config + 1, (size_t)(&disks->config[disks->count] - config) * sizeof(*config));
    write_down(disks);
    bh_added_forget_disk(disks->owner.added.kept, kept);
    return true;
}

/* The guest is to hear of it from the next worker, too, before that one knows the new medium. */
static void change_disc(struct bh_disks *disks, struct bh_disk_config *config,
                        const struct bh_disk_config *changed)
{
    uint32_t kept = config->kept;

    bh_vmbus_commit(disks->vmbus);
    *config = *changed;
    write_down(disks);
    bh_added_forget_disk(disks->owner.added.kept, kept);
}

static struct bh_disk_config *find_cd(struct bh_disks *disks, const char *id,
                                      struct bh_control_error *error)
{
    struct bh_disk_config *config = find(disks, id, error);

    if (config == NULL || config->is_cd)
        return config;
    (void)refuse(error, BH_CONTROL_INVALID_PARAMS, "id", id, "it is no CD-ROM drive.");
    return NULL;
}

bool bh_disks_insert(struct bh_disks *disks, const char *id, const char *path, int fd,
                     struct bh_control_error *error)
{
    struct bh_disk_config *config = find_cd(disks, id, error);
    struct bh_disk_config disc;
    struct bh_store *store;

    if (config == NULL) {
        close_if_open(fd);
        return false;
    }
    disc = *config;
    (void)snprintf(disc.path, sizeof(disc.path), "%s", path);
    if (!keep(disks, &disc, fd, error)) {
        close_if_open(fd);
        return false;
    }
    store = open_store(disks, &disc, fd, error);
    if (store != NULL && bh_disk_insert(bh_controller_find(disks->controller, id), store)) {
        change_disc(disks, config, &disc);
        return true;
    }
    bh_added_forget_disk(disks->owner.added.kept, disc.kept);
    return store != NULL && refuse(error, BH_CONTROL_RESOURCE, NULL, id,
                                   "the disc before is still being read; try again.");
}

bool bh_disks_eject(struct bh_disks *disks, const char *id, bool force,
                    struct bh_control_error *error)
{
    struct bh_disk_config *config = find_cd(disks, id, error);
    struct bh_disk_config empty;

    if (config == NULL)
        return false;
    if (!bh_disk_eject(bh_controller_find(disks->controller, id), force))
        return refuse(error, BH_CONTROL_RESOURCE, NULL, id,
                      "the guest has locked the tray, or still reads the disc; use force, or try "
                      "again.");
    empty = *config;
    empty.path[0] = '\0';
    empty.kept = 0;
    change_disc(disks, config, &empty);
    return true;
}

int bh_disks_ring(const struct bh_disks *disks)
{
    return disks->uring.ring.ring_fd;
}

void bh_disks_get_config(const struct bh_disks *disks, struct bh_vm_config *config)
{
    config->disk_count = disks->count;
    memcpy(config->disk, disks->config, sizeof(disks->config));
}

/* --- reports ------------------------------------------------------------------------------ */

json_t *bh_disks_status(const struct bh_disks *disks)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < disks->count; i++) {
        const struct bh_disk_config *config = &disks->config[i];
        bool has_medium = bh_disk_has_medium(bh_controller_find(disks->controller, config->id));

        json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:b, s:b}", "id", config->id,
                                               "kind", config->is_cd ? "cd" : "disk", "path",
                                               has_medium ? config->path : "", "read_only",
                                               config->read_only, "attached", 1));
    }
    return array;
}

json_t *bh_disks_stats(const struct bh_disks *disks)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < disks->count; i++) {
        const char *id = disks->config[i].id;
        const struct bh_disk_stats *stats =
            bh_disk_get_stats(bh_controller_find(disks->controller, id));

        json_array_append_new(
            array,
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "id", id, "read_ops",
                      (json_int_t)stats->read_ops, "write_ops", (json_int_t)stats->write_ops,
                      "flush_ops", (json_int_t)stats->flush_ops, "read_bytes",
                      (json_int_t)stats->read_bytes, "write_bytes", (json_int_t)stats->write_bytes,
                      "read_ns", (json_int_t)stats->read_ns, "write_ns",
                      (json_int_t)stats->write_ns, "errors", (json_int_t)stats->errors));
    }
    return array;
}

/* --- life --------------------------------------------------------------------------------- */

/* Afterwards there are no files to load it from. Who may only need it goes on without it. */
static bool load_nbd(struct bh_disks *disks, const struct bh_vm_config *config,
                     struct bh_control_error *error)
{
    bool needed = false;
    struct bh_error reason;

    for (uint32_t i = 0; i < config->disk_count; i++)
        needed = needed || is_export(&config->disk[i]);
    disks->nbd = (needed || config->nbd) && bh_nbd_load(&reason);
    return disks->nbd || !needed ||
           bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "%s", reason.text);
}

/* libnbd connects to a URI by itself: it knows more of them. */
static bool add_one(struct bh_disks *disks, const struct bh_disk_config *disk,
                    struct bh_control_error *error)
{
    bool opened = disk->path[0] != '\0' && !bh_nbd_uri_is(disk->path);
    int server = -1;
    int fd = opened ? bh_control_open_own_disk(disk, disks->owner.user, &server, error) : -1;
    bool added = (fd >= 0 || !opened) && bh_disks_put_in(disks, disk, fd, error);

    bh_export_settle(server, added);
    return added;
}

static bool add_all(struct bh_disks *disks, const struct bh_vm_config *config,
                    struct bh_control_error *error)
{
    for (uint32_t i = 0; i < config->disk_count; i++)
        if (!add_one(disks, &config->disk[i], error))
            return false;
    return true;
}

struct bh_disks *bh_disks_create(const struct bh_vm_config *config, struct bh_vmbus *vmbus,
                                 const struct bh_disks_owner *owner, struct bh_control_error *error)
{
    struct bh_disks *disks = calloc(1, sizeof(*disks));
    int result = disks != NULL ? bh_uring_open(&disks->uring, bh_vmbus_loop(vmbus)) : -1;

    if (result < 0) {
        (void)bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                                   "The worker gets no io_uring for disks: %s.", strerror(-result));
        free(disks);
        return NULL;
    }
    memcpy(disks->vm, config->id, sizeof(disks->vm));
    disks->vmbus = vmbus;
    disks->owner = *owner;
    disks->controller = bh_controller_create(vmbus, config->id);
    if (disks->controller != NULL && load_nbd(disks, config, error) &&
        add_all(disks, config, error))
        return disks;
    if (disks->controller == NULL)
        (void)bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                                   "The worker lacks memory for disks.");
    bh_disks_destroy(disks);
    return NULL;
}

void bh_disks_destroy(struct bh_disks *disks)
{
    if (disks == NULL)
        return;
    bh_controller_destroy(disks->controller);
    bh_uring_close(&disks->uring);
    free(disks);
}
