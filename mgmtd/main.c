/* SPDX-License-Identifier: MIT */
/*
 * bulkheadd: starts the parts in the order they need each other, serves until a
 * signal, and stops them in reverse. VMs are not part of that: their workers go
 * on, and the next start finds them.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/log.h"
#include "mgmtd/backend.h"
#include "mgmtd/backup.h"
#include "mgmtd/host.h"
#include "mgmtd/housekeeping.h"
#include "mgmtd/link.h"
#include "mgmtd/operation.h"
#include "mgmtd/pki.h"
#include "mgmtd/trust.h"
#include "mgmtd/vms.h"

#define MESSAGE_SIZE 1024

/* --- Directories and sockets --- */

static bool make_directory(const char *path, char *message)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    snprintf(message, MESSAGE_SIZE, "cannot make the directory %s: %s", path, strerror(errno));
    return false;
}

static bool make_directories(const struct options *options, char *message)
{
    static const char *const below_state[] = {"disks", "images", "snapshots", "consoles"};
    static const char *const below_run[] = {"vms", "networks"};
    char path[PATH_SIZE];
    bool done = make_directory(options->state, message) && make_directory(options->run, message) &&
                make_directory(options->etc, message);

    for (size_t i = 0; done && i < sizeof(below_state) / sizeof(below_state[0]); i++)
        done =
            path_join(path, options->state, "%s", below_state[i]) && make_directory(path, message);
    for (size_t i = 0; done && i < sizeof(below_run) / sizeof(below_run[0]); i++)
        done = path_join(path, options->run, "%s", below_run[i]) && make_directory(path, message);
    return done;
}

/* Below the run directory: where a VM's worker is spoken to. */
#define LONGEST_SOCKET "/vms/00000000-0000-0000-0000-000000000000/control"

