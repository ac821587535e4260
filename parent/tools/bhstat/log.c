/* SPDX-License-Identifier: MIT */
#include "parent/tools/bhstat/log.h"

#include <errno.h>

bool bhstat_log_copy(struct bh_host *host, FILE *out, uint64_t *position, uint64_t *lost,
                     struct bh_error *error)
{
    struct bh_log_output log;

    do {
        if (!bh_host_read_log(host, *position, &log, error))
            return false;
        if (log.position > *position)
            *lost += log.position - *position;
        if (fwrite(log.text, 1, log.length, out) != log.length || fflush(out) != 0)
            return bh_error_set(error, errno, "Cannot write the log.");
        *position = log.position + log.length;
    } while (log.length > 0 && *position < log.end);
    return true;
}
