/* SPDX-License-Identifier: MIT */
/*
 * parent/worker/keeper.c: a keeper runs in a process of its own and starts this program again as
 * its worker, which acts as `lives` says, and falls or ends. What it keeps for the next life tells
 * which life it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/worker/keeper.h"

#define LIVES 3u /* less than BH_KEEPER_FALLS_MAX */

/* Exit statuses of a worker. */
enum { WELL = 40, WRONG = 41, TOLD = 42 };

/* --- the worker ----------------------------------------------------------------------------- */

static _Noreturn void fall(void)
{
    (void)raise(SIGKILL);
    _exit(WRONG);
}

/* The number of this life, from 0, of a file that the keeper has. */
static uint32_t count_life(struct bh_kept *kept)
{
    struct bh_error error;
    int fd = kept->fd[BH_KEPT_JOURNAL];
    uint32_t life = 0;
    uint32_t next;

    if (fd < 0) {
        fd = memfd_create("journal", MFD_CLOEXEC);
        if (fd < 0 || !bh_kept_put(kept, BH_KEPT_JOURNAL, fd, &error))
            _exit(WRONG);
    } else if (pread(fd, &life, sizeof(life), 0) != (ssize_t)sizeof(life)) {
        _exit(WRONG);
    }
    next = life + 1;
    if (pwrite(fd, &next, sizeof(next), 0) != (ssize_t)sizeof(next))
        _exit(WRONG);
    return life;
}

static bool put_null(struct bh_kept *kept, unsigned name)
{
    struct bh_error error;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool put = fd >= 0 && bh_kept_put(kept, name, fd, &error);

    (void)close(fd);
    return put;
}

static bool is_null(int fd)
{
    struct stat here;
    struct stat null;

    return fd >= 0 && fstat(fd, &here) == 0 && stat("/dev/null", &null) == 0 &&
           here.st_rdev == null.st_rdev;
}

/* Everything comes back under its name, and nothing else does. */
static int keep_all(struct bh_kept *kept)
{
    uint32_t life = count_life(kept);

    for (unsigned i = BH_KEPT_MEMORY; i < BH_KEPT_COUNT; i++)
        if (is_null(kept->fd[i]) != (life > 0 && i % 2 == 0))
            return WRONG;
    for (unsigned i = BH_KEPT_MEMORY; life == 0 && i < BH_KEPT_COUNT; i++)
        if (i % 2 == 0 && !put_null(kept, i))
            return WRONG;
    if (life < LIVES)
        fall();
    return WELL;
}

/* What belongs to a run is gone with it; the rest is not. */
static int drop_run(struct bh_kept *kept)
{
    uint32_t life = count_life(kept);

    if (life == 0) {
        if (!put_null(kept, BH_KEPT_MEMORY) || !put_null(kept, BH_KEPT_PARTITION) ||
            !put_null(kept, BH_KEPT_VP + 1))
            return WRONG;
        bh_kept_drop_run(kept);
        fall();
    }
    if (life == 1) { /* what nobody takes is closed in the worker, too */
        if (!put_null(kept, BH_KEPT_PARTITION))
            return WRONG;
        fall();
    }
    if (life == 2) {
        int fd = kept->fd[BH_KEPT_PARTITION];

        bh_kept_drop_run(kept);
        if (!is_null(kept->fd[BH_KEPT_MEMORY]) || fd < 0 || is_null(fd))
            return WRONG;
        fall();
    }
    return is_null(kept->fd[BH_KEPT_MEMORY]) && kept->fd[BH_KEPT_PARTITION] < 0 &&
                   kept->fd[BH_KEPT_VP + 1] < 0
               ? WELL
               : WRONG;
}

/* Descriptors that come with what is no request for them do not pile up in the keeper. */
static bool send_surplus(const struct bh_kept *kept, uint32_t operation, uint32_t count,
                         size_t size)
{
    uint32_t request[3] = {operation, BH_KEPT_MEMORY};
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec data = {request, size};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    const int fds[2] = {kept->socket, kept->socket};

    control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS,
                                      .cmsg_len = CMSG_LEN(count * sizeof(int))};
    memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    return sendmsg(kept->socket, &message, MSG_NOSIGNAL) == (ssize_t)size &&
           (size != 8 || read(kept->socket, request, sizeof(request)) == 8);
}

static unsigned count_keeper_files(void)
{
    char path[64];
    unsigned count = 0;
    DIR *folder;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)getppid());
    folder = opendir(path);
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        (void)closedir(folder);
    return count;
}

static int send_too_much(struct bh_kept *kept)
{
    unsigned before = count_keeper_files();

    for (unsigned i = 0; i < 20; i++)
        if (!send_surplus(kept, 0, 2, 8) || !send_surplus(kept, 2, 1, 8) ||
            !send_surplus(kept, 77, 1, 8) || !send_surplus(kept, 0, 1, 4))
            return WRONG;
    return send_surplus(kept, 2, 1, 8) && count_keeper_files() == before ? WELL : WRONG;
}

/* A ring that is none of io_uring's: of its I/O nobody can know that it has ended. */
static int refuse_ring(struct bh_kept *kept)
{
    struct bh_error error;

    return bh_kept_put_ring(kept, 999, &error) ? WRONG : WELL;
}

static int fall_always(struct bh_kept *kept)
{
    (void)count_life(kept);
    fall();
}

static void on_term(int number)
{
    (void)number;
    _exit(TOLD);
}

/* Tells that it is there, by the pipe that it got as its standard output, and waits. */
static int wait_for_term(struct bh_kept *kept)
{
    (void)kept;
    (void)signal(SIGTERM, on_term);
    if (write(STDOUT_FILENO, "x", 1) != 1)
        return WRONG;
    for (;;)
        (void)pause();
}

