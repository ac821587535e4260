/* SPDX-License-Identifier: MIT */
/*
 * bhctl: speaks to one worker's control socket, for people who look into a
 * single VM without the daemon. Exit status: 0 done, 1 the worker refuses or
 * does not answer, 2 wrong arguments.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "parent/control/client.h"
#include "parent/control/export.h"
#include "parent/control/open.h"

#define TIMEOUT_MS   60000
#define REPLAY_BYTES 65536u
#define DETACH_KEY   0x1d /* Ctrl-] */

static const char usage[] =
    "Usage: bhctl SOCKET METHOD [PARAMS]   one request; PARAMS is a JSON object\n"
    "       bhctl SOCKET console           the serial console; Ctrl-] leaves\n"
    "       bhctl SOCKET events            prints events until the worker ends\n"
    "\n"
    "Methods: status, start, pause, resume, reset, power_off, shutdown, stats, set,\n"
    "disk_add, disk_remove, nic_add, nic_remove, cd_insert, cd_eject.\n";

static int fail(const struct bh_control_error *error)
{
    (void)fprintf(stderr, "bhctl: %s\n", error->message);
    return 1;
}

/* --- one request -------------------------------------------------------------------------- */

static bool open_tap(json_t *params, struct bh_fds *fds, struct bh_control_error *error)
{
    struct bh_nic_config nic;

    if (!bh_nic_config_parse(json_object_get(params, "nic"), "nic", &nic, error) ||
        !bh_control_open_tap(nic.tap, nic.queues, fds, error))
        return false;
    if (json_object_set_new(params, "tap_queues", json_integer(fds->count)) == 0)
        return true;
    bh_fds_close(fds);
    return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "Out of memory.");
}

/* `*server`: see bh_control_open_disk. */
static bool open_disk(const struct bh_disk_config *disk, struct bh_fds *fds, int *server,
                      struct bh_control_error *error)
{
    *fds = bh_fds_one(bh_control_open_disk(disk, 0, server, error));
    return fds->count != 0;
}

/* Opens what must go with the request, if anything must; false when that cannot be. */
static bool open_descriptors(enum bh_control_method method, json_t *params, struct bh_fds *fds,
                             int *server, struct bh_control_error *error)
{
    const char *path = json_string_value(json_object_get(params, "path"));
    struct bh_disk_config disk = {.path = ""};

    *fds = bh_fds_one(-1);
    *server = -1;
    if (method == BH_METHOD_NIC_ADD)
        return open_tap(params, fds, error);
    if (method == BH_METHOD_DISK_ADD &&
        !bh_disk_config_parse(json_object_get(params, "disk"), "disk", &disk, error))
        return false;
    if (method == BH_METHOD_CD_INSERT && path != NULL) {
        disk.read_only = true;
        (void)snprintf(disk.path, sizeof(disk.path), "%s", path);
    }
    return disk.path[0] == '\0' || open_disk(&disk, fds, server, error);
}

static int request(struct bh_control_client *client, enum bh_control_method method, json_t *params)
{
    struct bh_control_error error;
    struct bh_fds fds;
    json_t *result;
    int server;
    bool done;

    if (!open_descriptors(method, params, &fds, &server, &error)) {
        json_decref(params);
        return fail(&error);
    }
    done = bh_control_call_with(client, method, params, fds, TIMEOUT_MS, &result, &error);
    bh_export_settle(server, done);
    if (!done)
        return fail(&error);
    (void)json_dumpf(result, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(result);
    return 0;
}

static int parse_and_request(struct bh_control_client *client, const char *name, const char *text)
{
    enum bh_control_method method;
    json_error_t problem;
    json_t *params;

    if (!bh_control_method_parse(name, &method) || method == BH_METHOD_CONSOLE_ATTACH) {
        (void)fprintf(stderr, "bhctl: there is no method '%s'; see bhctl --help\n", name);
        return 2;
    }
    params = json_loads(text != NULL ? text : "{}", JSON_REJECT_DUPLICATES, &problem);
    if (params == NULL) {
        (void)fprintf(stderr, "bhctl: the parameters are not JSON: %s\n", problem.text);
        return 2;
    }
    return request(client, method, params);
}

/* --- events ------------------------------------------------------------------------------- */

static int print_events(struct bh_control_client *client)
{
    struct bh_control_message message;
    struct bh_control_error error;

    while (bh_control_receive(client, -1, &message, NULL, &error) == BH_CONTROL_MESSAGE) {
        (void)json_dumpf(message.body, stdout, JSON_COMPACT);
        (void)putchar('\n');
        (void)fflush(stdout);
        bh_control_message_release(&message);
    }
    return 0;
}

/* --- console ------------------------------------------------------------------------------ */

/* Copies what there is; false at the end, or at the detach key when `keys`. */
static bool copy(int from, int to, bool keys)
{
    char buffer[4096];
    ssize_t got = read(from, buffer, sizeof(buffer));
    char *detach = keys && got > 0 ? memchr(buffer, DETACH_KEY, (size_t)got) : NULL;
    ssize_t length = detach != NULL ? detach - buffer : got;

    if (got <= 0)
        return false;
    return write(to, buffer, (size_t)length) == length && detach == NULL;
}

static void converse(int console)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = console, .events = POLLIN}};

    while (poll(fds, 2, -1) > 0) {
        if (fds[1].revents != 0 && !copy(console, STDOUT_FILENO, false))
            return;
        if (fds[0].revents != 0 && !copy(STDIN_FILENO, console, true)) {
            if (isatty(STDIN_FILENO))
                return;
            fds[0].fd = -1; /* a script has said all: go on listening */
        }
    }
}

static int attach(struct bh_control_client *client)
{
    struct bh_control_error error;
    struct termios before;
    struct termios raw;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    int console = bh_control_console_attach(client, "serial0", REPLAY_BYTES, TIMEOUT_MS, &error);

    if (console < 0)
        return fail(&error);
    raw = before;
    if (terminal) {
        cfmakeraw(&raw);
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    converse(console);
    if (terminal)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    (void)close(console);
    return 0;
}

int main(int argc, char **argv)
{
    struct bh_control_client *client;
    struct bh_control_error error;
    int status;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc < 3 || argc > 4) {
        (void)fputs(usage, stderr);
        return 2;
    }
    client = bh_control_connect(argv[1], TIMEOUT_MS, &error);
    if (client == NULL)
        return fail(&error);
    if (strcmp(argv[2], "console") == 0)
        status = attach(client);
    else if (strcmp(argv[2], "events") == 0)
        status = print_events(client);
    else
        status = parse_and_request(client, argv[2], argc == 4 ? argv[3] : NULL);
    bh_control_close(client);
    return status;
}
