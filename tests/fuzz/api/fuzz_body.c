/* SPDX-License-Identifier: MIT */
/*
 * Bodies: the first byte chooses the route, the rest is the body. Whatever is taken must be without
 * a fault, and whatever is refused must say where.
 */
#include "api/contract.h"
#include "api/json_scan.h"
#include "api/problem.h"
#include "api/schema.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api_problem problem = {0};
    struct text rendered = {0};
    if (size < 1 || !schema_prepare())
        return 0;
    const struct contract_route *route = &contract_routes[data[0] % API_ROUTE_COUNT];
    const char *body = (const char *)data + 1;
    if (!route->body_schema || json_scan_depth(body, size - 1) > 16)
        return 0;
    json_t *json = json_loadb(body, size - 1, JSON_REJECT_DUPLICATES, NULL);
    if (json && schema_check(route->body_schema, json, &problem) != (problem.errors == NULL))
        abort();
    if (problem.errors) {
        api_problem_render(&problem, route->path, "id", &rendered);
        json_t *document = json_loadb(rendered.bytes, rendered.size, 0, NULL);
        if (!document)
            abort();
        json_decref(document);
    }
    text_free(&rendered);
    api_problem_clear(&problem);
    json_decref(json);
    return 0;
}
