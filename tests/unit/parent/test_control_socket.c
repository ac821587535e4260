/* SPDX-License-Identifier: MIT */
/*
 * parent/control: client and server over a real socket. The server runs in a
 * thread and serves a VM that only changes states and echoes on its console.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "parent/control/client.h"
#include "parent/control/open.h"
#include "parent/control/server.h"

#define TIMEOUT_MS 10000

static struct {
    char path[64];
    struct bh_control_server *server;
    pthread_t thread;
    atomic_bool stop;
    atomic_int events_wanted;
    enum bh_vm_state state;
} vm;

static void vm_hello(void *context, struct bh_control_hello *hello)
{
    (void)context;
    *hello = (struct bh_control_hello){.pid = 1, .state = vm.state, .worker = "t", .vm = "v"};
}

static json_t *vm_state(enum bh_vm_state state)
{
    vm.state = state;
    bh_control_server_event(vm.server, "state",
                            json_pack("{s:s}", "state", bh_vm_state_name(state)));
    return json_pack("{s:s}", "state", bh_vm_state_name(state));
}

static json_t *vm_console(int *fd)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return NULL;
    if (write(pair[0], "login: ", 7) != 7)
        return NULL;
    (void)close(pair[0]);
    *fd = pair[1];
    return json_pack("{s:s, s:i}", "console", "serial0", "replayed_bytes", 7);
}

/* Says what is in the file that came. */
static json_t *vm_insert(const struct bh_control_request *request)
{
    char text[16] = "";

    return pread(bh_fds_first(&request->fds), text, sizeof(text) - 1, 0) < 0
               ? NULL
               : json_pack("{s:s, s:s}", "id", "cd0", "content", text);
}

static json_t *vm_request(void *context, struct bh_control_request *request, int *fd,
                          struct bh_control_error *error)
{
    (void)context;
    switch (request->method) {
    case BH_METHOD_START:
    case BH_METHOD_RESUME:
        return vm_state(BH_VM_RUNNING);
    case BH_METHOD_PAUSE:
        return vm_state(BH_VM_PAUSED);
    case BH_METHOD_STATUS:
        return json_pack("{s:s}", "state", bh_vm_state_name(vm.state));
    case BH_METHOD_CONSOLE_ATTACH:
        return vm_console(fd);
    case BH_METHOD_CD_INSERT:
        return vm_insert(request);
    case BH_METHOD_DISK_ADD:
        return json_pack("{s:i}", "fd", bh_fds_first(&request->fds));
    case BH_METHOD_NIC_ADD:
        return json_pack("{s:i}", "descriptors", (int)request->fds.count);
    default:
        bh_control_error_set(error, BH_CONTROL_NOT_SUPPORTED, NULL, "Not in this test.");
        return NULL;
    }
}

static void *serve(void *unused)
{
    struct pollfd one = {.fd = bh_control_server_fd(vm.server), .events = POLLIN};

    while (!atomic_load(&vm.stop)) {
        if (poll(&one, 1, 20) > 0)
            bh_control_server_serve(vm.server);
        for (; atomic_load(&vm.events_wanted) > 0; atomic_fetch_sub(&vm.events_wanted, 1))
            bh_control_server_event(vm.server, "memory", json_pack("{s:s}", "pad", "0123456789"));
    }
    return unused;
}

static const struct bh_control_service service = {.hello = vm_hello, .request = vm_request};

static int setup(void **state)
{
    struct bh_control_error error;

    (void)state;
    memset(&vm, 0, sizeof(vm));
    (void)snprintf(vm.path, sizeof(vm.path), "/tmp/bh-control-%d.sock", (int)getpid());
    vm.server = bh_control_server_open(vm.path, &service, &error);
    return vm.server == NULL || pthread_create(&vm.thread, NULL, serve, NULL) != 0;
}

static int teardown(void **state)
{
    (void)state;
    atomic_store(&vm.stop, true);
    (void)pthread_join(vm.thread, NULL);
    bh_control_server_close(vm.server);
    return access(vm.path, F_OK) == 0;
}

static struct bh_control_client *attach(void)
{
    struct bh_control_error error;
    struct bh_control_client *client = bh_control_connect(vm.path, TIMEOUT_MS, &error);

    assert_non_null(client);
    return client;
}

static void count_event(void *context, const char *event, const json_t *body)
{
    (void)body;
    if (strcmp(event, "state") == 0)
        (*(int *)context)++;
}

