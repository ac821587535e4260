/* SPDX-License-Identifier: MIT */
/* The command line. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmtd/options.h"

#define MIB (1024 * 1024ll)

static const char usage[] =
    "Usage: bulkheadd [OPTION]... [COMMAND]\n"
    "\n"
    "The management daemon of a Bulkhead host.\n"
    "\n"
    "Commands:\n"
    "  serve            serve the API until SIGTERM (the default)\n"
    "  backup FILE      copy the database to FILE while the daemon may run\n"
    "  restore FILE     replace the database by the backup FILE; the daemon must not run\n"
    "  check            check the database and the chain of its audit log\n"
    "\n"
    "Options:\n"
    "  --state DIR      database, disks, images, consoles      [/var/lib/bulkhead]\n"
    "  --run DIR        sockets and files of running VMs       [/run/bulkhead]\n"
    "  --etc DIR        keys and certificates                  [/etc/bulkhead]\n"
    "  --worker FILE    program of a VM's worker               [/usr/libexec/bulkhead-worker]\n"
    "  --address ADDR   address to listen on                   [127.0.0.1]\n"
    "  --port PORT      TCP port; 0: any                       [8443]\n"
    "  --name NAME      a further name or address of the server certificate; may be repeated\n"
    "  --worker-uid N   first of 4096 user ids that workers run as; 0: the daemon's [60000 as "
    "root]\n"
    "  --cgroup DIR     control group that workers are moved to\n"
    "  --keep-guests    start a worker that falls again, under the guest, which goes on\n"
    "  --history DAYS   how long operations and events are kept [90]\n"
    "  --memory-reserve MIB  memory that VMs never get         [512]\n"
    "  --rate N         requests a second for each caller; 0: no limit [2000]\n"
    "  --debug          log more\n"
    "  --help, --version\n";

enum option_key {
    KEY_STATE = 256,
    KEY_RUN,
    KEY_ETC,
    KEY_WORKER,
    KEY_ADDRESS,
    KEY_PORT,
    KEY_NAME,
    KEY_CGROUP,
    KEY_WORKER_UID,
    KEY_KEEP_GUESTS,
    KEY_HISTORY,
    KEY_RESERVE,
    KEY_RATE,
    KEY_DEBUG,
    KEY_HELP,
    KEY_VERSION,
};

static const struct option long_options[] = {
    {"state", required_argument, NULL, KEY_STATE},
    {"run", required_argument, NULL, KEY_RUN},
    {"etc", required_argument, NULL, KEY_ETC},
    {"worker", required_argument, NULL, KEY_WORKER},
    {"address", required_argument, NULL, KEY_ADDRESS},
    {"port", required_argument, NULL, KEY_PORT},
    {"name", required_argument, NULL, KEY_NAME},
    {"cgroup", required_argument, NULL, KEY_CGROUP},
    {"worker-uid", required_argument, NULL, KEY_WORKER_UID},
    {"keep-guests", no_argument, NULL, KEY_KEEP_GUESTS},
    {"history", required_argument, NULL, KEY_HISTORY},
    {"memory-reserve", required_argument, NULL, KEY_RESERVE},
    {"rate", required_argument, NULL, KEY_RATE},
    {"debug", no_argument, NULL, KEY_DEBUG},
    {"help", no_argument, NULL, KEY_HELP},
    {"version", no_argument, NULL, KEY_VERSION},
    {NULL, 0, NULL, 0},
};

bool path_join(char path[PATH_SIZE], const char *directory, const char *format, ...)
{
    va_list arguments;
    int used = snprintf(path, PATH_SIZE, "%s/", directory);
    int more;

    if (used < 0 || used >= PATH_SIZE)
        return false;
    va_start(arguments, format);
    more = vsnprintf(path + used, (size_t)(PATH_SIZE - used), format, arguments);
    va_end(arguments);
    if (more == 0)
        path[used - 1] = '\0'; /* the directory itself */
    return more >= 0 && used + more < PATH_SIZE;
}

static bool parse_number(const char *name, const char *text, long long least, long long most,
                         long long *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    if (errno == 0 && *text && !*end && *value >= least && *value <= most)
        return true;
    fprintf(stderr, "bulkheadd: --%s takes a number from %lld to %lld, not %s\n", name, least, most,
            text);
    return false;
}

