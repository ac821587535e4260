/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-worker: one child, one process. It ends when the child does. Exit
 * status: 0 the VM was powered off, 1 it failed or could not begin, 2 wrong options.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "parent/control/nbd_uri.h"
#include "parent/worker/crash.h"
#include "parent/worker/journal.h"
#include "parent/worker/options.h"
#include "parent/worker/sandbox.h"
#include "parent/worker/service.h"
#include "parent/worker/takeover.h"
#include "parent/worker/unpacked.h"

enum { OTHER_CONTROL, OTHER_VM, OTHER_CONSOLE, OTHER_SIGNALS, OTHER_TICK, OTHERS };

struct worker {
    struct bh_worker_options options;
    struct bh_vm_config config;
    struct bh_vm_config added; /* of another worker: only devices, and not to be trusted */
    struct bh_service service;
    struct bh_crash_watch crash;
    struct bh_control_server *server;
    int signals;
    /* What is served besides the guest's devices, and when to look at what says nothing. */
    struct bh_loop *others;
    struct bh_watch other[OTHERS];
    struct bh_watch others_in_bus;
    bool others_ready;
    struct bh_kept kept;
    struct bh_vm_journal *journal;
    bool resumed; /* another worker was here before, */
    bool goes_on; /* and left a guest */
};

/* --- life --------------------------------------------------------------------------------- */

static void on_change(void *context, const struct bh_vm_status *status)
{
    struct worker *worker = context;

    bh_control_server_event(worker->server, "state", bh_service_state_event(status));
}

static bool is_over(struct worker *worker)
{
    enum bh_vm_state state = bh_vm_get_status(worker->service.vm)->state;

    return state == BH_VM_STOPPED || state == BH_VM_FAILED;
}

/* True when the guest has reported a crash; what it did after that no longer counts. */
static bool serve_crash(struct worker *worker)
{
    uint64_t parameters[BH_CRASH_PARAMETERS];
    uint64_t partition_id = bh_vm_get_status(worker->service.vm)->partition_id;

    if (!bh_crash_look(&worker->crash, worker->service.host, partition_id, parameters))
        return false;
    (void)fprintf(stderr, "bulkhead-worker: the guest reported a crash:");
    for (unsigned i = 0; i < BH_CRASH_PARAMETERS; i++)
        (void)fprintf(stderr, " 0x%llx", (unsigned long long)parameters[i]);
    (void)fputc('\n', stderr);
    bh_control_server_event(worker->server, "guest_crash", bh_service_crash_event(parameters));
    bh_vm_crashed(worker->service.vm);
    return true;
}

/* News first: a guest that resets itself has reported its crash before. */
static void serve_vm(struct worker *worker)
{
    uint32_t news = bh_vm_take_news(worker->service.vm);

    if (!serve_crash(worker))
        bh_vm_serve(worker->service.vm, news);
}

/* --- waiting ------------------------------------------------------------------------------ */

static void on_control(void *context, uint32_t events)
{
    struct worker *worker = context;

    (void)events;
    bh_control_server_serve(worker->server);
}

static void on_vm(void *context, uint32_t events)
{
    (void)events;
    serve_vm(context);
}

static void on_console(void *context, uint32_t events)
{
    struct worker *worker = context;

    (void)events;
    bh_console_serve(bh_vm_get_console(worker->service.vm));
}

