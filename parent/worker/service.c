/* SPDX-License-Identifier: MIT */
#include "parent/worker/service.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef BULKHEAD_VERSION
#error "the build names the version"
#endif

/* --- status ------------------------------------------------------------------------------- */

static void add_reason(json_t *object, const struct bh_vm_status *status)
{
    json_object_set_new(object, "reason", json_string(bh_vm_reason_name(status->reason)));
    if (status->reason == BH_REASON_DEBUG_EXIT)
        json_object_set_new(object, "exit_code", json_integer(status->exit_code));
    if (status->reason == BH_REASON_GUEST_FAULT || status->reason == BH_REASON_WORKER_ERROR)
        json_object_set_new(object, "message", json_string(status->message));
}

json_t *bh_service_state_event(const struct bh_vm_status *status)
{
    json_t *object = json_pack("{s:s}", "state", bh_vm_state_name(status->state));

    add_reason(object, status);
    return object;
}

json_t *bh_service_crash_event(const uint64_t parameters[BH_CRASH_PARAMETERS])
{
    json_t *array = json_array();

    for (unsigned i = 0; i < BH_CRASH_PARAMETERS; i++)
        json_array_append_new(array, json_sprintf("0x%llx", (unsigned long long)parameters[i]));
    return json_pack("{s:o}", "parameters", array);
}

static json_t *status_json(struct bh_service *service)
{
    const struct bh_vm_config *config = bh_vm_get_config(service->vm);
    const struct bh_vm_status *status = bh_vm_get_status(service->vm);
    json_int_t memory = (json_int_t)config->memory_bytes;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:i, s:s, s:i, s:I, s:i, s:I, s:I, s:i, s:i, s:i, s:o, s:o, "
        "s:[s], s:o}",
        "vm", config->id, "name", config->name, "state", bh_vm_state_name(status->state), "pid",
        (int)getpid(), "since", status->since, "resets", (int)status->resets, "partition_id",
        (json_int_t)status->partition_id, "vps", (int)config->vps, "memory_bytes", memory,
        "memory_target_bytes", memory, "weight", (int)config->weight, "cap_percent",
        (int)config->cap_percent, "reserve_percent", (int)config->reserve_percent, "disks",
        bh_disks_status(service->disks), "nics", bh_nics_status(service->nics), "consoles",
        "serial0", "guest", bh_guest_services_status(service->services));

    json_object_set_new(object, "restarts", json_integer(status->restarts));
    add_reason(object, status);
    return object;
}

/* --- statistics --------------------------------------------------------------------------- */

static json_t *vp_json(uint32_t index, const struct bh_vp_stats *stats)
{
    json_t *exits = json_object();

    for (unsigned i = 0; i < BH_EXIT_COUNT; i++)
        if (stats->exits[i] != 0)
            json_object_set_new(exits, bh_exit_name(i), json_integer((json_int_t)stats->exits[i]));
    return json_pack("{s:i, s:I, s:I, s:I, s:o}", "index", (int)index, "guest_ns",
                     (json_int_t)stats->time_guest * 100, "hypervisor_ns",
                     (json_int_t)stats->time_hypervisor * 100, "idle_ns",
                     (json_int_t)stats->time_halted * 100, "exits", exits);
}

static json_t *vps_json(struct bh_service *service)
{
    uint64_t partition_id = bh_vm_get_status(service->vm)->partition_id;
    uint32_t count = bh_vm_get_config(service->vm)->vps;
    json_t *vps = json_array();
    struct bh_vp_stats stats;
    struct bh_error error;

    if (service->host == NULL || partition_id == 0)
        return vps;
    for (uint32_t i = 0; i < count; i++)
        if (bh_host_vp_stats(service->host, partition_id, i, &stats, &error))
            json_array_append_new(vps, vp_json(i, &stats));
    return vps;
}

