/* SPDX-License-Identifier: MIT */
/* VMs are made, changed and deleted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmtd/snapshot.h"
#include "mgmtd/vm_config.h"
#include "mgmtd/vm_live.h"
#include "mgmtd/vm_plan.h"
#include "mgmtd/vm_spec.h"
#include "mgmtd/vms.h"
#include "mgmtd/worker.h"

static void put(struct change *change)
{
    vms_put(change->daemon->vms, &change->object);
}

bool vm_plan_create(struct change *change)
{
    struct object *object = &change->object;

    if (!vm_spec_complete(change->body, &change->problem))
        return false;
    snprintf(object->state, sizeof(object->state), "stopped");
    object->tail = vm_first_tail();
    change->committed = put;
    return object->tail && change_insert(change) &&
           vm_spec_refer(change->db, object, NULL, &change->problem);
}

static bool is_active(struct change *change)
{
    struct vm_view view;

    return (vms_get(change->daemon->vms, change->object.id, &view) &&
            VM_STATE_BIT(view.state) & VM_STATES_ACTIVE) ||
           operations_busy(change->daemon->operations, change->object.id);
}

/* After a change of a running VM: what of it waits for the next start. */
static void put_pending(struct change *change)
{
    put(change);
    vms_set_pending(change->daemon->vms, change->object.id, change->pending);
}

static unsigned pending_of(const json_t *before, const json_t *after)
{
    return (json_differs(before, after, "name") ? (unsigned)VM_PENDING_NAME : 0) |
           (json_differs(before, after, "cloud_init") ? (unsigned)VM_PENDING_CLOUD_INIT : 0);
}

bool vm_plan_update(struct change *change)
{
    struct object *object = &change->object;
    json_t *before = json_deep_copy(object->document);
    bool active = is_active(change);
    bool done;

    json_merge(object->document, change->body);
    done = vm_spec_complete(object->document, &change->problem) &&
           (!active || vm_live_allowed(before, object->document, &change->problem));
    change->deferred = active && done && vm_live_needed(before, object->document);
    if (change->deferred)
        change->arguments = json_pack("{s:O, s:O}", "before", before, "after", object->document);
    done = done && vm_spec_refer(change->db, object, before, &change->problem) &&
           change_update(change);
    change->committed = put_pending;
    change->pending = active && done ? pending_of(before, object->document) : 0;
    json_decref(before);
    return done;
}

bool vm_run_update(struct operation *operation)
{
    const json_t *before = json_object_get(operation->arguments, "before");
    const json_t *after = json_object_get(operation->arguments, "after");
    struct db *db = store_reader(operation->daemon->store);
    struct vm_view view;
    struct object vm;
    bool done;

    if (!vms_get(operation->daemon->vms, operation->object_id, &view) ||
        !(VM_STATE_BIT(view.state) & VM_STATES_ACTIVE))
        return true; /* it takes effect at the next start */
    if (!db || object_load(&vm, db, DB_VM, "", operation->object_id) != DB_OK)
        return operation_fail(operation, API_PROBLEM_NOT_FOUND, "The VM is gone.");
    done = vm_live_apply(operation, &vm, before, after);
    object_release(&vm);
    return done;
}

/* The worker refused: the document goes back to what is true. */
bool vm_finish_update(struct operation *operation, struct db *db, struct journal *journal,
                      bool succeeded)
{
    struct api_problem ignored = {.type = API_PROBLEM_NONE};
    struct object vm;
    bool done = true;

    if (succeeded || object_load(&vm, db, DB_VM, "", operation->object_id) != DB_OK)
        return true;
    json_decref(vm.document);
    vm.document = json_deep_copy(json_object_get(operation->arguments, "before"));
    vm.sequence = journal->sequence;
    journal->mark[DB_VM] = journal->sequence;
    done = vm_spec_refer(db, &vm, NULL, &ignored) && object_save(&vm, db, time_now()) == DB_OK;
    if (done)
        vms_put(operation->daemon->vms, &vm);
    json_decref(ignored.errors);
    object_release(&vm);
    return done;
}

/* --- Deleting --- */

bool vm_plan_delete(struct change *change)
{
    struct vm_view view;

    if (!vms_get(change->daemon->vms, change->object.id, &view) ||
        !(VM_STATE_BIT(view.state) & VM_STATES_ACTIVE))
        return true;
    api_problem_set(&change->problem, API_PROBLEM_WRONG_STATE,
                    "The VM %s is %s. Shut it down or power it off first.", change->object.name,
                    vm_state_name(view.state));
    return false;
}

bool vm_run_delete(struct operation *operation)
{
    struct vm_view view;

    if (vms_get(operation->daemon->vms, operation->object_id, &view) &&
        VM_STATE_BIT(view.state) & VM_STATES_ACTIVE)
        return operation_fail(operation, API_PROBLEM_WRONG_STATE, "The VM was started meanwhile.");
    return snapshots_remove_files(operation);
}

bool vm_finish_delete(struct operation *operation, struct db *db, struct journal *journal,
                      bool succeeded)
{
    enum db_result result;
    char path[PATH_SIZE];

    if (!succeeded)
        return true;
    result = snapshots_delete_rows(db, journal, operation->object_id);
    if (result == DB_OK)
        result = db_object_delete(db, operation->object_id, journal->sequence);
    if (result != DB_OK && result != DB_NOT_FOUND) {
        object_problem(&operation->problem, result, DB_VM, operation->object_name, db_message(db));
        return false;
    }
    vms_remove(operation->daemon->vms, operation->object_id);
    worker_forget(operation->daemon, operation->object_id);
    if (path_join(path, operation->daemon->options.state, "consoles/%s", operation->object_id))
        console_remove(path);
    return true;
}
