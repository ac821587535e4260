/* SPDX-License-Identifier: MIT */
/* A snapshot as JSON; tools/README.md has the form. Times in ns, sizes in bytes. */
#ifndef PARENT_TOOLS_BHSTAT_JSON_H
#define PARENT_TOOLS_BHSTAT_JSON_H

#include <jansson.h>

#include "parent/tools/bhstat/snapshot.h"

/* A new reference, or NULL without memory. */
json_t *bhstat_json(const struct bhstat_snapshot *snapshot);

#endif
