/* SPDX-License-Identifier: MIT */
/*
 * A worker without a hypervisor: it reads a VM's configuration file, serves the
 * control socket as parent/control/README.md says, and plays a guest, so that
 * the management daemon can be tested on any machine.
 *
 * The guest prints a line at start, echoes what is typed, and obeys these words
 * on its kernel command line: `sim.tick=MS` prints a line each MS milliseconds,
 * `sim.crash=MS` crashes after MS, `sim.off=MS` powers off after MS, `sim.deaf`
 * ignores a shutdown, `sim.slow=MS` takes MS to shut down, `sim.die=MS` ends the
 * process without a word, `sim.late=MS` opens its socket only after MS,
 * `sim.rigid` takes no other memory size, as a worker without a balloon does,
 * `sim.refuse` fails to start, and goes on without, each `sim.address=TEXT` is an
 * address that the guest says it has.
 *
 * With --keep it runs under the real keeper (parent/worker/keeper.h): killed, it is started again,
 * and goes on with the same guest, whose state is in memory that the keeper has.
 *
 * Like the real one it opens what its configuration names, then becomes the user
 * it is told, and from then on uses only descriptors that come with requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "parent/control/server.h"
#include "parent/worker/keeper.h"
#include "tests/simworker/devices.h"

#define READERS_MAX  16
#define REPLAY_BYTES 1048576u
#define STEP_MS      10

/* Where a guest is, for the next process. */
struct place {
    enum bh_vm_state state;
    int64_t started_at; /* ms; when the guest began to run */
    uint64_t out_bytes;
    unsigned restarts;
    char output[REPLAY_BYTES]; /* the newest, as a ring */
};

struct worker {
    struct bh_vm_config config;
    struct devices devices;
    struct bh_control_server *server;
    struct bh_kept kept;
    struct place *place;
    enum bh_vm_reason reason;
    char since[32];
    int64_t shutdown_at;
    int64_t next_tick;
    unsigned resets;
    unsigned ticks;
    uint64_t memory_target;

