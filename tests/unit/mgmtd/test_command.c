/* SPDX-License-Identifier: MIT */
/* Helper programs: what they are given, what they say, how long they may take. */
#include "common.h"

#include <signal.h>

#include "mgmtd/command.h"

#define RUN(command, ...)                                          \
    (command.arguments = (const char *const[]){__VA_ARGS__, NULL}, \
     command_run(&command, problem, sizeof(problem)))

static void output_and_input_are_passed(void **state)
{
    static char output[COMMAND_OUTPUT];
    struct command command = {.input = "a\nb\n", .timeout_ms = 10000, .output = output};
    char problem[256] = "";

    (void)state;
    assert_true(RUN(command, "sort", "-r"));
    assert_string_equal(output, "b\na");
}

static void a_failure_says_what_the_program_said(void **state)
{
    struct command command = {.timeout_ms = 10000};
    char problem[256] = "";

    (void)state;
    assert_false(RUN(command, "sh", "-c", "echo it does not work >&2; exit 3"));
    assert_string_equal(problem, "sh failed (3): it does not work");
    assert_false(RUN(command, "bulkhead-no-such-program"));
    assert_non_null(strstr(problem, "bulkhead-no-such-program"));
    command.timeout_ms = 50;
    assert_false(RUN(command, "sleep", "20"));
    assert_non_null(strstr(problem, "longer than"));
}

/* The daemon ignores SIGPIPE and blocks others; its children must not. */
static void signals_are_as_in_a_shell(void **state)
{
    static char output[COMMAND_OUTPUT];
    struct command command = {.timeout_ms = 10000, .output = output};
    char problem[256] = "";
    sigset_t blocked;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    assert_true(RUN(command, "sed", "-n", "s/^SigIgn:[[:space:]]*//p", "/proc/self/status"));
    assert_int_equal(strtoull(output, NULL, 16) & 1u << (SIGPIPE - 1), 0);
    assert_true(RUN(command, "sed", "-n", "s/^SigBlk:[[:space:]]*//p", "/proc/self/status"));
    assert_int_equal(strtoull(output, NULL, 16), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_input_are_passed),
        cmocka_unit_test(a_failure_says_what_the_program_said),
        cmocka_unit_test(signals_are_as_in_a_shell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
