/* SPDX-License-Identifier: MIT */
/* Starting, finding and ending workers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mgmtd/object.h"
#include "mgmtd/worker.h"

#define COMMAND_SIZE 4096
#define BEGINNING_MS 10000 /* for a worker's program to be read from the slowest disk */

static const char *const files[] = {"control", "config.json", "console.base", "seed.iso"};

bool worker_path(const struct daemon *daemon, const char *id, const char *file,
                 char path[PATH_SIZE])
{
    return path_join(path, daemon->options.run, "vms/%s/%s", id, file);
}

static bool write_config(const struct daemon *daemon, const char *id, const json_t *config,
                         char *message, size_t size)
{
    char directory[PATH_SIZE];
    char path[PATH_SIZE];

    if (!worker_path(daemon, id, "", directory) || !worker_path(daemon, id, "config.json", path)) {
        snprintf(message, size, "the run directory's path is too long");
        return false;
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        snprintf(message, size, "cannot make %s: %s", directory, strerror(errno));
        return false;
    }
    if (json_dump_file(config, path, JSON_INDENT(1)) != 0) {
        snprintf(message, size, "cannot write %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static void place_children(int group, int pid)
{
    char path[64];
    char line[32];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    file = fopen(path, "re");
    while (file && fscanf(file, "%31s", line) == 1)
        dprintf(group, "%s\n", line);
    if (file)
        fclose(file);
}

/*
 * Moves the process out of the daemon's control group, so that stopping one spares the other. A
 * keeper may have its worker already; one that comes later is where its keeper is.
 */
static void place(const struct daemon *daemon, int pid)
{
    char path[PATH_SIZE];
    int fd;

    if (!daemon->options.cgroup || !path_join(path, daemon->options.cgroup, "cgroup.procs"))
        return;
    mkdir(daemon->options.cgroup, 0755);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        dprintf(fd, "%d\n", pid);
        place_children(fd, pid);
        close(fd);
    }
}

static int spawn(const char *program, char *const arguments[], const char *log)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL};
    pid_t pid = 0;
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all); /* the daemon ignores SIGPIPE */
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn(&pid, program, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    errno = error;
    return error == 0 ? pid : 0;
}

int worker_spawn(const struct daemon *daemon, const char *id, unsigned uid, const json_t *config,
                 char *message, size_t size)
{
    char control[PATH_SIZE];
    char file[PATH_SIZE];
    char log[PATH_SIZE];
    char user[16];
    char *arguments[] = {(char *)daemon->options.worker,
                         "--config",
                         file,
                         "--control",
                         control,
                         "--user",
                         user,
                         "--group",
                         user,
                         NULL,
                         NULL};
    size_t count = uid == 0 ? 5 : 9;
    int pid;

    if (!write_config(daemon, id, config, message, size))
        return 0;
    if (!worker_path(daemon, id, "control", control) ||
        !worker_path(daemon, id, "config.json", file) || !worker_path(daemon, id, "log", log))
        return 0;
    snprintf(user, sizeof(user), "%u", uid);
    arguments[count] = daemon->options.keep_guests ? "--keep" : NULL;
    arguments[count + 1] = NULL;
    unlink(control);
    pid = spawn(daemon->options.worker, arguments, log);
    if (pid == 0)
        snprintf(message, size, "cannot run %s: %s", daemon->options.worker, strerror(errno));
    else
        place(daemon, pid);
    return pid;
}

unsigned worker_uid(int pid)
{
    struct stat process;
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d", pid);
    return stat(path, &process) == 0 ? (unsigned)process.st_uid : 0;
}

struct bh_control_client *worker_connect(const struct daemon *daemon, const char *id,
                                         int timeout_ms, struct bh_control_error *error)
{
    char path[PATH_SIZE];

    if (!worker_path(daemon, id, "control", path)) {
        bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "the socket's path is too long");
        return NULL;
    }
    return bh_control_connect(path, timeout_ms, error);
}

struct words {
    char text[COMMAND_SIZE];
    ssize_t size;
};