    int readers[READERS_MAX];
    uint64_t in_bytes;
    bool ended;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The number after a word of the command line; -1 without the word. */
static int64_t word(const struct worker *worker, const char *name)
{
    const char *found = strstr(worker->config.command_line, name);

    if (!found)
        return -1;
    found += strlen(name);
    return *found == '=' ? strtoll(found + 1, NULL, 10) : 0;
}

/* --- Console --- */

static void print(struct worker *worker, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        worker->place->output[(worker->place->out_bytes + i) % REPLAY_BYTES] = bytes[i];
    worker->place->out_bytes += size;
    for (int i = 0; i < READERS_MAX; i++) {
        if (worker->readers[i] < 0)
            continue;
        if (send(worker->readers[i], bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size) {
            close(worker->readers[i]);
            worker->readers[i] = -1;
        }
    }
}

static void print_line(struct worker *worker, const char *text)
{
    char line[256];
    int size = snprintf(line, sizeof(line), "%s: %s\r\n", worker->config.name, text);

    print(worker, line, (size_t)size);
}

static size_t replay(struct worker *worker, int fd, uint64_t wanted)
{
    uint64_t kept =
        worker->place->out_bytes < REPLAY_BYTES ? worker->place->out_bytes : REPLAY_BYTES;
    uint64_t from;

    if (wanted > kept)
        wanted = kept;
    from = worker->place->out_bytes - wanted;
    for (uint64_t i = from; i < worker->place->out_bytes;) {
        size_t at = (size_t)(i % REPLAY_BYTES);
        size_t size = (size_t)(worker->place->out_bytes - i);

        if (size > REPLAY_BYTES - at)
            size = REPLAY_BYTES - at;
        if (send(fd, worker->place->output + at, size, MSG_NOSIGNAL) != (ssize_t)size)
            break;
        i += size;
    }
    return (size_t)wanted;
}

static json_t *attach(struct worker *worker, const json_t *params, int *fd,
                      struct bh_control_error *error)
{
    json_int_t wanted = json_integer_value(json_object_get(params, "replay_bytes"));
    const char *console = json_string_value(json_object_get(params, "console"));
    int room = (int)REPLAY_BYTES * 2;
    size_t replayed;
    int pair[2];
    int slot = 0;

    if (console && strcmp(console, "serial0") != 0) {
        bh_control_error_set(error, BH_CONTROL_NOT_FOUND, "console", "There is no such console.");
        return NULL;
    }
    while (slot < READERS_MAX && worker->readers[slot] >= 0)
        slot++;
    if (slot == READERS_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "Too many readers.");
        return NULL;
    }
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    replayed = replay(worker, pair[0], (uint64_t)wanted);
    worker->readers[slot] = pair[0];
    *fd = pair[1];
    return json_pack("{s:s, s:I, s:I}", "console", "serial0", "replayed_bytes",
                     (json_int_t)replayed, "replay_position",
                     (json_int_t)worker->place->out_bytes - (json_int_t)replayed);
}

/* Echoes what is typed; "\3" crashes the guest, "\4" powers it off. */
static void end(struct worker *worker, enum bh_vm_reason reason);

static void read_input(struct worker *worker, int *reader)
{
    char bytes[4096];
    ssize_t got = recv(*reader, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        close(*reader);
        *reader = -1;
        return;
    }
    if (got <= 0)
        return;
    worker->in_bytes += (uint64_t)got;
    print(worker, bytes, (size_t)got);
    if (memchr(bytes, 3, (size_t)got))
        end(worker, BH_REASON_GUEST_CRASH);
    else if (memchr(bytes, 4, (size_t)got))
        end(worker, BH_REASON_GUEST_POWER_OFF);
}

/* --- States --- */

static void enter(struct worker *worker, enum bh_vm_state state, enum bh_vm_reason reason)
{
    worker->place->state = state;
    worker->reason = reason;
    bh_control_timestamp(worker->since);
    bh_control_server_event(worker->server, "state",
                            json_pack("{s:s, s:s}", "state", bh_vm_state_name(state), "reason",
                                      bh_vm_reason_name(reason)));
}

static void end(struct worker *worker, enum bh_vm_reason reason)
{
    if (worker->ended)
        return;
    if (reason == BH_REASON_GUEST_CRASH) {
        print_line(worker, "Kernel panic - not syncing");
        bh_control_server_event(worker->server, "guest_crash",
                                json_pack("{s:[s,s,s,s,s], s:s}", "parameters", "0x1", "0x2", "0x3",
                                          "0x4", "0x5", "message", "Kernel panic"));
    }
    enter(worker, BH_VM_STOPPED, reason);
    printf("{\"event\":\"state\",\"state\":\"stopped\",\"reason\":\"%s\"}\n",
           bh_vm_reason_name(reason));
    fflush(stdout);
    worker->ended = true;
}

/* What the guest tells of itself: the texts behind each `sim.address=`. */
static json_t *guest(const struct worker *worker)
{
    static const char name[] = "sim.address=";
    json_t *addresses = json_array();

    for (const char *at = strstr(worker->config.command_line, name); at != NULL;
         at = strstr(at, name)) {
        at += strlen(name);
        json_array_append_new(addresses, json_stringn(at, strcspn(at, " ")));
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "heartbeat", "ok", "os", "Simulated 1.0", "host_name",
                     worker->config.name, "addresses", addresses);
}

static void boot(struct worker *worker)
{
    worker->place->started_at = now_ms();
    worker->shutdown_at = 0;
    worker->next_tick = worker->place->started_at;
    print_line(worker, "booted");
    bh_control_server_event(worker->server, "guest_info",
                            json_pack("{s:o}", "guest", guest(worker)));
}

static json_t *state_of(const struct worker *worker)
{
    return json_pack("{s:s}", "state", bh_vm_state_name(worker->place->state));
}

static json_t *change_state(struct worker *worker, const struct bh_control_request *request,
                            struct bh_control_error *error)
{
    switch (request->method) {
    case BH_METHOD_START:
        if (word(worker, "sim.refuse") >= 0) {
            error->code = BH_CONTROL_RESOURCE;
            snprintf(error->message, sizeof(error->message), "There is no room.");
            return NULL;
        }
        boot(worker);
        enter(worker,
              json_is_true(json_object_get(request->params, "paused")) ? BH_VM_PAUSED
                                                                       : BH_VM_RUNNING,
              BH_REASON_REQUESTED);
        break;
    case BH_METHOD_PAUSE:
        enter(worker, BH_VM_PAUSED, BH_REASON_REQUESTED);
        break;
    case BH_METHOD_RESUME:
        enter(worker, BH_VM_RUNNING, BH_REASON_REQUESTED);
        break;
    case BH_METHOD_RESET:
        worker->resets++;
        boot(worker);
        enter(worker, BH_VM_RUNNING, BH_REASON_REQUESTED);
        break;
    case BH_METHOD_SHUTDOWN:
        print_line(worker, "shutting down");
        if (word(worker, "sim.deaf") < 0)
            worker->shutdown_at =
                now_ms() + (word(worker, "sim.slow") > 0 ? word(worker, "sim.slow") : 0);
        enter(worker, BH_VM_STOPPING, BH_REASON_REQUESTED);
        break;
    default:
        end(worker, BH_REASON_REQUESTED);
        break;
    }
    return state_of(worker);
}

/* --- Status and counters --- */

static json_t *status(const struct worker *worker)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:i, s:i, s:i, s:o, s:o, "
        "s:[s],"
        " s:o}",
        "vm", worker->config.id, "name", worker->config.name, "state",
        bh_vm_state_name(worker->place->state), "reason", bh_vm_reason_name(worker->reason), "pid",
        (int)getpid(), "since", worker->since, "resets", (int)worker->resets, "restarts",
        (int)worker->place->restarts, "partition_id", 0, "vps", (int)worker->config.vps,
        "memory_bytes", (json_int_t)worker->config.memory_bytes, "memory_target_bytes",
        (json_int_t)worker->memory_target, "weight", (int)worker->config.weight, "cap_percent",
        (int)worker->config.cap_percent, "reserve_percent", (int)worker->config.reserve_percent,
        "disks", devices_list_disks(&worker->devices), "nics", devices_list_nics(&worker->devices),
        "consoles", "serial0", "guest", guest(worker));
}

