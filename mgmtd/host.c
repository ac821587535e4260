/* SPDX-License-Identifier: MIT */
/* This host: its row has its uuid and name; its status is made when it is asked for. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/log.h"
#include "mgmtd/command.h"
#include "mgmtd/host.h"
#include "mgmtd/link.h"
#include "mgmtd/pki.h"
#include "mgmtd/vms.h"

#define STORAGE_LEAST (64ll * 1024 * 1024) /* bytes free for the daemon to be ready */
#define DAY_MS        86400000ll
#define BHSTAT_MS     3000

/* --- The row --- */

/* The host's name in the form of the API's names. */
static void host_name(char name[NAME_SIZE])
{
    char raw[NAME_SIZE] = "";
    size_t used = 0;

    gethostname(raw, sizeof(raw) - 1);
    for (const char *c = raw; *c && used < NAME_SIZE - 1; c++) {
        char lower = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);

        if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ||
            (used > 0 && (lower == '-' || lower == '.')))
            name[used++] = lower;
    }
    while (used > 0 && (name[used - 1] == '-' || name[used - 1] == '.'))
        used--;
    name[used] = '\0';
    if (used == 0)
        snprintf(name, NAME_SIZE, "host");
}

static bool take_id(void *context, const struct db_object *row)
{
    snprintf(context, UUID_SIZE, "%s", row->id);
    return false;
}

struct opening {
    struct daemon *daemon;
    enum db_result result;
};

static enum db_result insert_host(struct daemon *daemon, struct db *db, struct journal *journal)
{
    struct object host = {.kind = DB_HOST, .revision = 1, .tail = strdup("")};
    struct journal_event event = {.class = "lifecycle",
                                  .type = "host.created",
                                  .kind = DB_HOST,
                                  .id = host.id,
                                  .name = host.name,
                                  .actor = "system"};
    char now[TIME_SIZE];
    enum db_result result;

    time_format(time_now(), now);
    uuid_make(host.id);
    host_name(host.name);
    snprintf(daemon->host_id, UUID_SIZE, "%s", host.id);
    host.document = json_pack("{s:s, s:s, s:i, s:s, s:s}", "uuid", host.id, "name", host.name,
                              "revision", 1, "created_at", now, "updated_at", now);
    result = journal_append(journal, db, &event);
    host.sequence = journal->sequence;
    if (result == DB_OK)
        result = object_insert(&host, db);
    object_release(&host);
    return result;
}

static bool open_job(void *context, struct db *db, struct journal *journal)
{
    struct opening *opening = context;
    struct daemon *daemon = opening->daemon;

    opening->result = db_object_each(db, DB_HOST, take_id, daemon->host_id);
    if (opening->result == DB_OK && !daemon->host_id[0])
        opening->result = insert_host(daemon, db, journal);
    return opening->result == DB_OK;
}

/*
 * Which hypervisor the host runs under. Only the driver's library may ask it, so bhstat, which has
 * it, is asked. It stays the same while the host is up; without bhstat or hypervisor it is empty.
 */
static void learn_hypervisor(struct daemon *daemon)
{
    const char *const arguments[] = {"bhstat", "--json", NULL};
    char *output = malloc(COMMAND_OUTPUT);
    struct command command = {.arguments = arguments, .timeout_ms = BHSTAT_MS, .output = output};
    char problem[256];
    json_t *all = NULL;

    if (output && command_run(&command, problem, sizeof(problem)))
        all = json_loads(output, 0, NULL);
    snprintf(daemon->hypervisor, sizeof(daemon->hypervisor), "%s",
             json_text(json_object_get(all, "hypervisor"), "release"));
    json_decref(all);
    free(output);
}

bool host_open(struct daemon *daemon, char *message, size_t size)
{
    struct opening opening = {.daemon = daemon};
    enum db_result result = store_call(daemon->store, open_job, &opening, message, size);

    learn_hypervisor(daemon);
    if (result == DB_OK && opening.result != DB_OK)
        snprintf(message, size, "cannot read the host's row: %s", db_result_name(opening.result));
    return result == DB_OK && opening.result == DB_OK;
}

/* --- Its status --- */

void host_capacity(struct daemon *daemon, struct host_capacity *capacity)
{
    struct vms_commitment commitment;
    struct statvfs storage;
    struct sysinfo host;

    *capacity = (struct host_capacity){.processors = get_nprocs()};
    vms_committed(daemon->vms, &commitment);
    if (sysinfo(&host) == 0)
        capacity->memory_total = (int64_t)host.totalram * host.mem_unit;
    capacity->memory_free =
        capacity->memory_total - daemon->options.memory_reserve - commitment.memory;
    if (capacity->memory_free < 0)
        capacity->memory_free = 0;
    if (statvfs(daemon->options.state, &storage) == 0) {
        capacity->storage_total = (int64_t)storage.f_blocks * (int64_t)storage.f_frsize;
        capacity->storage_free = (int64_t)storage.f_bavail * (int64_t)storage.f_frsize;
    }
}

