/* SPDX-License-Identifier: MIT */
/*
 * Checks JSON values and query texts against the contract's schemas.
 *
 * Every fault is found and pointed at, up to the problem's limit, before anything acts.
 */
#ifndef BULKHEAD_API_SCHEMA_H
#define BULKHEAD_API_SCHEMA_H

#include "api/backend.h"

/* Compile the schemas' patterns. Once, before any check; false: out of memory or a bad pattern. */
bool schema_prepare(void);

/* Check a body. Faults are added to the problem, whose type then becomes INVALID_FIELDS. Sizes
 * written as text ("2GiB") are replaced by integers of bytes, in place. True: no fault. */
bool schema_check(unsigned schema, json_t *value, struct api_problem *problem);

/* Check the text of a query parameter. On a fault: false and what is wrong in fault. */
bool schema_check_text(unsigned schema, const char *text, char *fault, size_t size);

/* Whether documents of the schema may have what a path of `size` bytes names, as "status.state". */
bool schema_has_path(unsigned schema, const char *path, size_t size);

/* Read "2GiB" as bytes; false when it is none or too large for 63 bits. */
bool schema_parse_bytes(const char *text, int64_t *bytes);

#endif
