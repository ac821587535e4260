/* SPDX-License-Identifier: MIT */
#include "api/log.h"

#include "api/text.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOG_ROOM = 65536 };

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_buffer[LOG_ROOM];
static size_t log_used;
static _Atomic int log_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&log_level, (int)level);
}

static void log_write_out(const char *bytes, size_t size)
{
    while (size) {
        ssize_t written = write(STDERR_FILENO, bytes, size);
        if (written <= 0)
            return; /* nobody to tell */
        bytes += written;
        size -= (size_t)written;
    }
}

static void log_flush_locked(void)
{
    log_write_out(log_buffer, log_used);
    log_used = 0;
}

void log_flush(void)
{
    pthread_mutex_lock(&log_lock);
    log_flush_locked();
    pthread_mutex_unlock(&log_lock);
}

static void log_line_at(const char *json, size_t size, int now)
{
    pthread_mutex_lock(&log_lock);
    if (log_used + size + 1 > LOG_ROOM)
        log_flush_locked();
    if (size + 1 > LOG_ROOM) {
        log_write_out(json, size);
        log_write_out("\n", 1);
    } else {
        memcpy(log_buffer + log_used, json, size);
        log_used += size;
        log_buffer[log_used++] = '\n';
    }
    if (now)
        log_flush_locked();
    pthread_mutex_unlock(&log_lock);
}

void log_line(const char *json, size_t size)
{
    if (atomic_load(&log_level) >= LOG_LEVEL_INFO)
        log_line_at(json, size, 0);
}

static void append_time(struct text *line)
{
    struct timespec now;
    struct tm parts;
    char seconds[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    text_printf(line, "{\"time\":\"%s.%03ldZ\"", seconds, now.tv_nsec / 1000000);
}

void log_write(enum log_level level, const char *message, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct text line = {0};
    va_list arguments;
    if ((int)level > atomic_load(&log_level))
        return;
    append_time(&line);
    text_printf(&line, ",\"level\":\"%s\",\"msg\":", names[level]);
    text_json(&line, message);
    va_start(arguments, message);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    for (const char *name; (name = va_arg(arguments, const char *));) {
        const char *value = va_arg(arguments, const char *);
        text_append(&line, ",", 1);
        text_json(&line, name);
        text_append(&line, ":", 1);
        text_json(&line, value ? value : "");
    }
    va_end(arguments);
    text_append(&line, "}", 1);
    if (!line.failed)
        log_line_at(line.bytes, line.size, level <= LOG_LEVEL_WARNING);
    text_free(&line);
}