/* Counters that grow with the time the guest has run. */
static json_t *stats(const struct worker *worker)
{
    json_int_t ran = worker->place->started_at ? now_ms() - worker->place->started_at : 0;
    json_t *vps = json_array();
    json_t *disks = json_array();
    json_t *nics = json_array();
    char time[32];

    bh_control_timestamp(time);
    for (uint32_t i = 0; i < worker->config.vps; i++)
        json_array_append_new(vps, json_pack("{s:i, s:I, s:I, s:I, s:I, s:{s:I, s:I}}", "index",
                                             (int)i, "guest_ns", (json_int_t)(ran * 900000),
                                             "hypervisor_ns", (json_int_t)(ran * 50000), "idle_ns",
                                             (json_int_t)(ran * 50000), "waiting_ns",
                                             (json_int_t)(ran * 10000), "exits", "io",
                                             (json_int_t)ran, "msr", (json_int_t)(ran * 2)));
    for (uint32_t i = 0; i < worker->config.disk_count; i++)
        json_array_append_new(
            disks,
            json_pack("{s:s, s:I, s:I, s:i, s:I, s:I, s:I, s:I, s:i}", "id",
                      worker->config.disk[i].id, "read_ops", (json_int_t)ran, "write_ops",
                      (json_int_t)(ran / 2), "flush_ops", 1, "read_bytes", (json_int_t)(ran * 4096),
                      "write_bytes", (json_int_t)(ran * 2048), "read_ns", (json_int_t)(ran * 1000),
                      "write_ns", (json_int_t)(ran * 1000), "errors", 0));
    for (uint32_t i = 0; i < worker->config.nic_count; i++)
        json_array_append_new(
            nics, json_pack("{s:s, s:I, s:I, s:I, s:I, s:i, s:i}", "id", worker->config.nic[i].id,
                            "rx_packets", (json_int_t)ran, "tx_packets", (json_int_t)ran,
                            "rx_bytes", (json_int_t)(ran * 100), "tx_bytes",
                            (json_int_t)(ran * 100), "rx_dropped", 0, "tx_dropped", 0));
    return json_pack("{s:s, s:o, s:{s:I, s:i}, s:o, s:o, s:[{s:s, s:I, s:I}]}", "time", time, "vps",
                     vps, "memory", "assigned_bytes", (json_int_t)worker->memory_target,
                     "worker_resident_bytes", 6291456, "disks", disks, "nics", nics, "consoles",
                     "console", "serial0", "out_bytes", (json_int_t)worker->place->out_bytes,
                     "in_bytes", (json_int_t)worker->in_bytes);
}

