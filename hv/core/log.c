/* SPDX-License-Identifier: MIT */
/* The log ring. Positions count bytes since start; byte p stands at ring[p % LOG_RING_SIZE]. */
#include "hv/core/log.h"

#include "hv/arch.h"
#include "hv/core/lib.h"
#include "hv/core/spinlock.h"
#include "hv/core/text.h"

_Static_assert((LOG_RING_SIZE & (LOG_RING_SIZE - 1)) == 0, "positions wrap with the ring");

static struct {
    struct spinlock lock;
    uint64_t written;
    enum log_level console_level;
    char ring[LOG_RING_SIZE];
} log_state;

void log_set_console_level(enum log_level level)
{
    log_state.console_level = level;
}

static void ring_append(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        log_state.ring[(log_state.written + i) % LOG_RING_SIZE] = text[i];
    log_state.written += length;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char prefix[] = "bulkhead: ";
    char line[256];
    size_t length = sizeof prefix - 1;
    memcpy(line, prefix, length);

    va_list arguments;
    va_start(arguments, format);
    length += text_format(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    line[length++] = '\n';

    spinlock_acquire(&log_state.lock);
    ring_append(line, length);
    if (level <= log_state.console_level)
        arch_console_write(line, length);
    spinlock_release(&log_state.lock);
}

bool log_limit(uint32_t *counter, uint32_t limit)
{
    return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED) < limit;
}

size_t log_read(uint64_t *position, char *to, size_t size)
{
    spinlock_acquire(&log_state.lock);
    *position = u64_min(u64_max(*position, log_lost()), log_state.written);
    const uint64_t length = u64_min(log_state.written - *position, size);
    for (uint64_t i = 0; i < length; i++)
        to[i] = log_state.ring[(*position + i) % LOG_RING_SIZE];
    spinlock_release(&log_state.lock);
    return length;
}

uint64_t log_written(void)
{
    return __atomic_load_n(&log_state.written, __ATOMIC_RELAXED);
}

uint64_t log_lost(void)
{
    const uint64_t written = log_written();
    return written > LOG_RING_SIZE ? written - LOG_RING_SIZE : 0;
}
