/* SPDX-License-Identifier: MIT */
/*
 * Events, as a list and as a stream of server-sent events. The number of an event is its SSE id, so
 * a client that reconnects with Last-Event-ID misses nothing, or is told what was trimmed.
 */
#include "api/accept.h"
#include "api/json_scan.h"
#include "api/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_A_READ = 100 };

struct event_rows {
    struct text *out;
    const struct json_fields *fields;
    bool as_sse, as_lines;
    size_t items;
};

static void append_document(struct event_rows *rows, const char *bytes, size_t size)
{
    if (rows->fields)
        json_fields_pick(rows->fields, bytes, size, rows->out);
    else
        text_append(rows->out, bytes, size);
}

static void append_sse(struct event_rows *rows, const char *bytes, size_t size)
{
    struct json_slice sequence, type;
    if (!json_scan_member(bytes, size, "sequence", &sequence) ||
        !json_scan_member(bytes, size, "type", &type) || type.size < 2)
        return;
    text_printf(rows->out, "id: %.*s\nevent: %.*s\ndata: ", (int)sequence.size, sequence.bytes,
                (int)type.size - 2, type.bytes + 1);
    append_document(rows, bytes, size);
    text_puts(rows->out, "\n\n");
}

static void event_row(void *context, enum api_row_kind kind, const char *bytes, size_t size)
{
    struct event_rows *rows = context;
    (void)kind;
    if (rows->as_sse) {
        append_sse(rows, bytes, size);
    } else {
        text_append(rows->out, ",", !rows->as_lines && rows->items ? 1 : 0);
        append_document(rows, bytes, size);
        text_append(rows->out, "\n", rows->as_lines ? 1 : 0);
    }
    rows->items++;
}

/* The client has to list everything again. What follows begins at the oldest event, or, when its
 * number was none of ours, behind the newest; the id makes it come back with a number of ours. */
static void append_trimmed(struct text *out, const struct api_events_page *page)
{
    uint64_t sequence = page->unknown ? page->last : page->oldest;
    char now[32];
    clock_text(now);
    if (page->unknown)
        text_printf(out, "id: %" PRIu64 "\n", sequence);
    text_printf(out,
                "event: trimmed\ndata: {\"sequence\":%" PRIu64
                ",\"time\":\"%s\",\"type\":\"trimmed\","
                "\"oldest\":%" PRIu64 ",\"data\":{\"snapshot\":\"/v1/vms\"}}\n\n",
                sequence, now, page->oldest);
}

/* --- Stream --- */

static ssize_t send_pending(struct stream *stream, char *buffer, size_t size)
{
    size_t left = stream->pending.size - stream->pending_sent;
    size_t part = left < size ? left : size;
    memcpy(buffer, stream->pending.bytes + stream->pending_sent, part);
    stream->pending_sent += part;
    if (stream->pending_sent == stream->pending.size)
        stream->pending.size = stream->pending_sent = 0;
    return (ssize_t)part;
}

static ssize_t fill_events(struct stream *stream, char *buffer, size_t size)
{
    struct api_backend *backend = &stream->server->backend;
    while (!stream->pending.size) {
        struct json_fields fields = {0};
        struct event_rows rows = {.out = &stream->pending, .as_sse = true};
        struct api_events_page page = {0};
        struct api_problem problem = {0};
        struct api_list_query query = {.collection = API_COLLECTION_EVENTS,
                                       .limit = EVENTS_A_READ,
                                       .has_since = true,
                                       .since = stream->position,
                                       .condition_count = stream->query.condition_count,
                                       .conditions = stream->query.condition};
        if (stream->query.fields && json_fields_parse(&fields, stream->query.fields))
            rows.fields = &fields;
        bool good =
            backend->events_read(backend->context, &query, event_row, &rows, &page, &problem);
        json_fields_free(&fields);
        api_problem_clear(&problem);
        if (!good || stream->pending.failed)
            return -1;
        if (page.trimmed || page.unknown) {
            struct text rest = stream->pending;
            stream->pending = (struct text){0};
            append_trimmed(&stream->pending, &page);
            text_append(&stream->pending, rest.bytes, rest.size);
            text_free(&rest);
        }
        bool moved = page.last > stream->position || page.unknown;
        if (moved)
            stream->position = page.last;
        if (!stream->pending.size && !moved)
            return 0;
    }
    return send_pending(stream, buffer, size);
}

