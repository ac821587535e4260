/* SPDX-License-Identifier: MIT */
/* Helper programs with time limits. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mgmtd/command.h"

#define STEP_MS 10

struct streams {
    int input; /* memory files: nothing can block on them */
    int output;
    int errors;
};

static bool open_streams(struct streams *streams, const char *input)
{
    size_t size = input ? strlen(input) : 0;

    streams->input = memfd_create("input", MFD_CLOEXEC);
    streams->output = memfd_create("output", MFD_CLOEXEC);
    streams->errors = memfd_create("errors", MFD_CLOEXEC);
    if (streams->input < 0 || streams->output < 0 || streams->errors < 0)
        return false;
    return (size == 0 || write(streams->input, input, size) == (ssize_t)size) &&
           lseek(streams->input, 0, SEEK_SET) == 0;
}

static void close_streams(struct streams *streams)
{
    if (streams->input >= 0)
        close(streams->input);
    if (streams->output >= 0)
        close(streams->output);
    if (streams->errors >= 0)
        close(streams->errors);
}

static int start(const struct command *command, const struct streams *streams, pid_t *pid)
{
    char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                           "LC_ALL=C.UTF-8", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, streams->input, 0);
    posix_spawn_file_actions_adddup2(&actions, streams->output, 1);
    posix_spawn_file_actions_adddup2(&actions, streams->errors, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all); /* the daemon ignores SIGPIPE */
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    error = posix_spawnp(pid, command->arguments[0], &actions, &attributes,
                         (char *const *)command->arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Its exit status; -1 after a time-out, -2 after a cancellation. */
static int wait_for(const struct command *command, pid_t pid)
{
    int64_t end = time_monotonic() + command->timeout_ms;
    int status = 0;

    for (;;) {
        pid_t ended = waitpid(pid, &status, WNOHANG);
        bool cancelled = command->operation && operation_cancelled(command->operation);

        if (ended == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (cancelled || time_monotonic() > end) {
            kill(-pid, SIGKILL);
            waitpid(pid, &status, 0);
            return cancelled ? -2 : -1;
        }
        poll(NULL, 0, STEP_MS);
    }
}

/* What is in a memory file, as text, without the last line feed. */
static void read_back(int fd, char *text, size_t size)
{
    ssize_t got = pread(fd, text, size - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    if (got > 0 && text[got - 1] == '\n')
        text[got - 1] = '\0';
}

static void describe(const struct command *command, int status, int errors, char *problem,
                     size_t size)
{
    char said[400];

    read_back(errors, said, sizeof(said));
    if (status == -1)
        snprintf(problem, size, "%s took longer than %d seconds", command->arguments[0],
                 command->timeout_ms / 1000);
    else if (status == -2)
        snprintf(problem, size, "%s was cancelled", command->arguments[0]);
    else
        snprintf(problem, size, "%s failed (%d): %s", command->arguments[0], status, said);
}

bool command_run(const struct command *command, char *problem, size_t size)
{
    struct streams streams = {-1, -1, -1};
    pid_t pid = 0;
    int status = -1;
    int error = EIO;

    if (open_streams(&streams, command->input))
        error = start(command, &streams, &pid);
    if (error != 0) {
        snprintf(problem, size, "cannot run %s: %s", command->arguments[0], strerror(error));
    } else {
        status = wait_for(command, pid);
        if (status != 0)
            describe(command, status, streams.errors, problem, size);
        else if (command->output)
            read_back(streams.output, command->output, COMMAND_OUTPUT);
    }
    close_streams(&streams);
    return error == 0 && status == 0;
}