/* The local administrator's socket, bound and listening. */
static int listen_locally(const struct options *options, char *message)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t room = sizeof(address.sun_path) - sizeof(LONGEST_SOCKET);
    char path[PATH_SIZE];
    int fd;

    if (!path_join(path, options->run, "api.sock") || strlen(options->run) > room) {
        snprintf(
            message, MESSAGE_SIZE,
            "--run %s: a path of more than %zu characters is too long for the sockets below it",
            options->run, room);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        chmod(path, 0600) == 0 && listen(fd, 64) == 0)
        return fd;
    snprintf(message, MESSAGE_SIZE, "cannot listen on %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* --- Parts --- */

static bool open_store(struct daemon *daemon, char *message)
{
    char path[PATH_SIZE];

    if (!state_lock(&daemon->options, message, MESSAGE_SIZE))
        return false;
    if (path_join(path, daemon->options.state, DATABASE_FILE))
        daemon->store = store_open(path, message, MESSAGE_SIZE);
    return daemon->store != NULL;
}

static bool open_pki(struct daemon *daemon, char *message)
{
    const char *names[OPTIONS_NAMES_MAX + 5] = {NULL};
    char host[256] = "localhost";
    int count = 0;

    gethostname(host, sizeof(host) - 1);
    names[count++] = host;
    names[count++] = "localhost";
    names[count++] = "127.0.0.1";
    if (strcmp(daemon->options.address, "127.0.0.1") != 0 &&
        strcmp(daemon->options.address, "0.0.0.0") != 0 &&
        strcmp(daemon->options.address, "::") != 0)
        names[count++] = daemon->options.address;
    for (int i = 0; i < daemon->options.name_count; i++)
        names[count++] = daemon->options.names[i];
    daemon->pki = pki_open(daemon->options.etc, names, message, MESSAGE_SIZE);
    return daemon->pki != NULL;
}

static void print_first(const struct daemon *daemon, char secret[TOKEN_SECRET_SIZE])
{
    if (!secret[0])
        return;
    printf("The administrator's token, shown only this once:\n  %s\n"
           "The authority to trust: %s/ca.crt\n",
           secret, daemon->options.etc);
    fflush(stdout);
    OPENSSL_cleanse(secret, TOKEN_SECRET_SIZE);
}

static bool start_parts(struct daemon *daemon, char *message)
{
    char secret[TOKEN_SECRET_SIZE] = "";

    snprintf(message, MESSAGE_SIZE, "out of memory or threads");
    if (!make_directories(&daemon->options, message) || !open_store(daemon, message) ||
        !open_pki(daemon, message) || !host_open(daemon, message, MESSAGE_SIZE) ||
        !trust_first(daemon, secret, message, MESSAGE_SIZE))
        return false;
    print_first(daemon, secret);
    daemon->trust = trust_open(daemon);
    daemon->operations = daemon->trust ? operations_start(daemon) : NULL;
    daemon->vms = daemon->operations ? vms_start(daemon) : NULL;
    return daemon->vms && vms_load(daemon->vms, message, MESSAGE_SIZE) &&
           operations_resume(daemon->operations, message, MESSAGE_SIZE);
}

static void stop_parts(struct daemon *daemon)
{
    if (daemon->operations)
        operations_stop(daemon->operations);
    if (daemon->vms)
        vms_stop(daemon->vms);
    if (daemon->trust)
        trust_close(daemon->trust);
    if (daemon->pki)
        pki_close(daemon->pki);
    if (daemon->store)
        store_close(daemon->store);
}

/* --- Serving --- */

static void advanced(void *context, int64_t sequence)
{
    (void)sequence;
    link_events_advanced(context);
}

static bool start_server(struct daemon *daemon, const struct api_backend *backend, char *message)
{
    struct api_options options = {.address = daemon->options.address, .port = daemon->options.port};
    char *chain = pki_server_chain(daemon->pki);
    char *key = pki_server_key(daemon->pki);
    struct api_server *server = NULL;

    options.certificate = chain;
    options.key = key;
    options.limits.requests_per_second = daemon->options.rate ? daemon->options.rate : UINT_MAX;
    options.unix_socket = listen_locally(&daemon->options, message);
    if (options.unix_socket >= 0 && chain && key)
        server = api_server_start(backend, &options, message, MESSAGE_SIZE);
    free(chain);
    if (key)
        OPENSSL_cleanse(key, strlen(key));
    free(key);
    link_set(daemon, server);
    return server != NULL;
}

/* Where the server listens, for scripts: one line with the port in the run directory. */
static void write_port(const struct daemon *daemon)
{
    char path[PATH_SIZE];
    char part[PATH_SIZE];
    FILE *file;

    if (!path_join(path, daemon->options.run, "port") ||
        !path_join(part, daemon->options.run, "port.new"))
        return;
    file = fopen(part, "we");
    if (!file)
        return;
    fprintf(file, "%u\n", (unsigned)api_server_port(daemon->server));
    if (fclose(file) == 0)
        rename(part, path);
}

static void wait_for_signal(void)
{
    sigset_t set;
    int received;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    while (sigwait(&set, &received) != 0)
        continue;
}

static void block_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void run(struct daemon *daemon, char *message)
{
    struct housekeeping *housekeeping;
    char port[16];

    write_port(daemon);
    snprintf(port, sizeof(port), "%u", (unsigned)api_server_port(daemon->server));
    log_write(LOG_LEVEL_INFO, "serving", "address", daemon->options.address, "port", port,
              "version", BULKHEAD_VERSION, NULL);
    log_flush();
    vms_adopt(daemon->vms);
    housekeeping = housekeeping_start(daemon);
    wait_for_signal();
    log_write(LOG_LEVEL_INFO, "stopping; VMs go on", NULL);
    if (housekeeping)
        housekeeping_stop(housekeeping);
    message[0] = '\0';
}

static int serve(const struct options *options)
{
    struct daemon daemon = {.options = *options};
    struct api_backend backend;
    struct api_server *server;
    char message[MESSAGE_SIZE] = "";
    bool good;

    pthread_rwlock_init(&daemon.server_lock, NULL);
    block_signals();
    umask(077);
    if (options->debug)
        log_set_level(LOG_LEVEL_DEBUG);
    good = start_parts(&daemon, message);
    if (good) {
        backend_fill(&daemon, &backend);
        store_watch(daemon.store, advanced, &daemon);
        good = start_server(&daemon, &backend, message);
    }
    if (good)
        run(&daemon, message);
    else
        log_write(LOG_LEVEL_ERROR, "cannot start", "detail", message, NULL);
    server = link_take(&daemon);
    if (server) {
        operations_release_waiters(daemon.operations);
        api_server_stop(server);
    }
    stop_parts(&daemon);
    log_flush();
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options;
    int status;

    if (!options_parse(argc, argv, &options, &status))
        return status;
    if (strcmp(options.command, "backup") == 0)
        return backup_write(&options);
    if (strcmp(options.command, "restore") == 0)
        return backup_restore(&options);
    if (strcmp(options.command, "check") == 0)
        return backup_check(&options);
    return serve(&options);
}
