/* SPDX-License-Identifier: MIT */
/* The scrollback of a console in segment files. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmtd/console.h"
#include "mgmtd/options.h"

#define SEGMENTS_MAX    64
#define SEGMENTS_WANTED 4 /* of a full scrollback */

struct console {
    pthread_mutex_t lock;
    atomic_uint holders;
    char directory[PATH_SIZE];
    uint64_t limit;
    uint64_t start[SEGMENTS_MAX]; /* offsets of the segments, ascending */
    int count;
    uint64_t end;
    int fd; /* of the newest segment, or -1 */
};

static bool segment_path(const struct console *console, uint64_t start, char path[PATH_SIZE])
{
    return path_join(path, console->directory, "%020" PRIu64, start);
}

static int is_segment(const struct dirent *entry)
{
    return strlen(entry->d_name) == 20 && strspn(entry->d_name, "0123456789") == 20;
}

static void drop_oldest(struct console *console)
{
    char path[PATH_SIZE];

    if (segment_path(console, console->start[0], path))
        unlink(path);
    console->count--;
    memmove(console->start, console->start + 1, (size_t)console->count * sizeof(console->start[0]));
}

static void add_segment(struct console *console, uint64_t start)
{
    if (console->count == SEGMENTS_MAX)
        drop_oldest(console);
    console->start[console->count++] = start;
}

/* Finds the segments of an earlier life. The last one's size says where the end is. */
static bool scan(struct console *console)
{
    struct dirent **entries = NULL;
    int count = scandir(console->directory, &entries, is_segment, alphasort);
    char path[PATH_SIZE];
    struct stat file;

    if (count < 0)
        return false;
    for (int i = 0; i < count; i++) {
        add_segment(console, strtoull(entries[i]->d_name, NULL, 10));
        free(entries[i]);
    }
    free(entries);
    if (console->count == 0)
        return true;
    console->end = console->start[console->count - 1];
    if (segment_path(console, console->end, path) && stat(path, &file) == 0)
        console->end += (uint64_t)file.st_size;
    return true;
}

struct console *console_open(const char *directory, uint64_t limit)
{
    struct console *console = calloc(1, sizeof(*console));

    if (!console)
        return NULL;
    pthread_mutex_init(&console->lock, NULL);
    atomic_init(&console->holders, 1);
    console->fd = -1;
    console->limit = limit;
    mkdir(directory, 0700);
    if (!path_join(console->directory, directory, "%s", "") || !scan(console)) {
        free(console);
        return NULL;
    }
    return console;
}

struct console *console_hold(struct console *console)
{
    if (console)
        atomic_fetch_add(&console->holders, 1);
    return console;
}

void console_close(struct console *console)
{
    if (!console || atomic_fetch_sub(&console->holders, 1) != 1)
        return;
    if (console->fd >= 0)
        close(console->fd);
    pthread_mutex_destroy(&console->lock);
    free(console);
}

void console_set_limit(struct console *console, uint64_t limit)
{
    pthread_mutex_lock(&console->lock);
    console->limit = limit;
    pthread_mutex_unlock(&console->lock);
}

static bool open_segment(struct console *console, uint64_t start)
{
    char path[PATH_SIZE];

    if (console->fd >= 0)
        close(console->fd);
    console->fd = -1;
    if (!segment_path(console, start, path))
        return false;
    console->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return console->fd >= 0;
}

/* The segment that takes the next bytes, opened; a new one when the newest is full. */
static bool prepare_segment(struct console *console)
{
    uint64_t newest = console->count ? console->start[console->count - 1] : 0;
    bool full = console->end - newest >= console->limit / SEGMENTS_WANTED;

    if (console->count > 0 && !full)
        return console->fd >= 0 || open_segment(console, newest);
    add_segment(console, console->end);
    return open_segment(console, console->end);
}

static void trim(struct console *console)
{
    while (console->count > 1 && console->end - console->start[1] >= console->limit)
        drop_oldest(console);
}

/* Locked. A new segment behind the gap, so that offsets stay those of the guest. */
static void begin_behind(struct console *console, uint64_t gap)
{
    console->end += gap;
    add_segment(console, console->end);
    open_segment(console, console->end);
}

void console_leave_gap(struct console *console, uint64_t size)
{
    pthread_mutex_lock(&console->lock);
    begin_behind(console, size);
    trim(console);
    pthread_mutex_unlock(&console->lock);
}

bool console_append(struct console *console, const void *bytes, size_t size)
{
    ssize_t written = -1;

    pthread_mutex_lock(&console->lock);
    if (prepare_segment(console))
        written = write(console->fd, bytes, size);
    if (written > 0)
        console->end += (uint64_t)written;
    if (written != (ssize_t)size)
        begin_behind(console, size - (written > 0 ? (size_t)written : 0));
    trim(console);
    pthread_mutex_unlock(&console->lock);
    return written == (ssize_t)size;
}

/* Locked. Index of the segment that holds `offset` or is the first after it. */
static int find_segment(const struct console *console, uint64_t offset)
{
    int index = console->count - 1;

    while (index > 0 && console->start[index] > offset)
        index--;
    return index;
}

static ssize_t read_segment(const struct console *console, int index, uint64_t offset, void *bytes,
                            size_t size)
{
    char path[PATH_SIZE];
    ssize_t got = -1;
    int fd;

    if (!segment_path(console, console->start[index], path))
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        got = pread(fd, bytes, size, (off_t)(offset - console->start[index]));
        close(fd);
    }
    return got;
}

ssize_t console_read(struct console *console, uint64_t offset, void *bytes, size_t size,
                     struct console_span *span)
{
    ssize_t got = 0;
    int index;

    pthread_mutex_lock(&console->lock);
    span->oldest = console->count ? console->start[0] : console->end;
    span->end = console->end;
    span->first = offset < span->oldest ? span->oldest : offset;
    index = find_segment(console, span->first);
    if (index >= 0 && span->first < console->end)
        got = read_segment(console, index, span->first, bytes, size);
    /* A gap that a full disk left: go on at the segment behind it. */
    if (got == 0 && span->first < console->end && index + 1 < console->count) {
        span->first = console->start[index + 1];
        got = read_segment(console, index + 1, span->first, bytes, size);
    }
    pthread_mutex_unlock(&console->lock);
    return got;
}

uint64_t console_end(struct console *console)
{
    uint64_t end;

    pthread_mutex_lock(&console->lock);
    end = console->end;
    pthread_mutex_unlock(&console->lock);
    return end;
}

void console_remove(const char *directory)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_segment, alphasort);
    char path[PATH_SIZE];

    for (int i = 0; i < count; i++) {
        if (path_join(path, directory, "%s", entries[i]->d_name))
            unlink(path);
        free(entries[i]);
    }
    free(entries);
    rmdir(directory);
}
