/* SPDX-License-Identifier: MIT */
/* A snapshot as a table for people: shares of time in percent, counters as rates. */
#ifndef PARENT_TOOLS_BHSTAT_TABLE_H
#define PARENT_TOOLS_BHSTAT_TABLE_H

#include <stdio.h>

#include "parent/tools/bhstat/snapshot.h"

/* Rates between `before` and `now`; over the whole time since start when `before` is NULL. */
void bhstat_table(FILE *out, const struct bhstat_snapshot *before,
                  const struct bhstat_snapshot *now);

#endif