/* The words of a process, each with its NUL: their size, 0 for a process without, -1 for no
 * process. */
static void read_words(int pid, struct words *words)
{
    char path[64];
    int fd;

    words->size = -1;
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        words->size = read(fd, words->text, COMMAND_SIZE);
        close(fd);
    }
}

static bool are_equal(const struct words *one, const struct words *other)
{
    return one->size == other->size && one->size > 0 &&
           memcmp(one->text, other->text, (size_t)one->size) == 0;
}

static bool has_word(const struct words *words, const char *word)
{
    return words->size > 0 &&
           memmem(words->text, (size_t)words->size, word, strlen(word) + 1) != NULL;
}

/*
 * Only a worker of this VM has its configuration among its words. Where it has a keeper, that one
 * is meant: its worker's words are the same but for the last, which only its keeper gives.
 */
static bool are_of_worker(const struct daemon *daemon, const char *id, const struct words *words)
{
    char config[PATH_SIZE];

    return worker_path(daemon, id, "config.json", config) && has_word(words, config) &&
           !has_word(words, "--kept");
}

/*
 * Whether the process is a child of ours that is about to become a worker. posix_spawn goes on a
 * moment before: until then its child has our own words, and then for a moment none.
 */
static bool is_beginning(int pid, const struct words *words)
{
    siginfo_t info = {.si_pid = 0};
    struct words own;

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0)
        return false;
    read_words(getpid(), &own);
    return words->size == 0 || are_equal(words, &own);
}

bool worker_alive(const struct daemon *daemon, const char *id, int pid)
{
    struct words words;

    if (pid <= 0)
        return false;
    read_words(pid, &words);
    return are_of_worker(daemon, id, &words) || is_beginning(pid, &words);
}

typedef bool process_test(const struct daemon *daemon, int pid, const void *context);

/* The first process that passes the test, or 0. */
static int find_process(const struct daemon *daemon, process_test *test, const void *context)
{
    DIR *processes = opendir("/proc");
    int found = 0;

    for (struct dirent *entry = processes ? readdir(processes) : NULL; entry && !found;
         entry = readdir(processes)) {
        int pid = (int)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && test(daemon, pid, context))
            found = pid;
    }
    if (processes)
        closedir(processes);
    return found;
}

static bool is_worker_of(const struct daemon *daemon, int pid, const void *id)
{
    struct words words;

    read_words(pid, &words);
    return are_of_worker(daemon, id, &words);
}

int worker_find(const struct daemon *daemon, const char *id)
{
    return find_process(daemon, is_worker_of, id);
}

/* Whether the process runs the workers' program. */
static bool runs_worker(const struct daemon *daemon, int pid)
{
    char path[64];
    struct stat wanted;
    struct stat running;

    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    return stat(path, &running) == 0 && stat(daemon->options.worker, &wanted) == 0 &&
           running.st_dev == wanted.st_dev && running.st_ino == wanted.st_ino;
}

/*
 * Whether the process is a child of a former daemon that becomes a worker: it has the words of
 * that daemon, which are ours, and for a moment none.
 */
static bool is_becoming(const struct daemon *daemon, int pid, const void *context)
{
    const struct words *own = context;
    struct words words;

    if (pid == getpid())
        return false;
    read_words(pid, &words);
    return words.size == 0 ? runs_worker(daemon, pid) : are_equal(&words, own);
}

void worker_await_beginnings(const struct daemon *daemon)
{
    int64_t end = time_monotonic() + BEGINNING_MS;
    struct words own;

    read_words(getpid(), &own);
    while (find_process(daemon, is_becoming, &own) && time_monotonic() < end)
        usleep(5000);
}

void worker_kill(const struct daemon *daemon, const char *id, int pid)
{
    if (worker_alive(daemon, id, pid))
        kill(pid, SIGKILL);
}

bool worker_reap(int pid)
{
    return pid <= 0 || waitpid(pid, NULL, WNOHANG) != 0;
}

#define LAST_WORDS 4096

