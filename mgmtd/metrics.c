/* SPDX-License-Identifier: MIT */
/*
 * The daemon's families of metrics, from counters that are in memory already: a
 * scrape asks no worker and no guest, and a stopped VM has its series too.
 *
 * Families must not be interleaved, so all VMs are gone through once per family:
 * in a copy made at the beginning, since scrapes may come at the same time and
 * must not hold up the supervisor or each other.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "api/metrics.h"
#include "mgmtd/backend.h"
#include "mgmtd/host.h"
#include "mgmtd/operation.h"
#include "mgmtd/pki.h"
#include "mgmtd/vms.h"

#define LABELS(...) ((const struct api_label[]){__VA_ARGS__, {NULL, NULL}})

static double seconds(int64_t nanoseconds)
{
    return (double)nanoseconds / 1e9;
}

/* --- Host --- */

static void write_host(struct daemon *daemon, struct api_metrics *m)
{
    struct vms_commitment commitment;
    struct host_capacity capacity;
    struct utsname kernel;
    char processors[16];

    host_capacity(daemon, &capacity);
    vms_committed(daemon->vms, &commitment);
    uname(&kernel);
    snprintf(processors, sizeof(processors), "%lld", (long long)capacity.processors);
    api_metrics_family(m, "bulkhead_build", "info", "", "The daemon's version");
    api_metrics_integer(m, "_info", LABELS({"version", BULKHEAD_VERSION}), 1);
    api_metrics_family(m, "bulkhead_up", "gauge", "", "The daemon answers");
    api_metrics_integer(m, "", NULL, 1);
    api_metrics_family(m, "bulkhead_host", "info", "", "This host");
    api_metrics_integer(m, "_info",
                        LABELS({"host", daemon->host_id}, {"name", kernel.nodename},
                               {"kernel", kernel.release}, {"processors", processors}),
                        1);
    api_metrics_family(m, "bulkhead_host_memory_total_bytes", "gauge", "bytes",
                       "Memory of the host");
    api_metrics_integer(m, "", NULL, (uint64_t)capacity.memory_total);
    api_metrics_family(m, "bulkhead_host_memory_committed_bytes", "gauge", "bytes",
                       "Memory given to VMs that run");
    api_metrics_integer(m, "", NULL, (uint64_t)commitment.memory);
    api_metrics_family(m, "bulkhead_host_memory_free_bytes", "gauge", "bytes",
                       "Memory that more VMs may have");
    api_metrics_integer(m, "", NULL, (uint64_t)capacity.memory_free);
    api_metrics_family(m, "bulkhead_host_vcpus_committed", "gauge", "",
                       "Virtual processors of VMs that run");
    api_metrics_integer(m, "", NULL, (uint64_t)commitment.processors);
    api_metrics_family(m, "bulkhead_host_storage_total_bytes", "gauge", "bytes",
                       "Size of the file system of disks and images");
    api_metrics_integer(m, "", NULL, (uint64_t)capacity.storage_total);
    api_metrics_family(m, "bulkhead_host_storage_free_bytes", "gauge", "bytes",
                       "Free space of that file system");
    api_metrics_integer(m, "", NULL, (uint64_t)capacity.storage_free);
}

/* --- VMs --- */

static void write_info(void *context, const struct vm_view *vm)
{
    api_metrics_integer(context, "_info",
                        LABELS({"uuid", vm->id}, {"name", vm->name}, {"tags", vm->tags}), 1);
}

static void write_state(void *context, const struct vm_view *vm)
{
    for (int state = 0; state < VM_STATE_COUNT; state++)
        api_metrics_integer(
            context, "",
            LABELS({"uuid", vm->id}, {"bulkhead_vm_state", vm_state_name((enum vm_state)state)}),
            vm->state == (enum vm_state)state);
}

static void write_desired(void *context, const struct vm_view *vm)
{
    for (int desired = 0; desired < VM_DESIRED_COUNT; desired++)
        api_metrics_integer(context, "",
                            LABELS({"uuid", vm->id}, {"bulkhead_vm_desired_state",
                                                      vm_desired_name((enum vm_desired)desired)}),
                            vm->desired == (enum vm_desired)desired);
}

static void write_since(void *context, const struct vm_view *vm)
{
    api_metrics_integer(context, "", LABELS({"uuid", vm->id}), (uint64_t)(vm->since / 1000));
}

static void write_age(void *context, const struct vm_view *vm)
{
    double age = vm->heard_at ? (double)(time_now() - vm->heard_at) / 1000.0 : 0;

    api_metrics_real(context, "", LABELS({"uuid", vm->id}), age);
}

