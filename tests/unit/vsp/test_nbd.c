/* SPDX-License-Identifier: MIT */
/* vsp/storage/nbd against nbdkit, which has the disk in memory and is killed in the end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vsp/storage/disk.h"
#include "vsp/storage/nbd.h"

static char folder[] = "/tmp/bh-nbd-XXXXXX";
static char socket_path[64];
static char uri[128];
static pid_t server;
static struct bh_loop *loop;

static void start_server(void)
{
    server = fork();
    if (server == 0) {
        (void)execlp("nbdkit", "nbdkit", "-f", "--exit-with-parent", "-U", socket_path, "memory",
                     "4M", NULL);
        _exit(127);
    }
    for (unsigned i = 0; i < 1000 && access(socket_path, F_OK) != 0; i++)
        (void)usleep(10000);
}

static int begin(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(socket_path, sizeof(socket_path), "%s/disk", folder);
    (void)snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", socket_path);
    start_server();
    loop = bh_loop_create();
    return access(socket_path, F_OK);
}

/* After a test that has killed it. */
static int again(void **state)
{
    (void)state;
    (void)unlink(socket_path);
    start_server();
    return access(socket_path, F_OK);
}

static int end(void **state)
{
    (void)state;
    bh_loop_destroy(loop);
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    (void)unlink(socket_path);
    return rmdir(folder);
}

static int answer;
static bool was_done;

static void on_done(struct bh_store_io *io, int result)
{
    (void)io;
    assert_false(was_done);
    was_done = true;
    answer = result;
}

static int run(struct bh_store *store, struct bh_store_io io)
{
    struct pollfd wait = {.fd = bh_loop_fd(loop), .events = POLLIN};

    io.done = on_done;
    was_done = false;
    bh_store_submit(store, &io);
    while (!was_done) {
        assert_int_equal(poll(&wait, 1, 10000), 1);
        bh_loop_serve(loop);
    }
    return answer;
}

