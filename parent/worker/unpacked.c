/* SPDX-License-Identifier: MIT */
#include "parent/worker/unpacked.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/worker/boot_parts.h"
#include "parent/worker/image.h"

#define PROGRAM "bulkhead-unpack"
#define DIGEST  32u /* bytes behind the unpacked kernel (parent/tools/unpack/cache.h) */

extern char **environ;

/* The program's path: this one's, with another last part. */
static bool find_program(char path[static PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof(PROGRAM) - 1);
    char *slash;

    if (length <= 0)
        return false;
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
    return access(path, X_OK) == 0;
}

/* Runs it with its standard output in the pipe's end `out`. */
static bool spawn(char *program, const char *folder, const char *kernel, int out, pid_t *child)
{
    char *arguments[] = {program, (char *)(uintptr_t)folder, (char *)(uintptr_t)kernel, NULL};
    posix_spawn_file_actions_t actions;
    bool good;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    good = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) == 0 &&
           posix_spawn(child, program, &actions, NULL, arguments, environ) == 0;
    (void)posix_spawn_file_actions_destroy(&actions);
    return good;
}

/* The one line it prints; false when it did not end well. */
static bool read_path(pid_t child, int in, char path[static PATH_MAX])
{
    size_t length = 0;
    ssize_t got;
    int status;

    while (length < PATH_MAX - 1 && (got = read(in, path + length, PATH_MAX - 1 - length)) > 0)
        length += (size_t)got;
    path[length] = '\0';
    path[strcspn(path, "\n")] = '\0';
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool ask(const char *folder, const char *kernel, char path[static PATH_MAX])
{
    char program[PATH_MAX];
    int ends[2];
    pid_t child;
    bool good;

    if (!find_program(program) || pipe2(ends, O_CLOEXEC) != 0)
        return false;
    good = spawn(program, folder, kernel, ends[1], &child);
    (void)close(ends[1]);
    good = good && read_path(child, ends[0], path);
    (void)close(ends[0]);
    return good;
}

static bool is_linux(const char *kernel)
{
    struct bh_boot_image image;
    struct bh_error error;
    bool is = bh_image_open(kernel, &image, &error) && bh_boot_is_linux(&image);

    bh_image_close(&image);
    return is;
}

void bh_unpacked_open(const char *folder, const char *kernel, struct bh_boot_image *image)
{
    char path[PATH_MAX];
    struct bh_error error;

    *image = (struct bh_boot_image){0};
    if (folder[0] == '\0' || !is_linux(kernel) || !ask(folder, kernel, path) ||
        !bh_image_open(path, image, &error))
        return;
    if (image->size <= DIGEST)
        bh_image_close(image);
    else
        image->size -= DIGEST;
}
