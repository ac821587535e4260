/* SPDX-License-Identifier: MIT */
/*
 * parent/worker/sandbox.c: a process that has locked itself in tries to get out.
 * Each attempt is a process of its own; a forbidden system call kills it.
 * Needs root, as the worker does when it starts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/worker/sandbox.h"
#include "vsp/storage/nbd.h"

#define NOBODY 65534
#define INSIDE 77 /* exit status: the attempt was allowed */

static int root_fd; /* a folder left open, as a mistake would */
static int nbd_socket;
static struct bh_loop *loop;

/* In the locked-in process: the attempt's result, or death. */
static int run_locked_in(long (*attempt)(void))
{
    const struct bh_sandbox_options options = {.user = NOBODY - 1, .group = NOBODY - 1};
    struct bh_error error;
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (!bh_sandbox_enter(&options, &error))
            _exit(1);
        /* Not _exit: the address sanitizer puts system calls of its own before it. */
        (void)syscall(SYS_exit_group, attempt() == 0 ? INSIDE : 2);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void expect_killed(long (*attempt)(void))
{
    int status = run_locked_in(attempt);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static long open_file(void)
{
    return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long open_by_folder(void)
{
    return syscall(SYS_openat, root_fd, "etc/passwd", O_RDONLY);
}

static long run_program(void)
{
    char *const none[] = {NULL};

    return syscall(SYS_execve, "/bin/sh", none, none);
}

static long make_socket(void)
{
    return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static long map_code(void)
{
    return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long other_ioctl(void)
{
    return syscall(SYS_ioctl, 0, 0x5401 /* TCGETS */, NULL);
}

static long trace(void)
{
    return syscall(SYS_ptrace, 0, 0, NULL, NULL);
}

static long kill_others(void)
{
    return syscall(SYS_kill, 1, 0);
}

static void attempts_to_get_out_are_fatal(void **state)
{
    (void)state;
    expect_killed(open_file);
    expect_killed(open_by_folder);
    expect_killed(run_program);
    expect_killed(make_socket);
    expect_killed(map_code);
    expect_killed(other_ioctl);
    expect_killed(trace);
    expect_killed(kill_others);
}

static long work_on_open_files(void)
{
    char byte = 'x';
    int pair[2];
    void *memory;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || write(pair[0], &byte, 1) != 1 ||
        read(pair[1], &byte, 1) != 1)
        return -1;
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? 0 : -1;
}

static void what_the_worker_does_is_allowed(void **state)
{
    int status = run_locked_in(work_on_open_files);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), INSIDE);
}

static void on_read(struct bh_store_io *io, int result)
{
    *(int *)io->context = result;
}

/* On the server that `nbd_socket` is connected to. */
static long read_nbd_disk(void)
{
    struct bh_error error;
    struct bh_store *store = bh_nbd_attach(loop, nbd_socket, "", false, &error);
    char sector[512];
    struct iovec piece = {sector, sizeof(sector)};
    int result = 1;
    struct bh_store_io io = {.operation = BH_STORE_READ,
                             .size = sizeof(sector),
                             .pieces = &piece,
                             .count = 1,
                             .done = on_read,
                             .context = &result};

    if (store == NULL)
        return -1;
    bh_store_submit(store, &io);
    while (result == 1) {
        struct pollfd wait = {.fd = bh_loop_fd(loop), .events = POLLIN};

        (void)poll(&wait, 1, -1);
        bh_loop_serve(loop);
    }
    bh_store_close(store);
    return result;
}

/* The library was loaded and the socket connected before, as for a disk that is hot-added. */
static void an_nbd_disk_is_used_from_inside(void **state)
{
    struct bh_error error;
    int pair[2];
    int status;
    pid_t server;

    (void)state;
    assert_true(bh_nbd_load(&error));
    loop = bh_loop_create();
    assert_non_null(loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    server = fork();
    if (server == 0) {
        (void)dup2(pair[1], 0);
        (void)dup2(pair[1], 1);
        (void)execlp("nbdkit", "nbdkit", "-s", "--exit-with-parent", "memory", "1M", NULL);
        _exit(127);
    }
    (void)close(pair[1]);
    nbd_socket = pair[0];
    status = run_locked_in(read_nbd_disk);
    (void)close(nbd_socket);
    bh_loop_destroy(loop);
    assert_int_equal(waitpid(server, NULL, 0), server);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), INSIDE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attempts_to_get_out_are_fatal),
        cmocka_unit_test(what_the_worker_does_is_allowed),
        cmocka_unit_test(an_nbd_disk_is_used_from_inside),
    };

    if (geteuid() != 0)
        return 77; /* ctest: skipped */
    root_fd = open("/", O_RDONLY | O_DIRECTORY);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