static void write_restarts(void *context, const struct vm_view *vm)
{
    api_metrics_integer(context, "", LABELS({"uuid", vm->id}), (uint64_t)vm->restarts);
}

static void write_falls(void *context, const struct vm_view *vm)
{
    api_metrics_integer(context, "", LABELS({"uuid", vm->id}),
                        vm->falls > 0 ? (uint64_t)vm->falls : 0);
}

static void write_memory(void *context, const struct vm_view *vm)
{
    api_metrics_integer(context, "", LABELS({"uuid", vm->id}), (uint64_t)vm->memory_assigned);
}

static void write_resident(void *context, const struct vm_view *vm)
{
    const json_t *memory = json_object_get(vm->stats, "memory");

    api_metrics_integer(context, "", LABELS({"uuid", vm->id}),
                        (uint64_t)json_number(memory, "worker_resident_bytes", 0));
}

/* A guest without the service has no series: it is not ill. */
static void write_heartbeat(void *context, const struct vm_view *vm)
{
    if (vm->guest.heartbeat != VM_HEARTBEAT_NONE)
        api_metrics_integer(context, "", LABELS({"uuid", vm->id}),
                            vm->guest.heartbeat == VM_HEARTBEAT_OK);
}

/* One counter of each element of a list in the worker's counters. */
struct series {
    struct api_metrics *metrics;
    const char *list;   /* "vps", "disks", "nics" */
    const char *label;  /* "vcpu", "disk", "nic" */
    const char *member; /* of the element */
    bool nanoseconds;
};

static void write_series(void *context, const struct vm_view *vm)
{
    const struct series *series = context;
    const json_t *element;
    size_t index;

    json_array_foreach(json_object_get(vm->stats, series->list), index, element)
    {
        int64_t value = json_number(element, series->member, 0);
        const char *name = json_text(element, "id");
        char number[16];

        snprintf(number, sizeof(number), "%zu", index);
        if (series->nanoseconds)
            api_metrics_real(series->metrics, "_total",
                             LABELS({"uuid", vm->id}, {series->label, name[0] ? name : number}),
                             seconds(value));
        else
            api_metrics_integer(series->metrics, "_total",
                                LABELS({"uuid", vm->id}, {series->label, name[0] ? name : number}),
                                (uint64_t)value);
    }
}

struct exits {
    const char *reason;
    uint64_t count;
};

#define REASONS_MAX 64

/* Sums the exits of all VPs by reason; reasons are the worker's own and few. */
static void write_exits(void *context, const struct vm_view *vm)
{
    struct exits sums[REASONS_MAX];
    size_t count = 0;
    const json_t *vp;
    size_t index;

    json_array_foreach(json_object_get(vm->stats, "vps"), index, vp)
    {
        const char *reason;
        json_t *value;

        json_object_foreach(json_object_get(vp, "exits"), reason, value)
        {
            size_t i = 0;

            while (i < count && strcmp(sums[i].reason, reason) != 0)
                i++;
            if (i == REASONS_MAX)
                continue;
            if (i == count)
                sums[count++] = (struct exits){reason, 0};
            sums[i].count += (uint64_t)json_integer_value(value);
        }
    }
    for (size_t i = 0; i < count; i++)
        api_metrics_integer(context, "_total", LABELS({"uuid", vm->id}, {"reason", sums[i].reason}),
                            sums[i].count);
}

static const struct {
    const char *name;
    const char *type;
    const char *unit;
    const char *help;
    void (*write)(void *context, const struct vm_view *vm);
} vm_families[] = {
    {"bulkhead_vm", "info", "", "Names and tags of the VM", write_info},
    {"bulkhead_vm_state", "stateset", "", "State of the VM, stopped ones included", write_state},
    {"bulkhead_vm_desired_state", "stateset", "", "What the last call asked for", write_desired},
    {"bulkhead_vm_state_since_timestamp_seconds", "gauge", "seconds", "When the state began",
     write_since},
    {"bulkhead_vm_observed_age_seconds", "gauge", "seconds",
     "Time since the VM's worker was heard last", write_age},
    {"bulkhead_vm_restarts", "gauge", "", "Restarts by the policy since the last start by a call",
     write_restarts},
    {"bulkhead_vm_worker_restarts", "gauge", "",
     "Workers that fell under the guest that runs, which went on in another", write_falls},
    {"bulkhead_vm_memory_assigned_bytes", "gauge", "bytes", "Memory the guest holds", write_memory},
    {"bulkhead_vm_memory_resident_bytes", "gauge", "bytes", "Memory of the VM's worker process",
     write_resident},
    {"bulkhead_vm_guest_heartbeat", "gauge", "", "The guest answers its heartbeat",
     write_heartbeat},
    {"bulkhead_vm_exits", "counter", "", "Exits from the guest by reason", write_exits},
};