/* SIGTERM and SIGINT power the VM off. */
static void on_signal(void *context, uint32_t events)
{
    struct worker *worker = context;
    struct signalfd_siginfo info;

    (void)events;
    if (read(worker->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        bh_vm_power_off(worker->service.vm, BH_REASON_REQUESTED);
}

static void on_tick(void *context, uint32_t events)
{
    struct worker *worker = context;
    uint64_t count;

    (void)events;
    (void)!read(worker->other[OTHER_TICK].fd, &count, sizeof(count));
    serve_vm(worker);
}

/* Only noted: the bus's loop also runs in the middle of a request, when the guest is reset. */
static void on_others(void *context, uint32_t events)
{
    struct worker *worker = context;

    (void)events;
    worker->others_ready = true;
}

static struct bh_loop *bus_loop(const struct worker *worker)
{
    return bh_vmbus_loop(bh_guest_bus_vmbus(bh_vm_get_bus(worker->service.vm)));
}

/* What the guest waits for is served first, and alone unless something else is ready. */
static void loop(struct worker *worker)
{
    while (!is_over(worker)) {
        bh_loop_wait(bus_loop(worker), !worker->others_ready);
        if (worker->others_ready)
            worker->others_ready = bh_loop_serve(worker->others);
        if (bh_vm_get_status(worker->service.vm)->state == BH_VM_STOPPING)
            bh_vm_serve(worker->service.vm, 0); /* the I/O that it waits for may have ended */
    }
    bh_console_serve(bh_vm_get_console(worker->service.vm)); /* the guest's last words */
}

static int open_tick(void)
{
    const struct timespec period = {.tv_nsec = BH_CRASH_LOOK_MS * 1000000L};
    const struct itimerspec time = {.it_interval = period, .it_value = period};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    if (fd >= 0)
        (void)timerfd_settime(fd, 0, &time, NULL);
    return fd;
}

/* Before the sandbox; false when the worker lacks memory or descriptors. */
static bool watch_others(struct worker *worker)
{
    const struct bh_watch other[OTHERS] = {
        [OTHER_CONTROL] = {on_control, worker, bh_control_server_fd(worker->server)},
        [OTHER_VM] = {on_vm, worker, bh_vm_fd(worker->service.vm)},
        [OTHER_CONSOLE] = {on_console, worker,
                           bh_console_fd(bh_vm_get_console(worker->service.vm))},
        [OTHER_SIGNALS] = {on_signal, worker, worker->signals},
        [OTHER_TICK] = {on_tick, worker, open_tick()}};

    worker->others = bh_loop_create();
    if (worker->others == NULL)
        return false;
    for (unsigned i = 0; i < OTHERS; i++) {
        worker->other[i] = other[i];
        if (!bh_loop_add(worker->others, &worker->other[i], EPOLLIN))
            return false;
    }
    worker->others_in_bus = (struct bh_watch){on_others, worker, bh_loop_fd(worker->others)};
    return bh_loop_add(bus_loop(worker), &worker->others_in_bus, EPOLLIN | EPOLLET);
}

static bool block_signals(struct worker *worker)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    worker->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return worker->signals >= 0;
}

static void on_disk_failed(void *context, const char *id, const char *operation,
                           const char *sentence)
{
    struct worker *worker = context;

    bh_control_server_event(
        worker->server, "disk_error",
        json_pack("{s:s, s:s, s:s}", "id", id, "operation", operation, "message", sentence));
}

static void on_guest_told(void *context, json_t *stolen_guest)
{
    struct worker *worker = context;

    if (worker->server != NULL)
        bh_control_server_event(worker->server, "guest_info",
                                json_pack("{s:o}", "guest", stolen_guest));
    else
        json_decref(stolen_guest);
}

static void on_shutdown_answered(void *context, bool accepted)
{
    struct worker *worker = context;

    if (!accepted)
        bh_vm_shutting_down(worker->service.vm, false);
}

static bool reference_time(void *context, uint64_t *time)
{
    const struct worker *worker = context;

    return bh_vm_reference_time(worker->service.vm, time);
}

static void write_config_down(void *context)
{
    bh_service_save_config(context);
}

static bool add_devices(struct worker *worker)
{
    struct bh_vmbus *vmbus = bh_guest_bus_vmbus(bh_vm_get_bus(worker->service.vm));
    struct bh_service *service = &worker->service;
    const struct bh_guest_services_host host = {.reference = reference_time,
                                                .told = on_guest_told,
                                                .shutdown_answered = on_shutdown_answered,
                                                .context = worker};
    const struct bh_added added = {&worker->kept, write_config_down, service};
    const struct bh_disks_owner owner = {on_disk_failed, worker, added,
                                         worker->options.sandbox.user};
    struct bh_control_error error = {.message = "the worker lacks memory or descriptors"};

    service->disks = bh_disks_create(&worker->config, vmbus, &owner, &error);
    if (service->disks != NULL)
        service->nics = bh_nics_create(&worker->config, vmbus, &added, &error);
    if (service->nics != NULL)
        service->services = bh_guest_services_create(vmbus, worker->config.id, &host);
    if (service->services == NULL)
        (void)fprintf(stderr, "bulkhead-worker: %s\n", error.message);
    return service->services != NULL;
}

static bool complain(const char *text)
{
    (void)fprintf(stderr, "bulkhead-worker: %s\n", text);
    return false;
}

/*
 * The keeper has waited for the I/O of the worker before, and for its servers of qcow2 disks. Of an
 * NBD server of somebody else nobody can know it.
 */
static bool has_io_ended(const struct bh_vm_config *config, bool servers_ended)
{
    for (uint32_t i = 0; i < config->disk_count; i++) {
        if (config->disk[i].qcow2 && !servers_ended)
            return complain(
                "the guest cannot go on: the server of its qcow2 disk did not end well, "
                "and what it had not written yet is lost");
        if (bh_nbd_uri_is(config->disk[i].path))
            return complain("the guest cannot go on: what the worker before sent to an NBD server "
                            "may still be written");
    }
    return true;
}

/* The journal, and the configuration: from the file, and what the journal may say of it. */
static bool load_config(struct worker *worker)
{
    struct bh_control_error control_error;
    struct bh_vm_journal *journal;
    struct bh_error error;

    if (!bh_kept_open(&worker->kept, worker->options.kept, &error))
        return complain(error.text);
    journal = bh_vm_journal_open(&worker->kept, &worker->resumed, &error);
    if (journal == NULL)
        return complain(error.text);
    worker->journal = worker->service.journal = journal;
    if (!bh_vm_config_load(worker->options.config, &worker->config, &control_error))
        return complain(control_error.message);
    if (worker->resumed &&
        !bh_takeover_config(&worker->config, bh_vm_journal_config(journal), &worker->added))
        return complain("the guest cannot go on: it has a disk that is not in the configuration "
                        "file, like one of an NBD server or in qcow2 that was added later");
    worker->goes_on = worker->resumed && journal->is_live != 0;
    if (worker->goes_on)
        return has_io_ended(&worker->config, worker->kept.servers_ended);
    bh_kept_drop_run(&worker->kept);
    bh_vm_journal_clear_bus(journal);
    return true;
}

/* Everything that needs files and privileges. */
static bool prepare(struct worker *worker)
{
    struct bh_control_service callbacks = bh_service_callbacks(&worker->service);
    struct bh_control_error control_error;
    struct bh_boot_image unpacked;
    struct bh_error error;

    if (!load_config(worker))
        return false;
    worker->service.host = bh_host_open(NULL, &error);
    worker->service.vm =
        bh_vm_create(&worker->config, &bh_device_layer_kernel, worker->service.host, &worker->kept,
                     worker->journal, on_change, worker, &error);
    if (worker->service.vm == NULL || !block_signals(worker)) {
        (void)fprintf(stderr, "bulkhead-worker: %s\n", error.text);
        return false;
    }
    if (!add_devices(worker))
        return false;
    if (!bh_kept_put_ring(&worker->kept, bh_disks_ring(worker->service.disks), &error))
        return complain(error.text);
    json_object_seed(0); /* it opens a file, which the first object would do behind the sandbox */
    if (!worker->goes_on) { /* a guest that goes on stands still until here */
        bh_unpacked_open(worker->options.kernel_cache, worker->config.kernel, &unpacked);
        bh_vm_use_unpacked(worker->service.vm, unpacked);
    }
    worker->server = bh_control_server_open(worker->options.control, &callbacks, &control_error);
    if (worker->server == NULL) {
        (void)fprintf(stderr, "bulkhead-worker: %s\n", control_error.message);
        return false;
    }
    if (!watch_others(worker))
        return complain("it lacks memory or descriptors");
    if (!bh_sandbox_enter(&worker->options.sandbox, &error)) {
        (void)fprintf(stderr, "bulkhead-worker: %s\n", error.text);
        return false;
    }
    return true;
}

/* For who was not connected: the last line on standard output is the last event. */
static void tell_end(const struct bh_vm_status *status)
{
    char *line = bh_control_encode_event("state", bh_service_state_event(status));

    /* write(2): stdio would ask for the kind of file, which the sandbox forbids. */
    if (line != NULL && write(STDOUT_FILENO, line, strlen(line)) < 0)
        (void)fprintf(stderr, "bulkhead-worker: the end cannot be told: %s\n", strerror(errno));
    free(line);
}

/* A worker that fell while it reset the guest: it is started, as it would have been. */
static bool was_there(const struct worker *worker)
{
    enum bh_vm_state state = worker->journal->status.state;

    return state == BH_VM_RUNNING || state == BH_VM_PAUSED || state == BH_VM_STOPPING;
}

/* Without a guest that goes on. */
static bool is_to_start(const struct worker *worker)
{
    if (worker->resumed && bh_vm_finish_end(worker->service.vm))
        return false;
    return worker->options.start || (worker->resumed && was_there(worker));
}

static void complain_of(const char *kind, const char *id, const char *why)
{
    (void)fprintf(stderr, "bulkhead-worker: the guest goes on without the %s %s: %s\n", kind, id,
                  why);
}

static void take_up_disk(struct worker *worker, const struct bh_disk_config *left)
{
    struct bh_control_error error = {.message = "what another worker left of it is no disk."};
    struct bh_disk_config disk = {.id = "?"};
    bool good = bh_takeover_disk(left, &disk);
    int fd = good ? bh_added_take_disk(&worker->kept, disk.kept) : -1;

    if (good && (fd >= 0 || disk.kept == 0) &&
        bh_disks_put_in(worker->service.disks, &disk, fd, &error))
        return;
    complain_of("disk", disk.id, error.message);
    if (good)
        bh_added_forget_disk(&worker->kept, disk.kept);
}

static void take_up_nic(struct worker *worker, const struct bh_nic_config *left)
{
    struct bh_control_error error = {.message = "what another worker left of it is no NIC."};
    struct bh_nic_config nic = {.id = "?"};
    bool good = bh_takeover_nic(left, &nic);
    struct bh_fds fds = bh_added_take_nic(&worker->kept, good ? nic.kept : 0);

    if (fds.count != 0 && bh_nics_put_in(worker->service.nics, &nic, fds, &error))
        return;
    complain_of("NIC", nic.id, error.message);
    if (good)
        bh_added_forget_nic(&worker->kept, nic.kept);
}

/* What was added while the guest ran, behind the sandbox as then. */
static void take_up_added(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->added.disk_count; i++)
        take_up_disk(worker, &worker->added.disk[i]);
    for (uint32_t i = 0; i < worker->added.nic_count; i++)
        take_up_nic(worker, &worker->added.nic[i]);
    bh_service_save_config(&worker->service);
    bh_added_forget_rest(&worker->kept);
}