static json_t *stats_json(struct bh_service *service)
{
    struct bh_console_stats console = bh_console_get_stats(bh_vm_get_console(service->vm));
    const struct bh_vm_config *config = bh_vm_get_config(service->vm);
    struct rusage usage;
    char time[32];

    bh_control_timestamp(time);
    (void)getrusage(RUSAGE_SELF, &usage);
    return json_pack("{s:s, s:o, s:{s:I, s:I}, s:o, s:o, s:[{s:s, s:I, s:I}]}", "time", time, "vps",
                     vps_json(service), "memory", "assigned_bytes",
                     (json_int_t)config->memory_bytes, "worker_resident_bytes",
                     (json_int_t)usage.ru_maxrss * 1024, "disks", bh_disks_stats(service->disks),
                     "nics", bh_nics_stats(service->nics), "consoles", "console", "serial0",
                     "out_bytes", (json_int_t)console.out_bytes, "in_bytes",
                     (json_int_t)console.in_bytes);
}

/* --- requests ----------------------------------------------------------------------------- */

static json_t *state_json(struct bh_service *service)
{
    return json_pack("{s:s}", "state", bh_vm_state_name(bh_vm_get_status(service->vm)->state));
}

static json_t *refuse(struct bh_control_error *error, enum bh_control_error_code code,
                      const char *field, const char *text)
{
    bh_control_error_set(error, code, field, "%s", text);
    return NULL;
}

static json_t *start(struct bh_service *service, const json_t *params,
                     struct bh_control_error *error)
{
    struct bh_error reason;

    if (!bh_vm_start(service->vm, json_is_true(json_object_get(params, "paused")), &reason))
        return refuse(error, BH_CONTROL_RESOURCE, NULL, reason.text);
    return state_json(service);
}

static json_t *reset(struct bh_service *service, struct bh_control_error *error)
{
    struct bh_error reason;

    if (!bh_vm_reset(service->vm, BH_REASON_REQUESTED, &reason))
        return refuse(error, BH_CONTROL_RESOURCE, NULL, reason.text);
    return state_json(service);
}

static int64_t integer_or_minus_1(const json_t *params, const char *name)
{
    const json_t *value = json_object_get(params, name);

    return value != NULL ? json_integer_value(value) : -1;
}

static uint32_t percent_or(int64_t percent, uint32_t otherwise)
{
    return percent >= 0 ? (uint32_t)percent : otherwise;
}

static json_t *set(struct bh_service *service, const json_t *params, struct bh_control_error *error)
{
    const struct bh_vm_config *config = bh_vm_get_config(service->vm);
    const int64_t cap = integer_or_minus_1(params, "cap_percent");
    const int64_t reserve = integer_or_minus_1(params, "reserve_percent");
    struct bh_error reason;

    if (percent_or(cap, config->cap_percent) != 0 &&
        percent_or(reserve, config->reserve_percent) > percent_or(cap, config->cap_percent))
        return refuse(error, BH_CONTROL_INVALID_PARAMS, "reserve_percent",
                      "'reserve_percent' must not be above cap_percent.");
    if (json_object_get(params, "memory_target_bytes") != NULL)
        return refuse(error, BH_CONTROL_NOT_SUPPORTED, "memory_target_bytes",
                      "This guest has no balloon, which would give and take memory while it runs. "
                      "Stop the VM, change its memory, and start it.");
    if (!bh_vm_set_shares(service->vm, integer_or_minus_1(params, "weight"), cap, reserve, &reason))
        return refuse(error, BH_CONTROL_RESOURCE,
                      reason.number == ENOSPC ? "reserve_percent" : NULL, reason.text);
    return json_pack("{s:i, s:i, s:i, s:I}", "weight", (int)config->weight, "cap_percent",
                     (int)config->cap_percent, "reserve_percent", (int)config->reserve_percent,
                     "memory_target_bytes", (json_int_t)config->memory_bytes);
}