static const struct {
    const char *name;
    const char *unit;
    const char *help;
    const char *list;
    const char *label;
    const char *member;
    bool nanoseconds;
} counters[] = {
    {"bulkhead_vcpu_run_seconds", "seconds", "Time in the guest", "vps", "vcpu", "guest_ns", true},
    {"bulkhead_vcpu_hypervisor_seconds", "seconds", "Time in the hypervisor for the guest", "vps",
     "vcpu", "hypervisor_ns", true},
    {"bulkhead_vcpu_idle_seconds", "seconds", "Time the guest had nothing to do", "vps", "vcpu",
     "idle_ns", true},
    {"bulkhead_vcpu_wait_seconds", "seconds", "Time it wanted to run and another ran", "vps",
     "vcpu", "waiting_ns", true},
    {"bulkhead_disk_read_bytes", "bytes", "Bytes read", "disks", "disk", "read_bytes", false},
    {"bulkhead_disk_write_bytes", "bytes", "Bytes written", "disks", "disk", "write_bytes", false},
    {"bulkhead_disk_read_ops", "", "Reads", "disks", "disk", "read_ops", false},
    {"bulkhead_disk_write_ops", "", "Writes", "disks", "disk", "write_ops", false},
    {"bulkhead_disk_flush_ops", "", "Flushes", "disks", "disk", "flush_ops", false},
    {"bulkhead_disk_read_seconds", "seconds", "Time spent on reads", "disks", "disk", "read_ns",
     true},
    {"bulkhead_disk_write_seconds", "seconds", "Time spent on writes", "disks", "disk", "write_ns",
     true},
    {"bulkhead_disk_errors", "", "Requests that failed", "disks", "disk", "errors", false},
    {"bulkhead_nic_receive_bytes", "bytes", "Bytes to the guest", "nics", "nic", "rx_bytes", false},
    {"bulkhead_nic_transmit_bytes", "bytes", "Bytes from the guest", "nics", "nic", "tx_bytes",
     false},
    {"bulkhead_nic_receive_packets", "", "Packets to the guest", "nics", "nic", "rx_packets",
     false},
    {"bulkhead_nic_transmit_packets", "", "Packets from the guest", "nics", "nic", "tx_packets",
     false},
    {"bulkhead_nic_receive_drops", "", "Packets to the guest that were dropped", "nics", "nic",
     "rx_dropped", false},
    {"bulkhead_nic_transmit_drops", "", "Packets from the guest that were dropped", "nics", "nic",
     "tx_dropped", false},
    {"bulkhead_nic_transmit_spoofed", "",
     "Packets dropped since their sender's address was not the NIC's", "nics", "nic", "tx_spoofed",
     false},
    {"bulkhead_console_output_bytes", "bytes", "Bytes the guest wrote to its console", "consoles",
     "console", "out_bytes", false},
};

static void write_counter(struct api_metrics *m, size_t which, const struct vm_view *views,
                          size_t count)
{
    struct series series = {.metrics = m,
                            .list = counters[which].list,
                            .label = counters[which].label,
                            .member = counters[which].member,
                            .nanoseconds = counters[which].nanoseconds};

    api_metrics_family(m, counters[which].name, "counter", counters[which].unit,
                       counters[which].help);
    for (size_t i = 0; i < count; i++)
        if (views[i].stats)
            write_series(&series, &views[i]);
}

static void write_vms(struct daemon *daemon, struct api_metrics *m)
{
    size_t count;
    struct vm_view *views = vms_copy(daemon->vms, &count);

    for (size_t i = 0; i < sizeof(vm_families) / sizeof(vm_families[0]); i++) {
        api_metrics_family(m, vm_families[i].name, vm_families[i].type, vm_families[i].unit,
                           vm_families[i].help);
        for (size_t j = 0; j < count; j++)
            vm_families[i].write(m, &views[j]);
    }
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        write_counter(m, i, views, count);
    vms_copy_free(views, count);
}

/* --- Control plane --- */

struct ended {
    struct api_metrics *metrics;
    bool waits; /* instead of the number of ends */
};

