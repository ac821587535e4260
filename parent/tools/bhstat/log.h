/* SPDX-License-Identifier: MIT */
/* The hypervisor's log as a stream of text. */
#ifndef PARENT_TOOLS_BHSTAT_LOG_H
#define PARENT_TOOLS_BHSTAT_LOG_H

#include <stdio.h>

#include "parent/partition/host.h"

/*
 * Writes what the log holds from *position on, and moves *position behind it.
 * *lost grows by the bytes that the ring had already dropped.
 */
bool bhstat_log_copy(struct bh_host *host, FILE *out, uint64_t *position, uint64_t *lost,
                     struct bh_error *error);

#endif
