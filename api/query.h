/* SPDX-License-Identifier: MIT */
/*
 * Reads the query of a request target: known parameters only, each once, each of its type.
 */
#ifndef BULKHEAD_API_QUERY_H
#define BULKHEAD_API_QUERY_H

#include "api/backend.h"
#include "api/contract.h"

enum { QUERY_MAX_CONDITIONS = 16 };

/* The parameters of all routes; those not given keep their defaults. */
struct query {
    char *text; /* decoded parameters; the pointers below go into it */
    const char *page_token, *fields;
    unsigned limit;
    unsigned wait;
    bool has_wait;
    bool dry_run;
    bool follow, write, take, verbose;
    bool has_since, has_offset, has_limit;
    uint64_t since;
    int64_t offset;
    size_t condition_count;
    struct api_condition condition[QUERY_MAX_CONDITIONS];
};

/* Parse what stands behind the question mark, or NULL. On a fault: false and the problem. */
bool query_parse(const struct contract_route *route, const char *raw, struct query *query,
                 struct api_problem *problem);
void query_free(struct query *query);

#endif