static json_t *attach(struct bh_service *service, const json_t *params, int *fd,
                      struct bh_control_error *error)
{
    const char *name = json_string_value(json_object_get(params, "console"));
    int64_t wanted = integer_or_minus_1(params, "replay_bytes");
    struct bh_console_replay replay;

    if (name != NULL && strcmp(name, "serial0") != 0)
        return refuse(error, BH_CONTROL_NOT_FOUND, "console", "This VM's console is serial0.");
    *fd =
        bh_console_attach(bh_vm_get_console(service->vm), wanted > 0 ? (size_t)wanted : 0, &replay);
    if (*fd < 0)
        return refuse(error, BH_CONTROL_RESOURCE, NULL, strerror(errno));
    return json_pack("{s:s, s:I, s:I}", "console", "serial0", "replayed_bytes",
                     (json_int_t)replay.bytes, "replay_position", (json_int_t)replay.position);
}

/* --- disks -------------------------------------------------------------------------------- */

static const char *text_of(const json_t *params, const char *name)
{
    return json_string_value(json_object_get(params, name));
}

/* The descriptor that came with the request; from now on the caller's. */
static int take_descriptor(struct bh_control_request *request)
{
    struct bh_fds fds = bh_fds_take(&request->fds);

    return bh_fds_first(&fds);
}

static bool add_disk(struct bh_service *service, struct bh_control_request *request,
                     struct bh_disk_config *disk, struct bh_control_error *error)
{
    return bh_disk_config_parse(json_object_get(request->params, "disk"), "disk", disk, error) &&
           bh_disks_add(service->disks, disk, take_descriptor(request), error);
}

static bool change_disk(struct bh_service *service, struct bh_control_request *request,
                        const char *id, struct bh_control_error *error)
{
    const json_t *params = request->params;

    switch (request->method) {
    case BH_METHOD_DISK_REMOVE:
        return bh_disks_remove(service->disks, id, error);
    case BH_METHOD_CD_INSERT:
        return bh_disks_insert(service->disks, id, text_of(params, "path"),
                               take_descriptor(request), error);
    default:
        return bh_disks_eject(service->disks, id, json_is_true(json_object_get(params, "force")),
                              error);
    }
}

static json_t *disk_request(struct bh_service *service, struct bh_control_request *request,
                            struct bh_control_error *error)
{
    const char *id = text_of(request->params, "id");
    struct bh_disk_config disk;
    bool good;

    if (request->method == BH_METHOD_DISK_ADD) {
        good = add_disk(service, request, &disk, error);
        id = disk.id;
    } else {
        good = change_disk(service, request, id, error);
    }
    return good ? json_pack("{s:s}", "id", id) : NULL;
}

/* --- network cards and services ----------------------------------------------------------- */

static bool add_nic(struct bh_service *service, struct bh_control_request *request,
                    struct bh_nic_config *nic, struct bh_control_error *error)
{
    return bh_nic_config_parse(json_object_get(request->params, "nic"), "nic", nic, error) &&
           bh_nics_add(service->nics, nic, bh_fds_take(&request->fds), error);
}

static json_t *nic_request(struct bh_service *service, struct bh_control_request *request,
                           struct bh_control_error *error)
{
    const char *id = text_of(request->params, "id");
    struct bh_nic_config nic;
    bool good;

    if (request->method == BH_METHOD_NIC_ADD) {
        good = add_nic(service, request, &nic, error);
        id = nic.id;
    } else if (request->method == BH_METHOD_NIC_REMOVE) {
        good = bh_nics_remove(service->nics, id, error);
    } else {
        good = bh_nics_set(service->nics, request->params, error);
    }
    return good ? json_pack("{s:s}", "id", id) : NULL;
}

static json_t *pause_vm(struct bh_service *service)
{
    bh_services_pause(bh_guest_services_bus(service->services));
    bh_vm_pause(service->vm);
    return state_json(service);
}