/* The end of the worker's log, without the last line feed. */
static void read_log(const struct daemon *daemon, const char *id, char text[LAST_WORDS])
{
    char path[PATH_SIZE];
    ssize_t got = 0;
    int fd = -1;

    if (worker_path(daemon, id, "log", path))
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && lseek(fd, -(LAST_WORDS - 1), SEEK_END) < 0)
        lseek(fd, 0, SEEK_SET);
    if (fd >= 0) {
        got = read(fd, text, LAST_WORDS - 1);
        close(fd);
    }
    text[got > 0 ? got : 0] = '\0';
    if (got > 0 && text[got - 1] == '\n')
        text[got - 1] = '\0';
}

static const char *last_line(const char *text)
{
    const char *feed = strrchr(text, '\n');

    return feed ? feed + 1 : text;
}

bool worker_last_words(const struct daemon *daemon, const char *id, json_t **event)
{
    char text[LAST_WORDS];

    read_log(daemon, id, text);
    *event = json_loads(last_line(text), 0, NULL);
    return strcmp(json_text(*event, "event"), "state") == 0;
}

/* How a child of ours ended, as a sentence; "" of one that has not, or was no child. */
static void describe_end(int pid, char *text, size_t size)
{
    int status;

    text[0] = '\0';
    if (waitpid(pid, &status, WNOHANG) != pid)
        return;
    if (WIFSIGNALED(status))
        snprintf(text, size, " Signal %d (%s) ended it.", WTERMSIG(status),
                 sigdescr_np(WTERMSIG(status)));
    else
        snprintf(text, size, " It ended with status %d.", WEXITSTATUS(status));
}

/* Its last line, or what is in it when that is an event. */
static void quote(const char *line, char *text, size_t size)
{
    static const char name[] = "bulkhead-worker: ";
    json_t *event = json_loads(line, 0, NULL);

    if (strncmp(line, name, strlen(name)) == 0)
        line += strlen(name);
    snprintf(text, size, "%s", event ? json_text(event, "message") : line);
    if (text[0] == '\0')
        snprintf(text, size, "It ended without a word.");
    json_decref(event);
}

void worker_complaint(const struct daemon *daemon, const char *id, int pid, char *text, size_t size)
{
    char log[LAST_WORDS] = "";
    char path[PATH_SIZE] = "";
    char said[256];
    char end[96];

    read_log(daemon, id, log);
    quote(last_line(log), said, sizeof(said));
    describe_end(pid, end, sizeof(end));
    worker_path(daemon, id, "log", path);
    snprintf(text, size, "%s%s The host has all it said in %s.", said, end, path);
}

void worker_save_console_base(const struct daemon *daemon, const char *id, uint64_t base)
{
    char path[PATH_SIZE];
    FILE *file;

    if (!worker_path(daemon, id, "", path))
        return;
    mkdir(path, 0700);
    if (!worker_path(daemon, id, "console.base", path))
        return;
    file = fopen(path, "we");
    if (!file)
        return;
    fprintf(file, "%" PRIu64 "\n", base);
    fclose(file);
}

uint64_t worker_console_base(const struct daemon *daemon, const char *id)
{
    char path[PATH_SIZE];
    char line[32] = "";
    FILE *file;

    if (!worker_path(daemon, id, "console.base", path))
        return 0;
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (!fgets(line, sizeof(line), file))
        line[0] = '\0';
    fclose(file);
    return strtoull(line, NULL, 10);
}

void worker_clean_socket(const struct daemon *daemon, const char *id)
{
    char path[PATH_SIZE];

    if (worker_path(daemon, id, "control", path))
        unlink(path);
}

void worker_clean(const struct daemon *daemon, const char *id)
{
    char path[PATH_SIZE];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (worker_path(daemon, id, files[i], path))
            unlink(path);
}

void worker_forget(const struct daemon *daemon, const char *id)
{
    char path[PATH_SIZE];

    worker_clean(daemon, id);
    if (worker_path(daemon, id, "log", path))
        unlink(path);
    if (worker_path(daemon, id, "", path))
        rmdir(path);
}