/* --- Live changes --- */

static json_t *set(struct worker *worker, const json_t *params, struct bh_control_error *error)
{
    const json_t *value;

    if (json_object_get(params, "memory_target_bytes") && word(worker, "sim.rigid") >= 0) {
        error->code = BH_CONTROL_NOT_SUPPORTED;
        snprintf(error->message, sizeof(error->message), "This guest has no balloon.");
        return NULL;
    }
    if ((value = json_object_get(params, "weight")) != NULL)
        worker->config.weight = (uint32_t)json_integer_value(value);
    if ((value = json_object_get(params, "cap_percent")) != NULL)
        worker->config.cap_percent = (uint32_t)json_integer_value(value);
    if ((value = json_object_get(params, "reserve_percent")) != NULL)
        worker->config.reserve_percent = (uint32_t)json_integer_value(value);
    if ((value = json_object_get(params, "memory_target_bytes")) != NULL) {
        worker->memory_target = (uint64_t)json_integer_value(value);
        bh_control_server_event(worker->server, "memory",
                                json_pack("{s:I, s:I}", "target_bytes",
                                          (json_int_t)worker->memory_target, "assigned_bytes",
                                          (json_int_t)worker->memory_target));
    }
    return json_deep_copy(params);
}

/* --- Requests --- */

static void hello(void *context, struct bh_control_hello *hello)
{
    struct worker *worker = context;

    hello->pid = getpid();
    hello->keeper = worker->kept.socket >= 0 ? getppid() : 0;
    hello->state = worker->place->state;
    snprintf(hello->worker, sizeof(hello->worker), "simulated");
    snprintf(hello->vm, sizeof(hello->vm), "%s", worker->config.id);
}

static json_t *serve(void *context, struct bh_control_request *request, int *fd,
                     struct bh_control_error *error)
{
    struct worker *worker = context;

    switch (request->method) {
    case BH_METHOD_STATUS:
        return status(worker);
    case BH_METHOD_STATS:
        return stats(worker);
    case BH_METHOD_SET:
        return set(worker, request->params, error);
    case BH_METHOD_DISK_ADD:
    case BH_METHOD_DISK_REMOVE:
    case BH_METHOD_CD_INSERT:
    case BH_METHOD_CD_EJECT:
    case BH_METHOD_NIC_ADD:
    case BH_METHOD_NIC_REMOVE:
    case BH_METHOD_NIC_SET:
        return devices_change(&worker->devices, request, error);
    case BH_METHOD_CONSOLE_ATTACH:
        return attach(worker, request->params, fd, error);
    default:
        return change_state(worker, request, error);
    }
}

/* --- The guest's life --- */

static bool due(const struct worker *worker, const char *name)
{
    int64_t after = word(worker, name);

    return after >= 0 && now_ms() - worker->place->started_at >= after;
}

static void live(struct worker *worker)
{
    int64_t tick = word(worker, "sim.tick");
    char line[64];

    if (worker->place->state != BH_VM_RUNNING && worker->place->state != BH_VM_STOPPING)
        return;
    if (due(worker, "sim.crash"))
        end(worker, BH_REASON_GUEST_CRASH);
    else if (due(worker, "sim.off") || (worker->shutdown_at && now_ms() >= worker->shutdown_at))
        end(worker, BH_REASON_GUEST_POWER_OFF);
    else if (due(worker, "sim.die"))
        _exit(3);
    if (tick > 0 && !worker->ended && now_ms() >= worker->next_tick) {
        snprintf(line, sizeof(line), "tick %u", worker->ticks++);
        print_line(worker, line);
        worker->next_tick += tick;
    }
}

