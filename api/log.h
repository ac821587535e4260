/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log: one JSON object a line on standard error, RFC 3339 times in UTC with
 * milliseconds. Lines are collected and written together; errors are written at once. From any
 * thread.
 */
#ifndef BULKHEAD_API_LOG_H
#define BULKHEAD_API_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Begin: level, message, then pairs of field name and text, ended by NULL:
 *   log_write(LOG_LEVEL_INFO, "worker started", "vm", uuid, "pid", pid_text, NULL);
 * Never pass a secret. */
void log_write(enum log_level level, const char *message, ...) __attribute__((sentinel));
/* Append a line that is already a JSON object without its end of line. */
void log_line(const char *json, size_t size);
/* Write less or more. INFO at first. */
void log_set_level(enum log_level level);
/* Write out what is collected. Call it before exit. */
void log_flush(void);

#endif
