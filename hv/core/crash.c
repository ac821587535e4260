/* SPDX-License-Identifier: MIT */
/*
 * Crash reports (TLFS, "Guest Crash Enlightenment"). Five parameters; with
 * HV_CRASH_MESSAGE, P3 is the address of a text and P4 its length, at most a page.
 */
#include "hv/core/crash.h"

#include "hv/abi/msr.h"
#include "hv/core/log.h"
#include "hv/core/partition.h"

#define TEXT_CHUNK  128u
#define REPORTS_MAX 16u /* a guest that crashes for ever must not fill the log */

static void log_piece(const struct partition *partition, char *line, unsigned length)
{
    line[length] = '\0';
    log_line(LOG_DEBUG, "partition %u crash | %s", partition->id, line);
}

/* The text goes into the log line by line; what is not printable becomes a dot. */
static void log_text(struct partition *partition, gpa_t gpa, uint64_t length)
{
    char line[TEXT_CHUNK];
    unsigned filled = 0;
    for (uint64_t i = 0; i < length; i++) {
        char c;
        if (!partition_read(partition, gpa_make(gpa.raw + i), &c, 1))
            break;
        if (c != '\n')
            line[filled++] = (char)(c >= ' ' && c <= '~' ? c : '.');
        if (c == '\n' || filled == TEXT_CHUNK - 1) {
            log_piece(partition, line, filled);
            filled = 0;
        }
    }
    if (filled != 0)
        log_piece(partition, line, filled);
}

static void report(struct partition *partition, uint64_t control)
{
    const uint64_t *p = partition->crash_parameter;
    if (__atomic_fetch_add(&partition->crash_count, 1, __ATOMIC_RELAXED) >= REPORTS_MAX)
        return;
    log_line(LOG_ERROR, "partition %u crashed: p0=%lx p1=%lx p2=%lx p3=%lx p4=%lx", partition->id,
             p[0], p[1], p[2], p[3], p[4]);
    if ((control & HV_CRASH_MESSAGE) && p[4] <= PAGE_SIZE)
        log_text(partition, gpa_make(p[3]), p[4]);
}

bool crash_read_msr(struct partition *partition, uint32_t index, uint64_t *value)
{
    *value = index == HV_MSR_CRASH_CTL ? HV_CRASH_NOTIFY | HV_CRASH_MESSAGE
                                       : partition->crash_parameter[index - HV_MSR_CRASH_P0];
    return true;
}

bool crash_write_msr(struct partition *partition, uint32_t index, uint64_t value)
{
    if (index != HV_MSR_CRASH_CTL)
        partition->crash_parameter[index - HV_MSR_CRASH_P0] = value;
    else if (value & HV_CRASH_NOTIFY)
        report(partition, value);
    return true;
}
