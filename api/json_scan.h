/* SPDX-License-Identifier: MIT */
/*
 * Looks into JSON bytes without building a tree: picks fields out of stored documents and bounds
 * the nesting of what clients send.
 */
#ifndef BULKHEAD_API_JSON_SCAN_H
#define BULKHEAD_API_JSON_SCAN_H

#include "api/text.h"

struct json_slice {
    const char *bytes;
    size_t size;
};

/* Deepest nesting of arrays and objects in size bytes, which need not be valid JSON. */
size_t json_scan_depth(const char *bytes, size_t size);

/* Find the value of a member of the object in size bytes. False when it is not there. */
bool json_scan_member(const char *bytes, size_t size, const char *name, struct json_slice *value);

/* A set of wanted fields: "name,status.state" parsed once, used for many documents. */
struct json_fields {
    struct json_field {
        const char *path; /* not terminated */
        size_t size;
    } * field;
    size_t count;
};

/* Parse a list of dotted paths; fields points into list. False: out of memory. */
bool json_fields_parse(struct json_fields *fields, const char *list);
void json_fields_free(struct json_fields *fields);

/* Append the object in size bytes with only the wanted members. A wanted member that the document
 * lacks is left out. A document that is not a well-formed object is appended as it is. */
void json_fields_pick(const struct json_fields *fields, const char *bytes, size_t size,
                      struct text *out);

#endif
