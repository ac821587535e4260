/* SPDX-License-Identifier: MIT */
/* mgmtd/worker.c: which processes are taken for a VM's worker, from its beginning to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mgmtd/worker.h"

#define VM    "0b67a4a8-0d3c-4d57-9c43-5ea1a0f7ad52"
#define OTHER "7f0a5a3e-50d8-44b1-a5ac-2a2a2a7c1d11"

static const struct daemon daemon_of_test = {.options.run = "/run/of-a-test"};

/* A child that waits: as it is, with the words of this process, or as another program. */
static int begin(char *const *arguments)
{
    int pid = fork();

    if (pid == 0) {
        if (arguments)
            execv(arguments[0], arguments);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    return pid;
}

static void end(int pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* As the child of posix_spawn is when that returns: it has our words and our memory still. */
static void one_that_is_about_to_be_a_worker_is_alive(void **state)
{
    siginfo_t info;
    int pid = begin(NULL);

    (void)state;
    assert_true(worker_alive(&daemon_of_test, VM, pid));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(worker_alive(&daemon_of_test, VM, pid)); /* not reaped yet */
    assert_true(worker_reap(pid));
    assert_false(worker_alive(&daemon_of_test, VM, pid));
}

/* Nobody knows yet whose it will be: it is looked for among all processes without success. */
static void it_is_not_found_for_any_vm(void **state)
{
    int pid = begin(NULL);

    (void)state;
    assert_int_equal(worker_find(&daemon_of_test, VM), 0);
    assert_int_equal(worker_find(&daemon_of_test, OTHER), 0);
    end(pid);
}

static void a_worker_is_known_by_its_configuration(void **state)
{
    char config[] = "/run/of-a-test/vms/" VM "/config.json";
    /* It waits by itself: a child of it would have its words for a moment, and outlive it. */
    char *arguments[] = {"/bin/sh", "-c", "kill -STOP $$", "worker", "--config", config, NULL};
    int pid = begin(arguments);

    (void)state;
    while (worker_find(&daemon_of_test, VM) != pid)
        assert_true(worker_alive(&daemon_of_test, VM, pid));
    assert_true(worker_alive(&daemon_of_test, VM, pid));
    assert_false(worker_alive(&daemon_of_test, OTHER, pid));
    worker_kill(&daemon_of_test, OTHER, pid);
    assert_true(worker_alive(&daemon_of_test, VM, pid));
    worker_kill(&daemon_of_test, VM, pid);
    while (!worker_reap(pid))
        usleep(1000);
    assert_int_equal(worker_find(&daemon_of_test, VM), 0);
}

static void others_are_none(void **state)
{
    (void)state;
    assert_false(worker_alive(&daemon_of_test, VM, getpid()));
    assert_false(worker_alive(&daemon_of_test, VM, getppid()));
    assert_false(worker_alive(&daemon_of_test, VM, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_about_to_be_a_worker_is_alive),
        cmocka_unit_test(it_is_not_found_for_any_vm),
        cmocka_unit_test(a_worker_is_known_by_its_configuration),
        cmocka_unit_test(others_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