static bool add_name(struct options *options, const char *name)
{
    if (options->name_count == OPTIONS_NAMES_MAX) {
        fprintf(stderr, "bulkheadd: at most %d times --name\n", OPTIONS_NAMES_MAX);
        return false;
    }
    options->names[options->name_count++] = name;
    return true;
}

static bool take_number(struct options *options, int key, const char *value)
{
    long long number = 0;
    bool good;

    switch (key) {
    case KEY_PORT:
        good = parse_number("port", value, 0, 65535, &number);
        options->port = (uint16_t)number;
        return good;
    case KEY_HISTORY:
        good = parse_number("history", value, 1, 36500, &number);
        options->history_days = (int)number;
        return good;
    case KEY_RESERVE:
        good = parse_number("memory-reserve", value, 0, 1ll << 40, &number);
        options->memory_reserve = number * MIB;
        return good;
    case KEY_WORKER_UID:
        good = parse_number("worker-uid", value, 0, 61439, &number);
        options->worker_uid = (unsigned)number;
        return good;
    default:
        good = parse_number("rate", value, 0, 1000000000, &number);
        options->rate = (unsigned)number;
        return good;
    }
}

/* Workers get files by their whole paths, so a path that begins here is made whole. */
static bool take_path(const char *value, const char **path)
{
    char *here = value[0] == '/' ? NULL : get_current_dir_name();
    char *whole = NULL;

    *path = value;
    if (value[0] == '/')
        return true;
    if (here && asprintf(&whole, "%s/%s", here, value) >= 0)
        *path = whole;
    else
        fprintf(stderr, "bulkheadd: %s: cannot tell the current directory: %m\n", value);
    free(here);
    return *path != value;
}

static bool take_option(struct options *options, int key, const char *value)
{
    switch (key) {
    case KEY_STATE:
        return take_path(value, &options->state);
    case KEY_RUN:
        return take_path(value, &options->run);
    case KEY_ETC:
        return take_path(value, &options->etc);
    case KEY_WORKER:
        return take_path(value, &options->worker);
    case KEY_ADDRESS:
        options->address = value;
        return true;
    case KEY_CGROUP:
        options->cgroup = value;
        return true;
    case KEY_NAME:
        return add_name(options, value);
    case KEY_KEEP_GUESTS:
        options->keep_guests = true;
        return true;
    case KEY_DEBUG:
        options->debug = true;
        return true;
    case KEY_PORT:
    case KEY_HISTORY:
    case KEY_RESERVE:
    case KEY_WORKER_UID:
    case KEY_RATE:
        return take_number(options, key, value);
    default:
        fputs(usage, stderr);
        return false;
    }
}

static bool take_command(int argc, char **argv, struct options *options)
{
    static const struct {
        const char *name;
        int arguments;
    } commands[] = {{"serve", 0}, {"check", 0}, {"backup", 1}, {"restore", 1}};

    options->command = "serve";
    if (optind == argc)
        return true;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[optind], commands[i].name) != 0 ||
            argc - optind - 1 != commands[i].arguments)
            continue;
        options->command = argv[optind];
        options->argument = argv[optind + 1];
        return true;
    }
    fputs(usage, stderr);
    return false;
}

bool options_parse(int argc, char **argv, struct options *options, int *status)
{
    int key;

    *options = (struct options){
        .state = "/var/lib/bulkhead",
        .run = "/run/bulkhead",
        .etc = "/etc/bulkhead",
        .worker = "/usr/libexec/bulkhead-worker",
        .address = "127.0.0.1",
        .port = 8443,
        .history_days = 90,
        .memory_reserve = 512 * MIB,
        .rate = 2000,
        .worker_uid = geteuid() == 0 ? 60000 : 0,
    };
    *status = 2;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (key == KEY_HELP || key == KEY_VERSION) {
            fputs(key == KEY_HELP ? usage : "bulkheadd 0.1.0\n", stdout);
            *status = 0;
            return false;
        }
        if (!take_option(options, key, optarg))
            return false;
    }
    return take_command(argc, argv, options);
}
