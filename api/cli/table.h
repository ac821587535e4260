/* SPDX-License-Identifier: MIT */
/*
 * Prints JSON objects as a table: one column a field.
 */
#ifndef BULKHEAD_CLI_TABLE_H
#define BULKHEAD_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>

/* The value at a dotted path inside an object, or NULL. */
const json_t *table_value(const json_t *object, const char *path);
/* A value as people read it, from malloc: sizes with a unit when the path ends in size or bytes,
 * lists by comma, nothing for null. */
char *table_text(const json_t *value, const char *path);
/* columns: "TITLE=path,TITLE=path". Prints titles and one line an item of the array. */
void table_print(const json_t *items, const char *columns);
/* Every field of an object, one a line, nested ones with dotted paths. */
void table_print_object(const json_t *object);

#endif
