/* SPDX-License-Identifier: MIT */
/* parent/control/export: what a qemu-nbd that it starts serves, what it may, and when it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/control/export.h"
#include "vsp/storage/nbd.h"

#define USER   60777
#define END_MS 60000

static char folder[] = "/tmp/bh-export-XXXXXX";
static char path[64];
static struct bh_loop *loop;

static int begin(void **state)
{
    struct bh_error error;
    char command[128];

    (void)state;
    if (mkdtemp(folder) == NULL || !bh_nbd_load(&error))
        return -1;
    loop = bh_loop_create();
    (void)snprintf(path, sizeof(path), "%s/disk", folder);
    (void)snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 %s 4M", path);
    return system(command); /* NOLINT(cert-env33-c): a path of our own */
}

static int end(void **state)
{
    (void)state;
    bh_loop_destroy(loop);
    (void)unlink(path);
    return rmdir(folder);
}

static int open_export(bool read_only, bool attended, int *server)
{
    const struct bh_export export = {path, "qcow2", read_only, USER, attended};
    struct bh_control_error error = {.message = ""};
    int fd = bh_export_open(&export, server, &error);

    if (fd < 0)
        print_error("%s\n", error.message);
    return fd;
}

static void expect_end(int server)
{
    struct pollfd wait = {.fd = server, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, END_MS), 1);
    bh_export_settle(server, true);
}

static void on_done(struct bh_store_io *io, int result)
{
    *(int *)io->context = result;
}

static int transfer(struct bh_store *store, enum bh_store_operation operation, char *bytes,
                    uint32_t size)
{
    struct iovec piece = {bytes, size};
    int result = 1;
    struct bh_store_io io = {.operation = operation,
                             .size = size,
                             .pieces = &piece,
                             .count = 1,
                             .done = on_done,
                             .context = &result};

    bh_store_submit(store, &io);
    while (result == 1) {
        struct pollfd wait = {.fd = bh_loop_fd(loop), .events = POLLIN};

        (void)poll(&wait, 1, -1);
        bh_loop_serve(loop);
    }
    return result;
}

static void what_is_written_is_there_for_the_next_server(void **state)
{
    struct bh_error error;
    struct bh_store *store;
    char bytes[4096];
    int server;
    int fd;

    (void)state;
    for (int round = 0; round < 2; round++) {
        fd = open_export(round == 1, false, &server);
        assert_true(fd >= 0);
        store = bh_nbd_attach(loop, fd, "", round == 1, &error);
        assert_non_null(store);
        assert_int_equal(store->size, 4 << 20);
        memset(bytes, round == 0 ? 'x' : 0, sizeof(bytes));
        assert_int_equal(
            transfer(store, round == 0 ? BH_STORE_WRITE : BH_STORE_READ, bytes, sizeof(bytes)), 0);
        assert_int_equal(bytes[4095], 'x');
        bh_store_close(store);
        expect_end(server);
    }
}

/* The number behind a word at the start of a line; -1 without that line. */
static long number_of(const char *file, const char *word, int base)
{
    FILE *lines = fopen(file, "re");
    char line[256];
    long number = -1;

    assert_non_null(lines);
    while (fgets(line, sizeof(line), lines) != NULL)
        if (strncmp(line, word, strlen(word)) == 0)
            number = strtol(line + strlen(word), NULL, base);
    (void)fclose(lines);
    return number;
}

static long pid_of(int server)
{
    char file[64];

    (void)snprintf(file, sizeof(file), "/proc/self/fdinfo/%d", server);
    return number_of(file, "Pid:", 10);
}

static void the_server_is_locked_in(void **state)
{
    char file[64];
    char ours[64] = "";
    char its[64] = "";
    struct stat image;
    int server;
    int fd = open_export(false, false, &server);
    long pid = pid_of(server);

    (void)state;
    assert_true(fd >= 0);
    (void)snprintf(file, sizeof(file), "/proc/%ld/status", pid);
    assert_int_equal(number_of(file, "Uid:", 10), USER);
    assert_int_equal(number_of(file, "Gid:", 10), USER);
    assert_int_equal(number_of(file, "CapEff:", 16), 0);
    assert_int_equal(number_of(file, "CapPrm:", 16), 0);
    assert_int_equal(number_of(file, "NoNewPrivs:", 10), 1);
    (void)snprintf(file, sizeof(file), "/proc/%ld/ns/net", pid);
    assert_true(readlink(file, its, sizeof(its) - 1) > 0);
    assert_true(readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) > 0);
    assert_string_not_equal(ours, its);
    assert_int_equal(stat(path, &image), 0);
    assert_int_equal(image.st_uid, USER);
    assert_int_equal(image.st_mode & 077, image.st_mode & 044); /* as it was made */
    (void)close(fd);
    bh_export_settle(server, false);
}

static void a_server_that_nobody_took_over_is_ended(void **state)
{
    int server;
    int fd = open_export(false, false, &server);
    int copy = dup(server);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    bh_export_settle(server, false);
    expect_end(copy);
}

/* Even one that its client never spoke to. */
static void an_attended_server_ends_with_its_process(void **state)
{
    int pair[2];
    int server;
    pid_t worker;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    worker = fork();
    if (worker == 0) {
        long pid = -1;

        (void)close(pair[1]);
        if (open_export(false, true, &server) >= 0)
            pid = pid_of(server);
        (void)!write(pair[0], &pid, sizeof(pid));
        (void)!read(pair[0], &pid, 1);
        _exit(0);
    }
    (void)close(pair[0]);
    {
        long pid = -1;

        assert_int_equal(read(pair[1], &pid, sizeof(pid)), sizeof(pid));
        assert_true(pid > 0);
        server = pidfd_open((pid_t)pid, 0);
        assert_true(server >= 0);
    }
    (void)close(pair[1]);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    expect_end(server);
}

static void refusals_say_why(void **state)
{
    struct bh_export export = {path, "qcow2", false, USER, false};
    struct bh_control_error error = {.message = ""};
    int first;
    int second;
    int copy;
    int fd = open_export(false, false, &first);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(bh_export_open(&export, &second, &error), -1);
    assert_non_null(strstr(error.message, "lock")); /* after a while */
    (void)close(fd);
    copy = dup(first);
    bh_export_settle(first, false);
    expect_end(copy);
    export.format = "vmdk";
    assert_int_equal(bh_export_open(&export, &second, &error), -1);
    assert_int_equal(second, -1);
    assert_non_null(strstr(error.message, "invalid VMDK"));
    export.path = "/nowhere/disk";
    assert_int_equal(bh_export_open(&export, &second, &error), -1);
    assert_non_null(strstr(error.message, "/nowhere/disk cannot be served: No such file"));
    assert_int_equal(error.code, BH_CONTROL_RESOURCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_there_for_the_next_server),
        cmocka_unit_test(the_server_is_locked_in),
        cmocka_unit_test(a_server_that_nobody_took_over_is_ended),
        cmocka_unit_test(an_attended_server_ends_with_its_process),
        cmocka_unit_test(refusals_say_why),
    };

    if (geteuid() != 0)
        return 77; /* skipped: only root can give up rights */
    return cmocka_run_group_tests(tests, begin, end);
}
