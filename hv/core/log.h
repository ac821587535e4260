/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's log: a ring of text that the parent can read, and lines up to
 * a chosen level also go to the console as they are written.
 *
 * Any LP may log at any time, in exit paths too; one lock guards the ring, held
 * with interrupts off and for the length of one line. Nothing that a guest can
 * repeat at will is logged above LOG_DEBUG without log_limit.
 */
#ifndef HV_CORE_LOG_H
#define HV_CORE_LOG_H

#include "hv/core/types.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

#define LOG_RING_SIZE 65536u

void log_set_console_level(enum log_level level);

/* One line, without the line end. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True for the first `limit` calls with this counter: for messages a guest can cause. */
bool log_limit(uint32_t *counter, uint32_t limit);

/*
 * Copies text from `*position` on into `to`; moves `*position` up to the oldest
 * byte kept if it lies before that. Returns the number of bytes copied.
 */
size_t log_read(uint64_t *position, char *to, size_t size);

/* Bytes ever written, and of these the ones that no longer stand in the ring. */
uint64_t log_written(void);
uint64_t log_lost(void);

#endif
