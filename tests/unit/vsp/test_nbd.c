/* SPDX-License-Identifier: MIT */
/* vsp/storage/nbd against nbdkit, which has the disk in memory and is killed in the end. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vsp/storage/nbd.h"

static char folder[] = "/tmp/bh-nbd-XXXXXX";
static char socket_path[64];
static char uri[128];
static pid_t server;
static struct bh_loop *loop;

static int begin(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(socket_path, sizeof(socket_path), "%s/disk", folder);
    (void)snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", socket_path);
    server = fork();
    if (server == 0) {
        (void)execlp("nbdkit", "nbdkit", "-f", "--exit-with-parent", "-U", socket_path, "memory",
                     "4M", NULL);
        _exit(127);
    }
    for (unsigned i = 0; i < 1000 && access(socket_path, F_OK) != 0; i++)
        (void)usleep(10000);
    loop = bh_loop_create();
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
    assert_true(bh_nbd_is_uri("nbd://host/name"));
    assert_false(bh_nbd_is_uri("/srv/disk.raw"));
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
        cmocka_unit_test(a_server_that_dies_makes_errors),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