static json_t *resume_vm(struct bh_service *service)
{
    bh_vm_resume(service->vm);
    bh_services_resume(bh_guest_services_bus(service->services));
    return state_json(service);
}

static json_t *shut_down(struct bh_service *service, const json_t *params,
                         struct bh_control_error *error)
{
    const char *action = text_of(params, "action");
    const char *reason = text_of(params, "reason");

    if (!bh_services_shutdown(bh_guest_services_bus(service->services),
                              action != NULL && strcmp(action, "reboot") == 0,
                              reason != NULL ? reason : ""))
        return refuse(error, BH_CONTROL_NOT_SUPPORTED, NULL,
                      "The guest has no shutdown service, or has not started it yet. Wait until it "
                      "has booted, or use power_off.");
    bh_vm_shutting_down(service->vm, true);
    return state_json(service);
}

/* --- all ---------------------------------------------------------------------------------- */

static json_t *dispatch(struct bh_service *service, struct bh_control_request *request, int *fd,
                        struct bh_control_error *error)
{
    switch (request->method) {
    case BH_METHOD_STATUS:
        return status_json(service);
    case BH_METHOD_STATS:
        return stats_json(service);
    case BH_METHOD_START:
        return start(service, request->params, error);
    case BH_METHOD_PAUSE:
        return pause_vm(service);
    case BH_METHOD_RESUME:
        return resume_vm(service);
    case BH_METHOD_RESET:
        return reset(service, error);
    case BH_METHOD_POWER_OFF:
        bh_vm_power_off(service->vm, BH_REASON_REQUESTED);
        return state_json(service);
    case BH_METHOD_SHUTDOWN:
        return shut_down(service, request->params, error);
    case BH_METHOD_NIC_ADD:
    case BH_METHOD_NIC_REMOVE:
    case BH_METHOD_NIC_SET:
        return nic_request(service, request, error);
    case BH_METHOD_SET:
        return set(service, request->params, error);
    case BH_METHOD_DISK_ADD:
    case BH_METHOD_DISK_REMOVE:
    case BH_METHOD_CD_INSERT:
    case BH_METHOD_CD_EJECT:
        return disk_request(service, request, error);
    case BH_METHOD_CONSOLE_ATTACH:
        return attach(service, request->params, fd, error);
    default:
        return refuse(error, BH_CONTROL_NOT_SUPPORTED, NULL,
                      "This VM has no such service: no provider of it runs in its worker.");
    }
}

/* Those that add and remove say themselves when (added.h). */
static bool changes_config(enum bh_control_method method)
{
    return method == BH_METHOD_SET || method == BH_METHOD_NIC_SET;
}

static json_t *serve_request(void *context, struct bh_control_request *request, int *fd,
                             struct bh_control_error *error)
{
    struct bh_service *service = context;
    json_t *result = dispatch(service, request, fd, error);

    if (result != NULL && changes_config(request->method))
        bh_service_save_config(service);
    return result;
}

void bh_service_save_config(struct bh_service *service)
{
    struct bh_vm_config *config = &service->saved_config;

    *config = *bh_vm_get_config(service->vm);
    bh_disks_get_config(service->disks, config);
    bh_nics_get_config(service->nics, config);
    bh_vm_journal_set_config(service->journal, config);
}

static void fill_hello(void *context, struct bh_control_hello *hello)
{
    struct bh_service *service = context;

    *hello = (struct bh_control_hello){
        .protocol = BH_CONTROL_PROTOCOL,
        .pid = (int)getpid(),
        .keeper = service->keeper,
        .state = bh_vm_get_status(service->vm)->state,
        .worker = BULKHEAD_VERSION,
    };
    (void)snprintf(hello->vm, sizeof(hello->vm), "%s", bh_vm_get_config(service->vm)->id);
}

struct bh_control_service bh_service_callbacks(struct bh_service *service)
{
    return (struct bh_control_service){
        .hello = fill_hello, .request = serve_request, .context = service};
}
