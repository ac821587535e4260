/* SPDX-License-Identifier: MIT */
/* Requests of the API are handed to the part that answers them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmtd/backend.h"
#include "mgmtd/cancel.h"
#include "mgmtd/host.h"
#include "mgmtd/image.h"
#include "mgmtd/operation.h"
#include "mgmtd/pki.h"
#include "mgmtd/reply.h"
#include "mgmtd/trust.h"
#include "mgmtd/vms.h"

static void refuse(struct api_request *request, enum api_problem_type type, const char *detail)
{
    struct api_problem problem = {.type = API_PROBLEM_NONE};

    api_problem_set(&problem, type, "%s", detail);
    api_refuse(request, &problem);
}

static void answer_bytes(struct api_request *request, char *bytes, const char *etag,
                         uint64_t sequence)
{
    struct api_answer answer = {.status = 200, .bytes = bytes, .sequence = sequence};

    if (!bytes) {
        refuse(request, API_PROBLEM_UNAVAILABLE, "The host has no memory left.");
        return;
    }
    answer.size = strlen(bytes);
    snprintf(answer.etag, sizeof(answer.etag), "%s", etag);
    api_answer(request, &answer);
}

/* --- Authorities --- */

static void add_authority(void *context, const char *role, const char *certificate,
                          const char *fingerprint, int64_t not_after)
{
    json_t *items = context;
    char time[TIME_SIZE];

    if (strcmp(role, "ca") != 0)
        return;
    time_format(not_after, time);
    json_array_append_new(items, json_pack("{s:s, s:s, s:s}", "certificate", certificate,
                                           "fingerprint", fingerprint, "not_after", time));
}

static void answer_authorities(struct daemon *daemon, struct api_request *request)
{
    json_t *items = json_array();
    json_t *document = json_pack("{s:o}", "items", items);

    pki_visit(daemon->pki, add_authority, items);
    answer_bytes(request, json_dumps(document, JSON_COMPACT), "", 0);
    json_decref(document);
}

/* --- Hosts --- */

static bool names_this_host(struct daemon *daemon, const char *reference)
{
    struct db *db = store_reader(daemon->store);
    struct object host;
    bool same;

    if (strcmp(reference, "self") == 0 || strcmp(reference, daemon->host_id) == 0)
        return true;
    same = db && object_load(&host, db, DB_HOST, "", reference) == DB_OK;
    if (same)
        object_release(&host);
    return same;
}

static void answer_host(struct daemon *daemon, struct api_request *request)
{
    char etag[API_ETAG_SIZE];

    if (!names_this_host(daemon, request->object)) {
        refuse(request, API_PROBLEM_NOT_FOUND, "There is no such host. This one is called self.");
        return;
    }
    object_etag(daemon->host_id, 1, etag);
    answer_bytes(request, host_document(daemon), etag, (uint64_t)time_now());
}

/* --- Snapshots: below their VM --- */

static void answer_snapshot(struct daemon *daemon, struct api_request *request)
{
    struct db *db = store_reader(daemon->store);
    struct api_problem problem = {.type = API_PROBLEM_NONE};
    struct object vm;
    enum db_result result = db ? object_load(&vm, db, DB_VM, "", request->object) : DB_FAILED;

    if (result != DB_OK) {
        object_problem(&problem, result, DB_VM, request->object, db ? db_message(db) : "");
        api_refuse(request, &problem);
        return;
    }
    reply_object(daemon, request, DB_SNAPSHOT, vm.id, request->child);
    object_release(&vm);
}

static bool answer_read(struct daemon *daemon, struct api_request *request)
{
    switch (request->route) {
    case API_CA_GET:
        answer_authorities(daemon, request);
        return true;
    case API_HOST_GET:
        answer_host(daemon, request);
        return true;
    case API_SNAPSHOT_GET:
        answer_snapshot(daemon, request);
        return true;
    case API_OPERATION_GET:
        operations_await(daemon->operations, request, request->object, false);
        return true;
    case API_OPERATION_CANCEL:
        cancel_submit(daemon, request);
        return true;
    case API_VM_GET:
        reply_object(daemon, request, DB_VM, "", request->object);
        return true;
    case API_DISK_GET:
        reply_object(daemon, request, DB_DISK, "", request->object);
        return true;
    case API_IMAGE_GET:
        reply_object(daemon, request, DB_IMAGE, "", request->object);
        return true;
    case API_NETWORK_GET:
        reply_object(daemon, request, DB_NETWORK, "", request->object);
        return true;
    case API_USER_GET:
        reply_object(daemon, request, DB_USER, "", request->object);
        return true;
    case API_TOKEN_GET:
        reply_object(daemon, request, DB_TOKEN, "", request->object);
        return true;
    default:
        return false;
    }
}

static void handle(void *context, struct api_request *request)
{
    struct daemon *daemon = context;
    const struct mutation *mutation;

    if (answer_read(daemon, request))
        return;
    mutation = mutation_of_route(request->route);
    if (!mutation) {
        refuse(request, API_PROBLEM_NO_SUCH_ROUTE, "The daemon does not know this route.");
        return;
    }
    if (mutation->kind == DB_HOST && names_this_host(daemon, request->object))
        request->object = daemon->host_id;
    change_submit(daemon, mutation, request);
}

/* --- Consoles --- */

static bool console_find(void *context, const struct api_request *request, char uuid[API_UUID_SIZE],
                         struct api_problem *problem)
{
    struct daemon *daemon = context;
    struct db *db = store_reader(daemon->store);
    struct object vm;
    enum db_result result = db ? object_load(&vm, db, DB_VM, "", request->object) : DB_FAILED;

    if (result != DB_OK) {
        object_problem(problem, result, DB_VM, request->object, db ? db_message(db) : "");
        return false;
    }
    snprintf(uuid, API_UUID_SIZE, "%s", vm.id);
    object_release(&vm);
    if (!request->caller.vm[0] || strcmp(request->caller.vm, uuid) == 0)
        return true;
    api_problem_set(problem, API_PROBLEM_FORBIDDEN, "The token is for another VM.");
    return false;
}

static ssize_t read_console(void *context, const char *uuid, uint64_t offset, char *buffer,
                            size_t size, struct api_console_span *span)
{
    struct daemon *daemon = context;
    struct console_span here = {0};
    ssize_t got = vms_console_read(daemon->vms, uuid, offset, buffer, size, &here);

    *span = (struct api_console_span){here.oldest, here.end, here.first};
    return got;
}

static bool write_console(void *context, const char *uuid, const char *bytes, size_t size,
                          struct api_problem *problem)
{
    struct daemon *daemon = context;

    if (vms_console_write(daemon->vms, uuid, bytes, size))
        return true;
    api_problem_set(problem, API_PROBLEM_WRONG_STATE,
                    "The VM does not run, or its guest does not read what is typed.");
    return false;
}

void backend_fill(struct daemon *daemon, struct api_backend *backend)
{
    *backend = (struct api_backend){
        .context = daemon,
        .version = BULKHEAD_VERSION,
        .authenticate_token = trust_token,
        .authenticate_certificate = trust_certificate,
        .authenticate_peer = trust_peer,
        .caller_valid = trust_valid,
        .collection_version = lists_version,
        .list = lists_objects,
        .events_read = lists_events,
        .handle = handle,
        .upload_begin = image_upload_begin,
        .upload_write = image_upload_write,
        .upload_finish = image_upload_finish,
        .upload_abort = image_upload_abort,
        .console_find = console_find,
        .console_read = read_console,
        .console_write = write_console,
        .metrics = metrics_write,
        .health = host_health,
    };
}