struct earliest {
    int64_t not_after;
};

static void find_earliest(void *context, const char *role, const char *certificate,
                          const char *fingerprint, int64_t not_after)
{
    struct earliest *earliest = context;

    (void)certificate;
    (void)fingerprint;
    if (strcmp(role, "server") == 0)
        earliest->not_after = not_after;
}

void host_health(void *context, api_check_function *check, void *sink)
{
    struct daemon *daemon = context;
    struct host_capacity capacity;
    struct earliest earliest = {0};
    char detail[600];
    bool ok = store_healthy(daemon->store, detail, sizeof(detail));

    check(sink, "database", ok, detail);
    host_capacity(daemon, &capacity);
    ok = capacity.storage_free >= STORAGE_LEAST;
    snprintf(detail, sizeof(detail), "%lld bytes free below the state directory",
             (long long)capacity.storage_free);
    check(sink, "storage", ok, detail);
    pki_visit(daemon->pki, find_earliest, &earliest);
    ok = earliest.not_after > time_now() + DAY_MS;
    check(sink, "certificate", ok, ok ? "valid" : "expires within a day");
    ok = access(daemon->options.worker, X_OK) == 0;
    snprintf(detail, sizeof(detail), "%s %s", daemon->options.worker,
             ok ? "can be run" : "cannot be run; install it, or name it with --worker");
    check(sink, "worker", ok, detail);
}

static void add_check(void *sink, const char *name, bool ok, const char *detail)
{
    json_t *checks = sink;

    json_array_append_new(checks,
                          json_pack("{s:s, s:b, s:s}", "name", name, "ok", ok, "detail", detail));
}

static void add_certificate(void *context, const char *role, const char *certificate,
                            const char *fingerprint, int64_t not_after)
{
    json_t *certificates = context;
    char time[TIME_SIZE];

    (void)certificate;
    time_format(not_after, time);
    json_array_append_new(certificates, json_pack("{s:s, s:s, s:s}", "role", role, "fingerprint",
                                                  fingerprint, "not_after", time));
}

static bool all_ok(const json_t *checks)
{
    const json_t *check;
    size_t index;

    json_array_foreach(checks, index, check)
    {
        if (!json_is_true(json_object_get(check, "ok")))
            return false;
    }
    return true;
}

static json_t *make_status(struct daemon *daemon)
{
    struct vms_commitment commitment;
    struct host_capacity capacity;
    struct utsname kernel;
    json_t *checks = json_array();
    json_t *certificates = json_array();
    char now[TIME_SIZE];

    time_format(time_now(), now);
    uname(&kernel);
    vms_committed(daemon->vms, &commitment);
    host_capacity(daemon, &capacity);
    host_health(daemon, add_check, checks);
    pki_visit(daemon->pki, add_certificate, certificates);
    return json_pack(
        "{s:s, s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "state",
        all_ok(checks) ? "ready" : "degraded", "observed_at", now, "hypervisor",
        daemon->hypervisor[0] ? json_string(daemon->hypervisor) : json_null(), "kernel",
        kernel.release, "processors", (json_int_t)capacity.processors, "processors_committed",
        (json_int_t)commitment.processors, "memory_total", (json_int_t)capacity.memory_total,
        "memory_committed", (json_int_t)commitment.memory, "memory_free",
        (json_int_t)capacity.memory_free, "storage_total", (json_int_t)capacity.storage_total,
        "storage_free", (json_int_t)capacity.storage_free, "vms_running",
        (json_int_t)commitment.active, "vms_total", (json_int_t)commitment.total, "checks", checks,
        "certificates", certificates);
}

char *host_document(struct daemon *daemon)
{
    struct db *db = store_reader(daemon->store);
    struct object host;
    char *bytes = NULL;

    if (!db || object_load(&host, db, DB_HOST, "", daemon->host_id) != DB_OK)
        return NULL;
    json_object_set_new(host.document, "version", json_string(BULKHEAD_VERSION));
    json_object_set_new(host.document, "sequence", json_integer(host.sequence));
    json_object_set_new(host.document, "status", make_status(daemon));
    bytes = json_dumps(host.document, JSON_COMPACT);
    object_release(&host);
    return bytes;
}

/* --- Rotation --- */

void host_use_certificate(struct daemon *daemon)
{
    char *chain = pki_server_chain(daemon->pki);
    char *key = pki_server_key(daemon->pki);

    if (chain && key && !link_use_certificate(daemon, chain, key))
        log_write(LOG_LEVEL_ERROR, "the server refused its new certificate", NULL);
    free(chain);
    if (key)
        OPENSSL_cleanse(key, strlen(key));
    free(key);
}

bool host_plan_rotate(struct change *change)
{
    if (change->dry_run)
        change->document = host_document(change->daemon);
    return true;
}

bool host_run_rotate(struct operation *operation)
{
    char message[400] = "";

    if (!pki_rotate(operation->daemon->pki, message, sizeof(message)))
        return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "%s", message);
    host_use_certificate(operation->daemon);
    return true;
}