static void states_change_and_events_arrive(void **state)
{
    struct bh_control_client *client = attach();
    struct bh_control_error error;
    enum bh_vm_state now;
    int events = 0;

    (void)state;
    assert_int_equal(bh_control_client_hello(client)->state, BH_VM_CREATED);
    bh_control_on_event(client, count_event, &events);
    assert_true(bh_control_change(client, BH_METHOD_START, TIMEOUT_MS, &now, &error));
    assert_int_equal(now, BH_VM_RUNNING);
    assert_true(bh_control_change(client, BH_METHOD_PAUSE, TIMEOUT_MS, &now, &error));
    assert_int_equal(now, BH_VM_PAUSED);
    assert_int_equal(events, 2);
    bh_control_close(client);
}

static void wrong_state_and_missing_service_are_errors(void **state)
{
    struct bh_control_client *client = attach();
    struct bh_control_error error;
    enum bh_vm_state now;

    (void)state;
    assert_false(bh_control_change(client, BH_METHOD_PAUSE, TIMEOUT_MS, &now, &error));
    assert_int_equal(error.code, BH_CONTROL_INVALID_STATE);
    assert_string_equal(error.field, "state");
    assert_non_null(strstr(error.message, "created"));
    assert_false(bh_control_call(client, BH_METHOD_STATS, NULL, TIMEOUT_MS, NULL, &error));
    assert_int_equal(error.code, BH_CONTROL_NOT_SUPPORTED);
    bh_control_close(client);
}

static void a_console_comes_as_a_descriptor(void **state)
{
    struct bh_control_client *client = attach();
    struct bh_control_error error;
    char text[16] = {0};
    int fd = bh_control_console_attach(client, "serial0", 4096, TIMEOUT_MS, &error);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof(text) - 1), 7);
    assert_string_equal(text, "login: ");
    assert_int_equal(close(fd), 0);
    bh_control_close(client);
}

