/* SPDX-License-Identifier: MIT */
/*
 * The contract as tables, generated from openapi.yaml at build time. Read-only.
 *
 * Ranges are an index of the first entry and a count. Schema 0 means "none".
 */
#ifndef BULKHEAD_API_CONTRACT_H
#define BULKHEAD_API_CONTRACT_H

#include "api/contract_ids.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum contract_type {
    CONTRACT_NULL = 1,
    CONTRACT_BOOLEAN = 2,
    CONTRACT_INTEGER = 4,
    CONTRACT_NUMBER = 8,
    CONTRACT_STRING = 16,
    CONTRACT_ARRAY = 32,
    CONTRACT_OBJECT = 64
};

struct contract_route {
    const char *method;
    const char *path; /* with {names} for the variable segments */
    const char *name; /* operationId */
    unsigned roles;   /* bit set of enum api_role; bit 0: public */
    bool is_mutation;
    bool is_upload;
    bool allows_scope; /* a caller limited to one VM may call it */
    bool body_required;
    enum api_collection collection; /* of a list, else API_COLLECTION_NONE */
    unsigned filter_first, filter_count;
    unsigned parameter_first, parameter_count;
    const char *media_type; /* of the body, or NULL when there is none */
    unsigned body_schema;
    unsigned answer_schema; /* of the object answered, where fields of it can be picked */
};

struct contract_parameter {
    const char *name;
    unsigned schema;
    bool may_be_empty;
};

struct contract_schema {
    unsigned types; /* bit set of enum contract_type */
    bool closed;    /* other properties are refused */
    bool bytes;     /* takes "2GiB" too */
    bool has_minimum, has_maximum;
    unsigned property_first, property_count; /* sorted by name */
    unsigned additional;                     /* schema of other properties */
    unsigned items;
    unsigned enum_first, enum_count;
    int64_t minimum, maximum;
    size_t max_length; /* in bytes; 0: no limit */
    size_t max_items, max_properties;
    const char *pattern; /* POSIX extended */
    const char *pattern_words;
    const char *name_pattern; /* of other properties' names */
    const char *name_pattern_words;
};

struct contract_property {
    const char *name;
    unsigned schema;
    bool required;
};

struct contract_problem {
    const char *name;
    int status;
    const char *title;
    const char *remedy;
};

extern const struct contract_route contract_routes[API_ROUTE_COUNT];
extern const struct contract_parameter contract_parameters[];
extern const struct contract_schema contract_schemas[];
extern const size_t contract_schema_count;
extern const struct contract_property contract_properties[];
extern const char *const contract_words[];
extern const struct contract_problem contract_problems[API_PROBLEM_COUNT];
extern const char *const contract_collections[API_COLLECTION_COUNT];
extern const unsigned char contract_json[];
extern const size_t contract_json_size;

#endif