static void run(struct worker *worker)
{
    while (!worker->ended) {
        struct pollfd waits[READERS_MAX + 1];
        int count = 1;

        waits[0] = (struct pollfd){.fd = bh_control_server_fd(worker->server), .events = POLLIN};
        for (int i = 0; i < READERS_MAX; i++)
            waits[count++] = (struct pollfd){.fd = worker->readers[i], .events = POLLIN};
        poll(waits, (nfds_t)count, STEP_MS);
        if (waits[0].revents)
            bh_control_server_serve(worker->server);
        for (int i = 0; i < READERS_MAX; i++)
            if (waits[i + 1].revents && worker->readers[i] == waits[i + 1].fd)
                read_input(worker, &worker->readers[i]);
        if (!worker->ended)
            live(worker);
    }
    bh_control_server_close(worker->server);
}

/* The place of the process before, or a new one. */
static bool open_place(struct worker *worker, int keeper)
{
    struct bh_error error;
    int fd;

    if (!bh_kept_open(&worker->kept, keeper, &error))
        return false;
    fd = worker->kept.fd[BH_KEPT_JOURNAL];
    if (fd < 0) {
        fd = memfd_create("simworker", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, sizeof(*worker->place)) != 0 ||
            !bh_kept_put(&worker->kept, BH_KEPT_JOURNAL, fd, &error))
            return false;
    }
    worker->place = mmap(NULL, sizeof(*worker->place), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (worker->place == MAP_FAILED)
        return false;
    worker->place->restarts += worker->kept.fd[BH_KEPT_JOURNAL] >= 0;
    return true;
}

static bool open_worker(struct worker *worker, const char *config, const char *control)
{
    struct bh_control_service service = {.hello = hello, .request = serve, .context = worker};
    struct bh_control_error error;

    if (!bh_vm_config_load(config, &worker->config, &error)) {
        fprintf(stderr, "simworker: %s: %s\n", error.field, error.message);
        return false;
    }
    if (!devices_open(&worker->devices, &worker->config, &error)) {
        fprintf(stderr, "simworker: %s\n", error.message);
        return false;
    }
    if (word(worker, "sim.late") > 0)
        usleep((useconds_t)word(worker, "sim.late") * 1000);
    worker->memory_target = worker->config.memory_bytes;
    bh_control_timestamp(worker->since);
    for (int i = 0; i < READERS_MAX; i++)
        worker->readers[i] = -1;
    worker->server = bh_control_server_open(control, &service, &error);
    if (!worker->server)
        fprintf(stderr, "simworker: %s\n", error.message);
    return worker->server != NULL;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"control", required_argument, NULL, 's'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"group", required_argument, NULL, 'g'},
                                            {"keep", no_argument, NULL, 'k'},
                                            {"kept", required_argument, NULL, 'K'},
                                            {NULL, 0, NULL, 0}};
    static struct worker worker;
    const char *config = NULL;
    const char *control = NULL;
    unsigned user = 0;
    bool keep = false;
    int keeper = -1;
    int key;

    while ((key = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (key == 'c')
            config = optarg;
        else if (key == 's')
            control = optarg;
        else if (key == 'u')
            user = (unsigned)strtoul(optarg, NULL, 10);
        else if (key == 'k')
            keep = true;
        else if (key == 'K')
            keeper = (int)strtol(optarg, NULL, 10);
    }
    if (keep && keeper < 0)
        return bh_keeper_run(argv, argc);
    if (!config || !control) {
        fprintf(stderr, "usage: simworker --config FILE --control SOCKET\n");
        return 1;
    }
    if (!open_place(&worker, keeper) || !open_worker(&worker, config, control))
        return 1;
    if (user && (setgroups(0, NULL) != 0 || setgid(user) != 0 || setuid(user) != 0)) {
        perror("simworker: cannot change user");
        return 1;
    }
    if (keeper >= 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    run(&worker);
    return 0;
}