static void an_export_is_a_store(void **state)
{
    static uint8_t data[3][4096];
    struct iovec pieces[3] = {{data[0], 4096}, {data[1], 512}, {data[2], 4096}};
    struct bh_error error;
    struct bh_store *store = bh_nbd_open(loop, uri, false, &error);
    struct bh_store_io io = {.operation = BH_STORE_WRITE,
                             .offset = 512,
                             .size = 8704,
                             .pieces = pieces,
                             .count = 3,
                             .durable = true};

    (void)state;
    assert_non_null(store);
    assert_int_equal(store->size, 4 << 20);
    for (unsigned i = 0; i < 3; i++)
        memset(data[i], (int)i + 1, 4096);
    assert_int_equal(run(store, io), 0);
    memset(data, 0, sizeof(data));
    io.operation = BH_STORE_READ;
    assert_int_equal(run(store, io), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(data[i][pieces[i].iov_len - 1], i + 1);
    assert_int_equal(run(store, (struct bh_store_io){.operation = BH_STORE_FLUSH}), 0);
    assert_int_equal(
        run(store, (struct bh_store_io){.operation = BH_STORE_ZERO, .offset = 512, .size = 512}),
        0);
    assert_int_equal(
        run(store,
            (struct bh_store_io){.operation = BH_STORE_DISCARD, .offset = 8192, .size = 4096}),
        0);
    io.count = 1; /* without a buffer between */
    io.size = 4096;
    assert_int_equal(run(store, io), 0);
    assert_int_equal(data[0][511], 0);
    assert_int_equal(data[0][512], 1);
    bh_store_close(store);
}

static void a_server_that_is_not_there(void **state)
{
    struct bh_error error;

    (void)state;
    assert_null(bh_nbd_open(loop, "nbd+unix:///?socket=/tmp/no-such-socket", false, &error));
    assert_non_null(strstr(error.text, "NBD"));
}

static int connect_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void a_connected_socket_is_a_store(void **state)
{
    static uint8_t data[4096];
    struct iovec piece = {data, sizeof(data)};
    struct bh_error error;
    struct bh_store *store = bh_nbd_attach(loop, connect_socket(), "any", false, &error);
    struct bh_store_io io = {
        .operation = BH_STORE_WRITE, .size = sizeof(data), .pieces = &piece, .count = 1};

    (void)state;
    assert_non_null(store);
    assert_int_equal(store->size, 4 << 20);
    memset(data, 0x5a, sizeof(data));
    assert_int_equal(run(store, io), 0);
    memset(data, 0, sizeof(data));
    io.operation = BH_STORE_READ;
    assert_int_equal(run(store, io), 0);
    assert_int_equal(data[4095], 0x5a);
    bh_store_close(store);
}

static void a_socket_without_a_server_is_refused(void **state)
{
    struct bh_error error;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_null(bh_nbd_attach(loop, pair[0], "", false, &error)); /* it says nothing */
    assert_non_null(strstr(error.text, "does not answer"));
    assert_int_equal(close(pair[1]), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[1], "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
    assert_null(bh_nbd_attach(loop, pair[0], "", false, &error));
    assert_int_equal(close(pair[1]), 0);
    assert_null(bh_nbd_attach(loop, open("/dev/null", O_RDWR | O_CLOEXEC), "", false, &error));
    assert_non_null(strstr(error.text, "NBD"));
}

static char complaint[200];

static void on_failed(void *context, const char *id, const char *operation, const char *sentence)
{
    (void)context;
    assert_string_equal(id, "hot");
    assert_string_equal(operation, "read");
    (void)snprintf(complaint, sizeof(complaint), "%s", sentence);
}

static void on_executed(struct bh_scsi_request *request)
{
    (void)request;
    was_done = true;
}

/* READ(10) of the first sector; the key of its sense data, 0: there is none. */
static unsigned read_sector(struct bh_disk *disk)
{
    static uint8_t data[512];
    struct iovec piece = {data, sizeof(data)};
    struct pollfd wait = {.fd = bh_loop_fd(loop), .events = POLLIN};
    struct bh_scsi_request request = {.cdb = {0x28, 0, 0, 0, 0, 0, 0, 0, 1},
                                      .direction = BH_SCSI_READ,
                                      .size = sizeof(data),
                                      .pieces = &piece,
                                      .count = 1,
                                      .done = on_executed};

    was_done = false;
    bh_disk_execute(disk, &request);
    while (!was_done) {
        assert_int_equal(poll(&wait, 1, 10000), 1);
        bh_loop_serve(loop);
    }
    return request.status == SCSI_GOOD ? 0 : request.sense[2];
}

static void a_dead_server_is_sense_data_and_a_sentence(void **state)
{
    const struct bh_disk_options options = {.vm = "vm", .id = "hot", .failed = on_failed};
    struct bh_error error;
    struct bh_store *store = bh_nbd_attach(loop, connect_socket(), "", false, &error);
    struct bh_disk *disk;

    (void)state;
    assert_non_null(store);
    disk = bh_disk_create(loop, &options, store);
    assert_non_null(disk);
    assert_int_equal(read_sector(disk), SCSI_UNIT_ATTENTION);
    assert_int_equal(read_sector(disk), 0);
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    assert_int_equal(read_sector(disk), SCSI_HARDWARE_ERROR);
    assert_string_equal(complaint, "Disk hot: read at byte 0 failed: the NBD server is gone.");
    assert_int_equal(read_sector(disk), SCSI_HARDWARE_ERROR);
    assert_int_equal(bh_disk_get_stats(disk)->errors, 2);
    bh_disk_destroy(disk);
}

static void a_server_that_dies_makes_errors(void **state)
{
    static uint8_t data[512];
    struct iovec piece = {data, 512};
    struct bh_error error;
    struct bh_store *store = bh_nbd_open(loop, uri, false, &error);
    const struct bh_store_io io = {
        .operation = BH_STORE_READ, .size = 512, .pieces = &piece, .count = 1};

    (void)state;
    assert_non_null(store);
    assert_int_equal(run(store, io), 0);
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(run(store, io), -ENOTCONN);
    bh_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_export_is_a_store),
        cmocka_unit_test(a_server_that_is_not_there),
        cmocka_unit_test(a_connected_socket_is_a_store),
        cmocka_unit_test(a_socket_without_a_server_is_refused),
        cmocka_unit_test_setup_teardown(a_server_that_dies_makes_errors, NULL, again),
        cmocka_unit_test(a_dead_server_is_sense_data_and_a_sentence),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