static int open_count(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static void a_disc_goes_along_as_a_descriptor(void **state)
{
    struct bh_control_client *client = attach();
    struct bh_control_error error;
    json_t *result = NULL;
    char path[80];
    int before;

    (void)state;
    (void)snprintf(path, sizeof(path), "%.60s.iso", vm.path);
    write_file(path, "a disc");
    assert_true(
        bh_control_call(client, BH_METHOD_STATUS, NULL, TIMEOUT_MS, NULL, &error)); /* accepted */
    before = open_count();
    assert_true(bh_control_call_with(
        client, BH_METHOD_CD_INSERT, json_pack("{s:s, s:s}", "id", "cd0", "path", path),
        bh_fds_one(bh_control_open_file(path, true, &error)), TIMEOUT_MS, &result, &error));
    assert_string_equal(json_string_value(json_object_get(result, "content")), "a disc");
    json_decref(result);
    assert_int_equal(open_count(), before); /* neither side keeps it */
    assert_int_equal(unlink(path), 0);
    bh_control_close(client);
}

static void without_the_descriptor_it_is_refused(void **state)
{
    struct bh_control_client *client = attach();
    struct bh_control_error error;
    json_t *result = NULL;

    (void)state;
    assert_false(bh_control_call(client, BH_METHOD_CD_INSERT,
                                 json_pack("{s:s, s:s}", "id", "cd0", "path", "/x"), TIMEOUT_MS,
                                 NULL, &error));
    assert_int_equal(error.code, BH_CONTROL_INVALID_PARAMS);
    assert_string_equal(error.field, "path");
    assert_false(bh_control_call(client, BH_METHOD_DISK_ADD,
                                 json_pack("{s:{s:s, s:s}}", "disk", "id", "d", "path", "/x"),
                                 TIMEOUT_MS, NULL, &error));
    assert_string_equal(error.field, "disk.path");
    /* A drive without a disc needs none. */
    assert_true(bh_control_call(client, BH_METHOD_DISK_ADD,
                                json_pack("{s:{s:s, s:s}}", "disk", "id", "d", "kind", "cd"),
                                TIMEOUT_MS, &result, &error));
    assert_int_equal(json_integer_value(json_object_get(result, "fd")), -1);
    json_decref(result);
    bh_control_close(client);
}

static void a_descriptor_nobody_asked_for_is_closed(void **state)
{
    struct bh_control_client *client = attach();
    struct bh_control_error error;
    int ends[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(bh_control_call_with(client, BH_METHOD_STATUS, NULL, bh_fds_one(ends[1]),
                                     TIMEOUT_MS, NULL, &error));
    assert_int_equal(read(ends[0], &byte, 1), 0); /* no writer is left */
    assert_false(bh_control_call(client, BH_METHOD_CD_INSERT,
                                 json_pack("{s:s, s:s}", "id", "cd0", "path", "/x"), TIMEOUT_MS,
                                 NULL, &error));
    assert_int_equal(close(ends[0]), 0);
    bh_control_close(client);
}

/* Whether the far ends of the pipes have nobody left to write to them. */
static void expect_closed(int (*pipes)[2], unsigned count)
{
    char byte;

    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(read(pipes[i][0], &byte, 1), 0);
        assert_int_equal(close(pipes[i][0]), 0);
    }
}

static bool add_nic(struct bh_control_client *client, unsigned named, unsigned sent,
                    json_t **result, struct bh_control_error *error)
{
    struct bh_fds fds = {.count = sent};
    int pipes[BH_FDS_MAX][2];
    bool good;

    for (unsigned i = 0; i < sent; i++) {
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
        fds.fd[i] = pipes[i][1];
    }
    good = bh_control_call_with(client, BH_METHOD_NIC_ADD,
                                json_pack("{s:{s:s}, s:i}", "nic", "id", "n", "tap_queues", named),
                                fds, TIMEOUT_MS, result, error);
    expect_closed(pipes, sent);
    return good;
}

static void the_queues_of_a_tap_go_along_with_one_line(void **state)
{
    struct bh_control_client *client = attach();
    struct bh_control_error error;
    json_t *result = NULL;

    (void)state;
    for (unsigned count = 1; count <= BH_FDS_MAX; count++) {
        assert_true(add_nic(client, count, count, &result, &error));
        assert_int_equal(json_integer_value(json_object_get(result, "descriptors")), count);
        json_decref(result);
    }
    assert_false(add_nic(client, 4, 3, &result, &error));
    assert_string_equal(error.field, "nic.tap");
    assert_false(add_nic(client, 9, 1, &result, &error));
    assert_string_equal(error.field, "tap_queues");
    assert_true(add_nic(client, 2, 3, &result, &error)); /* the third is nobody's */
    json_decref(result);
    bh_control_close(client);
}

static void what_cannot_be_opened_says_why(void **state)
{
    struct bh_control_error error;
    struct bh_fds fds;

    (void)state;
    assert_int_equal(bh_control_open_file("/nowhere/disk", false, &error), -1);
    assert_int_equal(error.code, BH_CONTROL_RESOURCE);
    assert_non_null(strstr(error.message, "/nowhere/disk"));
    assert_false(bh_control_open_tap("bh-no-such-tap", 2, &fds, &error));
    assert_int_equal(fds.count, 0);
    assert_non_null(strstr(error.message, "bh-no-such-tap"));
    assert_false(bh_control_open_tap("a-name-too-long-for-an-interface", 2, &fds, &error));
}

static int open_disk(const char *path, struct bh_control_error *error)
{
    struct bh_disk_config disk = {.id = "d"};
    int server;
    int fd;

    (void)snprintf(disk.path, sizeof(disk.path), "%s", path);
    fd = bh_control_open_disk(&disk, 0, &server, error);
    assert_int_equal(server, -1);
    return fd;
}

static void an_nbd_disk_is_a_connected_socket(void **state)
{
    struct bh_control_error error;
    char uri[128];
    char hello[9] = "";
    int fd;

    (void)state;
    (void)snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", vm.path); /* any that listens */
    fd = open_disk(uri, &error);
    assert_true(fd >= 0);
    assert_int_equal(recv(fd, hello, 8, MSG_WAITALL), 8);
    assert_string_equal(hello, "{\"event\"");
    assert_int_equal(close(fd), 0);
    assert_int_equal(open_disk("nbd+unix:///?socket=/nowhere/s", &error), -1);
    assert_int_equal(error.code, BH_CONTROL_RESOURCE);
    assert_non_null(strstr(error.message, "/nowhere/s cannot be reached: No such file"));
    assert_int_equal(open_disk("nbd://127.0.0.1:1/x", &error), -1);
    assert_non_null(strstr(error.message, "Connection refused"));
    assert_int_equal(open_disk("nbd://user@127.0.0.1/x", &error), -1);
    assert_int_equal(error.code, BH_CONTROL_INVALID_PARAMS);
    assert_int_equal(open_disk("/nowhere/disk", &error), -1);
}

static void the_socket_is_private_and_single(void **state)
{
    struct bh_control_error error;
    struct stat status;

    (void)state;
    assert_int_equal(stat(vm.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_null(bh_control_server_open(vm.path, &service, &error));
    assert_int_equal(error.code, BH_CONTROL_ALREADY_EXISTS);
}

static void a_dead_socket_is_replaced(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct bh_control_server *server;
    struct bh_control_error error;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.60s.dead", vm.path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(close(fd), 0);
    assert_null(bh_control_connect(address.sun_path, 100, &error));
    assert_int_equal(error.code, BH_CONTROL_RESOURCE);
    server = bh_control_server_open(address.sun_path, &service, &error);
    assert_non_null(server);
    bh_control_server_close(server);
}

/* A client without the library, for lines that the library would not send. */
static int raw_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, vm.path, strlen(vm.path));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Reads until `needle` has come or the peer closed; returns whether it came. */
static bool raw_expect(int fd, const char *needle)
{
    static char text[1 << 18];
    size_t used = 0;

    memset(text, 0, sizeof(text));
    while (used < sizeof(text) - 1 && strstr(text, needle) == NULL) {
        ssize_t got = read(fd, text + used, sizeof(text) - 1 - used);

        if (got <= 0)
            break;
        used += (size_t)got;
    }
    return strstr(text, needle) != NULL;
}

static void broken_lines_get_answers_and_long_ones_the_door(void **state)
{
    char *flood = malloc(BH_CONTROL_LINE_MAX + 10);
    char rest[64];
    int fd = raw_connect();

    (void)state;
    assert_true(raw_expect(fd, "\"hello\""));
    assert_int_equal(write(fd, "nonsense\n{\"id\":4,\"method\":\"status\"}\n", 37), 37);
    assert_true(raw_expect(fd, "{\"id\":4,\"result\":{\"state\":\"created\"}}"));
    memset(flood, 'x', BH_CONTROL_LINE_MAX + 10);
    assert_true(send(fd, flood, BH_CONTROL_LINE_MAX, MSG_NOSIGNAL) > 0);
    assert_true(raw_expect(fd, "longer than 65536"));
    assert_true(read(fd, rest, sizeof(rest)) <= 0);
    free(flood);
    assert_int_equal(close(fd), 0);
}

static void many_requests_in_one_packet_are_all_answered(void **state)
{
    char packet[60000];
    size_t used = 0;
    unsigned count = 0;
    char last[64];
    int fd = raw_connect();

    (void)state;
    while (used + 64 < sizeof(packet))
        used += (size_t)snprintf(packet + used, sizeof(packet) - used,
                                 "{\"id\":%u,\"method\":\"status\"}\n", ++count);
    assert_int_equal(write(fd, packet, used), used);
    (void)snprintf(last, sizeof(last), "{\"id\":%u,\"result\"", count);
    assert_true(raw_expect(fd, last));
    assert_int_equal(close(fd), 0);
}

static void a_client_that_does_not_read_is_dropped_and_others_live(void **state)
{
    struct bh_control_client *good = attach();
    struct bh_control_error error;
    struct bh_control_message message;
    int deaf = raw_connect();
    unsigned seen = 0;

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        atomic_fetch_add(&vm.events_wanted, 500);
        for (unsigned i = 0; i < 500; i++) {
            assert_int_equal(bh_control_receive(good, TIMEOUT_MS, &message, NULL, &error),
                             BH_CONTROL_MESSAGE);
            bh_control_message_release(&message);
            seen++;
        }
    }
    assert_int_equal(seen, 50000);
    assert_true(bh_control_call(good, BH_METHOD_STATUS, NULL, TIMEOUT_MS, NULL, &error));
    assert_false(raw_expect(deaf, "never said"));
    assert_int_equal(close(deaf), 0);
    bh_control_close(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(states_change_and_events_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_state_and_missing_service_are_errors, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_console_comes_as_a_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disc_goes_along_as_a_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(without_the_descriptor_it_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_nobody_asked_for_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_queues_of_a_tap_go_along_with_one_line, setup,
                                        teardown),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test_setup_teardown(an_nbd_disk_is_a_connected_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(the_socket_is_private_and_single, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_socket_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_lines_get_answers_and_long_ones_the_door, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_requests_in_one_packet_are_all_answered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_read_is_dropped_and_others_live,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