/* Where to begin: Last-Event-ID, ?since=, or now. */
static bool find_start(struct exchange *exchange, uint64_t *start)
{
    const char *last = MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, "Last-Event-ID");
    struct api_backend *backend = &exchange->server->backend;
    if (last) {
        char *end;
        *start = strtoull(last, &end, 10);
        if (*last >= '0' && *last <= '9' && !*end)
            return true;
        api_problem_set(&exchange->problem, API_PROBLEM_INVALID_REQUEST,
                        "Last-Event-ID must be the number of an event");
        return false;
    }
    *start = exchange->query.has_since
                 ? exchange->query.since
                 : backend->collection_version(backend->context, API_COLLECTION_EVENTS);
    return true;
}

static enum MHD_Result reply_stream(struct exchange *exchange)
{
    uint64_t start;
    if (!find_start(exchange, &start))
        return reply_problem(exchange);
    struct stream *stream = stream_create(exchange, fill_events);
    if (!stream)
        return reply_problem(exchange);
    stream->position = start;
    stream->ping = ": ping\n\n";
    stream->query = exchange->query;
    exchange->query.text = NULL; /* the stream's now */
    text_puts(&stream->pending, ": bulkhead events\nretry: 2000\n\n");
    return reply_response(exchange, MHD_HTTP_OK, "text/event-stream", stream_response(stream));
}

/* --- List --- */

static void render_end(struct text *out, const struct api_events_page *page, bool full)
{
    text_puts(out, "],\"next\":");
    if (full)
        text_printf(out, "\"%" PRIu64 "\"", page->last);
    else
        text_puts(out, "null");
    text_printf(out, ",\"sequence\":%" PRIu64 ",\"oldest\":%" PRIu64 "}\n", page->last,
                page->oldest);
}

/* Where the list should begin, there is nothing: it was trimmed, or never was. */
static bool refuse_start(struct exchange *exchange, const struct api_events_page *page)
{
    if (page->unknown)
        api_problem_unknown_sequence(&exchange->problem, exchange->query.since, page->last);
    else if (page->trimmed && exchange->query.has_since)
        api_problem_set(&exchange->problem, API_PROBLEM_TRIMMED,
                        "Events after %" PRIu64 " were trimmed; the oldest kept is %" PRIu64,
                        exchange->query.since, page->oldest);
    else
        return false;
    exchange->problem.oldest = page->oldest;
    return true;
}

static enum MHD_Result reply_list(struct exchange *exchange, bool lines)
{
    struct api_backend *backend = &exchange->server->backend;
    struct text out = {0};
    struct json_fields fields = {0};
    struct event_rows rows = {.out = &out, .as_lines = lines};
    struct api_events_page page = {0};
    struct api_list_query query = {.collection = API_COLLECTION_EVENTS,
                                   .limit = exchange->query.limit,
                                   .has_since = exchange->query.has_since,
                                   .since = exchange->query.since,
                                   .condition_count = exchange->query.condition_count,
                                   .conditions = exchange->query.condition};
    if (exchange->query.fields && json_fields_parse(&fields, exchange->query.fields))
        rows.fields = &fields;
    text_puts(&out, lines ? "" : "{\"items\":[");
    bool good =
        backend->events_read(backend->context, &query, event_row, &rows, &page, &exchange->problem);
    json_fields_free(&fields);
    if (!good || refuse_start(exchange, &page)) {
        text_free(&out);
        return reply_problem(exchange);
    }
    if (!lines)
        render_end(&out, &page, rows.items == query.limit);
    return reply_text(exchange, MHD_HTTP_OK, lines ? "application/x-ndjson" : "application/json",
                      &out);
}

/* A page token of events is where the page before ended. */
static bool take_token(struct exchange *exchange)
{
    const char *token = exchange->query.page_token;
    char *end;
    if (!token)
        return true;
    exchange->query.since = strtoull(token, &end, 10);
    exchange->query.has_since = true;
    if (*token >= '0' && *token <= '9' && !*end && exchange->query.since <= INT64_MAX)
        return true;
    api_problem_set(&exchange->problem, API_PROBLEM_INVALID_PARAMETER,
                    "The page_token is not one of this collection");
    return false;
}

enum MHD_Result events_reply(struct exchange *exchange)
{
    static const char *const forms[] = {"application/json", "application/x-ndjson",
                                        "text/event-stream"};
    const char *accept = MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, "Accept");
    int form = accept_choose(accept, forms, 3);
    if (form < 0)
        api_problem_set(
            &exchange->problem, API_PROBLEM_NOT_ACCEPTABLE,
            "Events come as application/json, application/x-ndjson or text/event-stream");
    if (form < 0 || !take_token(exchange))
        return reply_problem(exchange);
    return form == 2 ? reply_stream(exchange) : reply_list(exchange, form == 1);
}
