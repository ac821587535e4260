/* SPDX-License-Identifier: MIT */
/*
 * Request targets: the first byte chooses the method, the rest is path and query.
 */
#include "api/problem.h"
#include "api/query.h"
#include "api/route.h"
#include "api/schema.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"};
    struct route_match match;
    struct query query;
    struct api_problem problem = {0};
    char allow[128];
    if (size < 1 || size > 8192 || !schema_prepare())
        return 0;
    char *target = malloc(size);
    if (!target)
        return 0;
    memcpy(target, data + 1, size - 1);
    target[size - 1] = '\0';
    size_t path = strcspn(target, "?");
    if (route_find(methods[data[0] % 6], target, path, &match) == ROUTE_FOUND) {
        const char *raw = target[path] ? target + path + 1 : NULL;
        if (query_parse(match.route, raw, &query, &problem) != (problem.type == API_PROBLEM_NONE))
            abort();
        if (query.condition_count > QUERY_MAX_CONDITIONS || query.limit < 1 ||
            query.limit > 16777216)
            abort();
        query_free(&query);
        api_problem_clear(&problem);
    }
    route_allow(target, path, allow, sizeof allow);
    free(target);
    return 0;
}
