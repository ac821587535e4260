/* SPDX-License-Identifier: MIT */
/*
 * Answers. Every one carries its request's id, is never sniffed and is revalidated before reuse.
 */
#include "api/exchange.h"
#include "api/json_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void reply_header(struct MHD_Response *response, const char *name, const char *value)
{
    MHD_add_response_header(response, name, value);
}

enum MHD_Result reply_response(struct exchange *exchange, int status, const char *type,
                               struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    if (type)
        reply_header(response, "Content-Type", type);
    reply_header(response, "X-Request-Id", exchange->request_id);
    reply_header(response, "X-Content-Type-Options", "nosniff");
    reply_header(response, "Cache-Control", "private, no-cache");
    if (exchange->must_close)
        reply_header(response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(exchange->mhd, (unsigned)status, response);
    MHD_destroy_response(response);
    exchange->status = status;
    exchange->replied = true;
    return result;
}

enum MHD_Result reply_static(struct exchange *exchange, int status, const char *type,
                             const void *bytes, size_t size)
{
    exchange->sent = size;
    return reply_response(
        exchange, status, type,
        MHD_create_response_from_buffer(size, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT));
}

/* A response of malloc'd bytes; they are freed here when it cannot be made. */
static struct MHD_Response *response_of(char *bytes, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(bytes);
    return response;
}

enum MHD_Result reply_text(struct exchange *exchange, int status, const char *type,
                           struct text *text)
{
    if (text->failed) {
        text_free(text);
        return MHD_NO;
    }
    exchange->sent = text->size;
    char *exact = realloc(text->bytes, text->size + 1); /* what growing took too much */
    if (exact)
        text->bytes = exact;
    struct MHD_Response *response = response_of(text->bytes, text->size);
    *text = (struct text){0};
    return reply_response(exchange, status, type, response);
}

static void add_problem_headers(struct exchange *exchange, struct MHD_Response *response)
{
    char text[256];
    if (exchange->problem.retry_after) {
        snprintf(text, sizeof text, "%u", exchange->problem.retry_after);
        reply_header(response, "Retry-After", text);
    }
    if (exchange->problem.type == API_PROBLEM_UNAUTHENTICATED)
        reply_header(response, "WWW-Authenticate", "Bearer realm=\"bulkhead\"");
    if (exchange->problem.type == API_PROBLEM_METHOD_NOT_ALLOWED) {
        route_allow(exchange->target, exchange->path_size, text, sizeof text);
        reply_header(response, "Allow", text);
    }
}

enum MHD_Result reply_problem(struct exchange *exchange)
{
    struct text text = {0};
    char path[128];
    snprintf(path, sizeof path, "%.*s", (int)exchange->path_size, exchange->target);
    api_problem_render(&exchange->problem, path, exchange->request_id, &text);
    text_append(&text, "\n", 1);
    if (text.failed) {
        text_free(&text);
        return MHD_NO;
    }
    exchange->sent = text.size;
    struct MHD_Response *response = response_of(text.bytes, text.size);
    if (response)
        add_problem_headers(exchange, response);
    return reply_response(exchange, api_problem_status(&exchange->problem),
                          "application/problem+json", response);
}

/* Does the list of tags ("a", W/"b") hold this one? */
static bool list_has_tag(const char *list, const char *etag)
{
    size_t length = strlen(etag);
    if (strcmp(list, "*") == 0)
        return true;
    for (const char *p = strchr(list, '"'); p; p = strchr(p + 1, '"')) {
        const char *end = strchr(p + 1, '"');
        if (!end)
            return false;
        if ((size_t)(end - p - 1) == length && memcmp(p + 1, etag, length) == 0)
            return true;
        p = end;
    }
    return false;
}

bool reply_matches(struct exchange *exchange, const char *etag)
{
    const char *list = MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, "If-None-Match");
    return list && list_has_tag(list, etag);
}

static void add_etag(struct MHD_Response *response, const char *etag)
{
    char quoted[160];
    snprintf(quoted, sizeof quoted, "\"%s\"", etag);
    reply_header(response, "ETag", quoted);
}

enum MHD_Result reply_not_modified(struct exchange *exchange, const char *etag)
{
    static char nothing[1];
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    if (response)
        add_etag(response, etag);
    return reply_response(exchange, MHD_HTTP_NOT_MODIFIED, NULL, response);
}

/* Keep only the wanted fields of the answer's document. */
static bool project(struct exchange *exchange)
{
    struct api_answer *answer = &exchange->answer;
    struct json_fields fields;
    struct text picked = {0};
    if (!exchange->query.fields || !answer->bytes)
        return true;
    if (!json_fields_parse(&fields, exchange->query.fields))
        return false;
    json_fields_pick(&fields, answer->bytes, answer->size, &picked);
    json_fields_free(&fields);
    if (picked.failed) {
        text_free(&picked);
        return false;
    }
    free(answer->bytes);
    answer->bytes = picked.bytes;
    answer->size = picked.size;
    return true;
}

static void add_answer_headers(struct exchange *exchange, struct MHD_Response *response,
                               const char *etag)
{
    const struct api_answer *answer = &exchange->answer;
    char text[128];
    if (*etag)
        add_etag(response, etag);
    if (*answer->location)
        reply_header(response, "Location", answer->location);
    if (*answer->operation) {
        snprintf(text, sizeof text, "/v1/operations/%s", answer->operation);
        reply_header(response, "Operation", text);
    }
    if (answer->replayed)
        reply_header(response, "Idempotency-Replayed", "true");
    if (exchange->has_preference) {
        snprintf(text, sizeof text, "wait=%u", exchange->request.wait);
        reply_header(response, "Preference-Applied", text);
    }
}

enum MHD_Result reply_answer(struct exchange *exchange)
{
    struct api_answer *answer = &exchange->answer;
    char etag[API_ETAG_SIZE + 24] = "";
    if (exchange->problem.type != API_PROBLEM_NONE)
        return reply_problem(exchange);
    if (*answer->etag)
        snprintf(etag, sizeof etag, "%s.%" PRIu64, answer->etag, answer->sequence);
    bool is_read = strcmp(exchange->match.route->method, "GET") == 0;
    if (is_read && *etag && reply_matches(exchange, etag))
        return reply_not_modified(exchange, etag);
    if (is_read && !project(exchange))
        return MHD_NO;
    exchange->sent = answer->size;
    struct MHD_Response *response = response_of(answer->bytes, answer->size);
    answer->bytes = NULL;
    if (response)
        add_answer_headers(exchange, response, etag);
    return reply_response(exchange, answer->status,
                          answer->status == MHD_HTTP_NO_CONTENT ? NULL : "application/json",
                          response);
}
