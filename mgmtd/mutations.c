/* SPDX-License-Identifier: MIT */
/* The table of mutations: what each changing route of the contract does. */
#include <string.h>

#include "mgmtd/disk.h"
#include "mgmtd/host.h"
#include "mgmtd/image.h"
#include "mgmtd/network.h"
#include "mgmtd/snapshot.h"
#include "mgmtd/trust.h"
#include "mgmtd/vm_plan.h"

/* The row of what was deleted goes with the operation's end. */
static bool finish_delete(struct operation *operation, struct db *db, struct journal *journal,
                          bool succeeded)
{
    enum db_result result = DB_OK;

    if (succeeded)
        result = db_object_delete(db, operation->result, journal->sequence);
    if (result == DB_OK || result == DB_NOT_FOUND)
        return true;
    object_problem(&operation->problem, result, operation->mutation->kind, operation->object_name,
                   db_message(db));
    return false;
}

/* VMs' states are told in events by the table of VMs, so their runs name no event. */
static const struct mutation mutations[] = {
    {API_VM_CREATE, "vm.create", "vm.created", DB_VM, MUTATION_CREATES, vm_plan_create, NULL, NULL},
    {API_VM_UPDATE, "vm.update", "vm.updated", DB_VM, MUTATION_MERGES, vm_plan_update,
     vm_run_update, vm_finish_update},
    {API_VM_DELETE, "vm.delete", "vm.deleted", DB_VM, MUTATION_DELETES, vm_plan_delete,
     vm_run_delete, vm_finish_delete},
    {API_VM_START, "vm.start", NULL, DB_VM, 0, vm_plan_start, vm_run_start, NULL},
    {API_VM_SHUTDOWN, "vm.shutdown", NULL, DB_VM, 0, vm_plan_shutdown, vm_run_shutdown, NULL},
    {API_VM_POWEROFF, "vm.poweroff", NULL, DB_VM, MUTATION_CANCELS, vm_plan_any, vm_run_poweroff,
     NULL},
    {API_VM_RESET, "vm.reset", "vm.reset", DB_VM, 0, vm_plan_any, vm_run_reset, NULL},
    {API_VM_PAUSE, "vm.pause", NULL, DB_VM, 0, vm_plan_any, vm_run_pause, NULL},
    {API_VM_RESUME, "vm.resume", NULL, DB_VM, 0, vm_plan_any, vm_run_resume, NULL},
    {API_VM_CLONE, "vm.clone", "vm.cloned", DB_VM, MUTATION_CREATES | MUTATION_OF_VM, clone_plan,
     clone_run, clone_finish},

    {API_SNAPSHOT_CREATE, "snapshot.create", "snapshot.created", DB_SNAPSHOT,
     MUTATION_CREATES | MUTATION_OF_VM, snapshot_plan_create, snapshot_run_create,
     snapshot_finish_create},
    {API_SNAPSHOT_REVERT, "snapshot.revert", "snapshot.reverted", DB_VM,
     MUTATION_OF_VM | MUTATION_CHILD, snapshot_plan_revert, snapshot_run_revert, NULL},
    {API_SNAPSHOT_DELETE, "snapshot.delete", "snapshot.deleted", DB_SNAPSHOT,
     MUTATION_DELETES | MUTATION_OF_VM | MUTATION_CHILD, snapshot_plan_delete, snapshot_run_delete,
     finish_delete},

    {API_DISK_CREATE, "disk.create", "disk.created", DB_DISK, MUTATION_CREATES, disk_plan_create,
     disk_run_create, disk_finish_create},
    {API_DISK_UPDATE, "disk.update", "disk.updated", DB_DISK, MUTATION_MERGES, disk_plan_update,
     disk_run_update, disk_finish_update},
    {API_DISK_DELETE, "disk.delete", "disk.deleted", DB_DISK, MUTATION_DELETES, disk_plan_delete,
     disk_run_delete, finish_delete},

    {API_IMAGE_CREATE, "image.create", "image.created", DB_IMAGE, MUTATION_CREATES,
     image_plan_create, NULL, NULL},
    {API_IMAGE_UPDATE, "image.update", "image.updated", DB_IMAGE, MUTATION_MERGES,
     image_plan_update, NULL, NULL},
    {API_IMAGE_UPLOAD, "image.upload", "image.uploaded", DB_IMAGE, 0, image_plan_upload,
     image_run_upload, image_finish_upload},
    {API_IMAGE_DELETE, "image.delete", "image.deleted", DB_IMAGE, MUTATION_DELETES,
     image_plan_delete, image_run_delete, finish_delete},

    {API_NETWORK_CREATE, "network.create", "network.created", DB_NETWORK, MUTATION_CREATES,
     network_plan_create, network_run_make, network_finish_make},
    {API_NETWORK_UPDATE, "network.update", "network.updated", DB_NETWORK, MUTATION_MERGES,
     network_plan_update, network_run_make, network_finish_make},
    {API_NETWORK_DELETE, "network.delete", "network.deleted", DB_NETWORK, MUTATION_DELETES,
     network_plan_delete, network_run_delete, finish_delete},

    {API_USER_CREATE, "user.create", "user.created", DB_USER, MUTATION_CREATES, user_plan_create,
     NULL, NULL},
    {API_USER_UPDATE, "user.update", "user.updated", DB_USER, MUTATION_MERGES, user_plan_update,
     NULL, NULL},
    {API_USER_DELETE, "user.delete", "user.deleted", DB_USER, MUTATION_DELETES, user_plan_delete,
     NULL, NULL},
    {API_CERTIFICATE_CREATE, "certificate.create", "certificate.created", DB_USER, MUTATION_ISSUES,
     certificate_plan_create, NULL, NULL},
    {API_TOKEN_CREATE, "token.create", "token.created", DB_TOKEN, MUTATION_CREATES,
     token_plan_create, NULL, NULL},
    {API_TOKEN_DELETE, "token.delete", "token.deleted", DB_TOKEN, MUTATION_DELETES,
     token_plan_delete, NULL, NULL},
    {API_HOST_ROTATE_CA, "host.rotate-ca", "host.ca_rotated", DB_HOST, 0, host_plan_rotate,
     host_run_rotate, NULL},
};

#define MUTATION_COUNT (sizeof(mutations) / sizeof(mutations[0]))

const struct mutation *mutation_of_route(enum api_route route)
{
    for (size_t i = 0; i < MUTATION_COUNT; i++)
        if (mutations[i].route == route)
            return &mutations[i];
    return NULL;
}

const struct mutation *mutation_of_action(const char *action)
{
    for (size_t i = 0; i < MUTATION_COUNT; i++)
        if (strcmp(mutations[i].action, action) == 0)
            return &mutations[i];
    return NULL;
}