static void write_operations(void *context, const struct operation_statistics *one)
{
    const struct ended *ended = context;
    struct api_metrics *m = ended->metrics;

    if (ended->waits) {
        api_metrics_real(m, "_total", LABELS({"kind", one->action}), one->waited);
        return;
    }
    api_metrics_integer(m, "_total", LABELS({"kind", one->action}, {"result", "succeeded"}),
                        one->succeeded);
    api_metrics_integer(m, "_total", LABELS({"kind", one->action}, {"result", "failed"}),
                        one->failed);
    api_metrics_integer(m, "_total", LABELS({"kind", one->action}, {"result", "cancelled"}),
                        one->cancelled);
}

static void write_durations(void *context, const struct operation_statistics *one)
{
    api_metrics_real(context, "_sum", LABELS({"kind", one->action}), one->seconds);
    api_metrics_integer(context, "_count", LABELS({"kind", one->action}),
                        one->succeeded + one->failed + one->cancelled);
}

static void write_queue(struct daemon *daemon, struct api_metrics *m)
{
    struct ended ended = {.metrics = m};

    api_metrics_family(m, "bulkhead_task_queue_depth", "gauge", "",
                       "Operations that run or wait to");
    api_metrics_integer(m, "", NULL, operations_depth(daemon->operations));
    api_metrics_family(m, "bulkhead_tasks", "counter", "",
                       "Operations that ended since the daemon started");
    operations_statistics(daemon->operations, write_operations, &ended);
    api_metrics_family(m, "bulkhead_task_duration_seconds", "summary", "seconds",
                       "Time that operations ran");
    operations_statistics(daemon->operations, write_durations, m);
    ended.waits = true;
    api_metrics_family(m, "bulkhead_object_lock_wait_seconds", "counter", "seconds",
                       "Time that operations waited for the one before them on their object");
    operations_statistics(daemon->operations, write_operations, &ended);
}

static void write_store(struct daemon *daemon, struct api_metrics *m)
{
    struct store_statistics statistics;
    struct db *db = store_reader(daemon->store);
    uint64_t cumulative = 0;
    int64_t size = 0;
    char bound[32];

    store_statistics(daemon->store, &statistics);
    api_metrics_family(m, "bulkhead_db_commit_seconds", "histogram", "seconds",
                       "Time of durable commits");
    for (unsigned i = 0; i < 12; i++) {
        cumulative += statistics.bucket[i];
        snprintf(bound, sizeof(bound), "%.6f", 0.000125 * (1u << i));
        api_metrics_integer(m, "_bucket", LABELS({"le", i == 11 ? "+Inf" : bound}), cumulative);
    }
    api_metrics_integer(m, "_count", NULL, statistics.commits);
    api_metrics_real(m, "_sum", NULL, (double)statistics.commit_nanoseconds / 1e9);
    api_metrics_family(m, "bulkhead_db_jobs", "counter", "", "Changes that commits carried");
    api_metrics_integer(m, "_total", NULL, statistics.jobs);
    if (db)
        db_size(db, &size);
    api_metrics_family(m, "bulkhead_db_size_bytes", "gauge", "bytes",
                       "Size of the database and its log");
    api_metrics_integer(m, "", NULL, (uint64_t)size);
    api_metrics_family(m, "bulkhead_events_seq", "gauge", "", "Number of the newest event");
    api_metrics_integer(m, "", NULL, (uint64_t)store_sequence(daemon->store));
    api_metrics_family(m, "bulkhead_audit_seq", "gauge", "",
                       "Number of the newest event of the hash chain");
    api_metrics_integer(m, "", NULL, (uint64_t)store_sequence(daemon->store));
}

static void write_certificate(void *context, const char *role, const char *certificate,
                              const char *fingerprint, int64_t not_after)
{
    char short_print[17];

    (void)certificate;
    snprintf(short_print, sizeof(short_print), "%s", fingerprint);
    api_metrics_integer(context, "", LABELS({"role", role}, {"fingerprint", short_print}),
                        (uint64_t)(not_after / 1000));
}

static void write_collector(void *context, const char *name, bool ok, const char *detail)
{
    (void)detail;
    api_metrics_integer(context, "", LABELS({"check", name}), ok);
}

void metrics_write(void *context, struct api_metrics *m)
{
    struct daemon *daemon = context;

    write_host(daemon, m);
    write_vms(daemon, m);
    write_queue(daemon, m);
    write_store(daemon, m);
    api_metrics_family(m, "bulkhead_certificate_expiry_timestamp_seconds", "gauge", "seconds",
                       "When the certificate expires");
    pki_visit(daemon->pki, write_certificate, m);
    api_metrics_family(m, "bulkhead_ready", "gauge", "", "The readiness check passes");
    host_health(daemon, write_collector, m);
}