/* As a worker that has only begun, and does nothing about signals yet. */
static int wait_to_be_killed(struct bh_kept *kept)
{
    (void)kept;
    if (write(STDOUT_FILENO, "x", 1) != 1)
        return WRONG;
    for (;;)
        (void)pause();
}

static _Noreturn void end_well(int number)
{
    (void)number;
    _exit(0);
}

/* A server of a disk: it ends with its worker, and takes its time. */
static _Noreturn void serve(bool well, int ready)
{
    (void)signal(SIGTERM, well ? end_well : SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || write(ready, "x", 1) != 1)
        _exit(WRONG);
    for (;;)
        (void)pause();
}

/* Falls with a server that ends well, or by a signal; the next worker is told which. */
static int leave_server(struct bh_kept *kept, bool well)
{
    int ready[2];
    char byte;

    if (count_life(kept) > 0)
        return kept->servers_ended == well && kill(getppid(), 0) == 0 ? WELL : WRONG;
    if (!kept->servers_ended || pipe(ready) != 0)
        return WRONG;
    if (fork() == 0)
        serve(well, ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        return WRONG;
    fall();
}

static int leave_good_server(struct bh_kept *kept)
{
    return leave_server(kept, true);
}

static int leave_bad_server(struct bh_kept *kept)
{
    return leave_server(kept, false);
}

static const struct act {
    const char *name;
    int (*act)(struct bh_kept *kept);
} acts[] = {
    {"keep", keep_all},           {"drop", drop_run},          {"ring", refuse_ring},
    {"always", fall_always},      {"term", wait_for_term},     {"much", send_too_much},
    {"begun", wait_to_be_killed}, {"good", leave_good_server}, {"bad", leave_bad_server},
};

static int be_worker(const char *name, int socket)
{
    struct bh_kept kept;
    struct bh_error error;

    if (!bh_kept_open(&kept, socket, &error))
        return WRONG;
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (strcmp(acts[i].name, name) == 0)
            return acts[i].act(&kept);
    return WRONG;
}

/* --- the tests ------------------------------------------------------------------------------ */

/* A keeper of such a worker; *out, if asked for, is the read end of the worker's output. */
static pid_t start_keeper(char *name, int *out)
{
    char *argv[] = {(char[]){"keeper"}, name, NULL};
    int ends[2];
    pid_t keeper;

    assert_int_equal(pipe(ends), 0);
    keeper = fork();
    assert_true(keeper >= 0);
    if (keeper == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        _exit(bh_keeper_run(argv, 2));
    }
    (void)close(ends[1]);
    if (out != NULL)
        *out = ends[0];
    else
        (void)close(ends[0]);
    return keeper;
}

static int exit_status(pid_t keeper)
{
    int status;

    assert_int_equal(waitpid(keeper, &status, 0), keeper);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void descriptors_are_there_in_each_life(void **state)
{
    (void)state;
    assert_int_equal(exit_status(start_keeper((char[]){"keep"}, NULL)), WELL);
}

static void those_of_a_run_go_with_it(void **state)
{
    (void)state;
    assert_int_equal(exit_status(start_keeper((char[]){"drop"}, NULL)), WELL);
}

static void a_ring_that_is_not_there_is_refused(void **state)
{
    (void)state;
    assert_int_equal(exit_status(start_keeper((char[]){"ring"}, NULL)), WELL);
}

static void what_comes_with_no_request_is_closed(void **state)
{
    (void)state;
    assert_int_equal(exit_status(start_keeper((char[]){"much"}, NULL)), WELL);
}

static void servers_end_before_the_next_worker(void **state)
{
    (void)state;
    assert_int_equal(exit_status(start_keeper((char[]){"good"}, NULL)), WELL);
    assert_int_equal(exit_status(start_keeper((char[]){"bad"}, NULL)), WELL);
}

static void falls_in_a_row_end_it(void **state)
{
    (void)state;
    assert_int_equal(exit_status(start_keeper((char[]){"always"}, NULL)), 1);
}

static void signals_reach_the_worker(void **state)
{
    char byte;
    int out;
    pid_t keeper = start_keeper((char[]){"term"}, &out);

    (void)state;
    assert_int_equal(read(out, &byte, 1), 1);
    assert_int_equal(kill(keeper, SIGTERM), 0);
    assert_int_equal(exit_status(keeper), TOLD);
    (void)close(out);
}

static void a_worker_that_ends_by_a_signal_passed_on_has_not_fallen(void **state)
{
    char byte;
    int out;
    pid_t keeper = start_keeper((char[]){"begun"}, &out);

    (void)state;
    assert_int_equal(read(out, &byte, 1), 1);
    assert_int_equal(kill(keeper, SIGTERM), 0);
    assert_int_equal(exit_status(keeper), 1);
    (void)close(out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_there_in_each_life),
        cmocka_unit_test(those_of_a_run_go_with_it),
        cmocka_unit_test(a_ring_that_is_not_there_is_refused),
        cmocka_unit_test(what_comes_with_no_request_is_closed),
        cmocka_unit_test(servers_end_before_the_next_worker),
        cmocka_unit_test(falls_in_a_row_end_it),
        cmocka_unit_test(signals_reach_the_worker),
        cmocka_unit_test(a_worker_that_ends_by_a_signal_passed_on_has_not_fallen),
    };

    if (argc == 4 && strcmp(argv[2], "--kept") == 0)
        return be_worker(argv[1], (int)strtol(argv[3], NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