/* What cannot go on ends with this process, which nothing of it may touch any more. */
static void go_on(struct worker *worker)
{
    struct bh_error error;

    if (bh_vm_go_on(worker->service.vm, &error)) {
        if (bh_vm_get_status(worker->service.vm)->state == BH_VM_PAUSED)
            bh_services_pause(bh_guest_services_bus(worker->service.services));
        return;
    }
    (void)fprintf(stderr, "bulkhead-worker: %s\n", error.text);
    tell_end(bh_vm_get_status(worker->service.vm));
    _exit(1);
}

static int run(struct worker *worker)
{
    const struct bh_vm_status *status;
    struct bh_error error;

    take_up_added(worker);
    if (worker->goes_on)
        go_on(worker);
    else if (is_to_start(worker))
        (void)bh_vm_start(worker->service.vm, false, &error);
    loop(worker);
    status = bh_vm_get_status(worker->service.vm);
    if (status->state != BH_VM_STOPPED)
        (void)fprintf(stderr, "bulkhead-worker: %s\n", status->message);
    tell_end(status);
    return status->state == BH_VM_STOPPED ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct worker worker = {.signals = -1};
    int status = 1;

    bh_worker_options_parse(argc, argv, &worker.options);
    if (worker.options.keep && worker.options.kept < 0)
        return bh_keeper_run(argv, argc);
    worker.options.sandbox.end_with_parent = worker.options.kept >= 0;
    worker.service.keeper = worker.options.kept >= 0 ? (int)getppid() : 0;
    if (prepare(&worker))
        status = run(&worker);
    if (worker.server != NULL && !is_over(&worker))
        bh_vm_power_off(worker.service.vm, BH_REASON_REQUESTED);
    bh_control_server_close(worker.server);
    worker.server = NULL;
    if (worker.service.vm != NULL && bh_vm_is_abandoned(worker.service.vm))
        _exit(status);
    bh_guest_services_destroy(worker.service.services);
    bh_nics_destroy(worker.service.nics);
    bh_disks_destroy(worker.service.disks);
    bh_loop_destroy(worker.others);
    bh_vm_destroy(worker.service.vm);
    bh_host_close(worker.service.host);
    return status;
}
