/* SPDX-License-Identifier: MIT */
/*
 * The console as a log: read from any offset, follow, type.
 */
#include "api/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONSOLE_READ_DEFAULT = 1 << 20 };

static ssize_t fill_console(struct stream *stream, char *buffer, size_t size)
{
    struct api_backend *backend = &stream->server->backend;
    struct api_console_span span;
    ssize_t got = backend->console_read(backend->context, stream->uuid, stream->position, buffer,
                                        size, &span);
    if (got > 0)
        stream->position = span.first + (uint64_t)got;
    return got;
}

/* The offset to begin at. False: the VM is gone. */
static bool find_offset(struct exchange *exchange, const char *uuid, uint64_t *offset)
{
    struct api_backend *backend = &exchange->server->backend;
    struct api_console_span span = {0};
    char nothing[1];
    if (backend->console_read(backend->context, uuid, 0, nothing, 0, &span) < 0) {
        api_problem_set(&exchange->problem, API_PROBLEM_NOT_FOUND, "The VM was deleted");
        return false;
    }
    int64_t wanted = exchange->query.has_offset ? exchange->query.offset : 0;
    *offset = (uint64_t)wanted;
    if (wanted < 0)
        *offset = (uint64_t)-wanted < span.end ? span.end - (uint64_t)-wanted : 0;
    if (*offset < span.oldest)
        *offset = span.oldest;
    if (*offset > span.end)
        *offset = span.end;
    return true;
}

static void add_offset(struct MHD_Response *response, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    if (response)
        reply_header(response, name, text);
}

static enum MHD_Result reply_bytes(struct exchange *exchange, const char *uuid, uint64_t offset)
{
    struct api_backend *backend = &exchange->server->backend;
    struct api_console_span span = {.first = offset};
    size_t room = exchange->query.has_limit ? exchange->query.limit : CONSOLE_READ_DEFAULT;
    char *bytes = malloc(room);
    size_t size = 0;
    uint64_t first = offset;
    while (bytes && size < room) {
        ssize_t got = backend->console_read(backend->context, uuid, offset + size, bytes + size,
                                            room - size, &span);
        if (got <= 0)
            break;
        if (!size)
            first = offset = span.first;
        size += (size_t)got;
    }
    if (!bytes)
        return MHD_NO;
    exchange->sent = size;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(bytes);
    add_offset(response, "Console-Offset", first);
    add_offset(response, "Console-Next", first + size);
    return reply_response(exchange, MHD_HTTP_OK, "application/octet-stream", response);
}

static bool hold_keyboard(struct exchange *exchange, struct stream *stream)
{
    stream->has_keyboard =
        keyboard_hold(stream->uuid, stream, &exchange->request.caller, exchange->query.take);
    if (!stream->has_keyboard)
        api_problem_set(&exchange->problem, API_PROBLEM_CONSOLE_HELD,
                        "Another types on the console of %s", exchange->request.object);
    return stream->has_keyboard;
}

static enum MHD_Result reply_follow(struct exchange *exchange, const char *uuid, uint64_t offset)
{
    struct stream *stream = stream_create(exchange, fill_console);
    if (!stream)
        return reply_problem(exchange);
    snprintf(stream->uuid, sizeof stream->uuid, "%s", uuid);
    stream->position = offset;
    if (exchange->query.write && !hold_keyboard(exchange, stream)) {
        stream_destroy(stream);
        return reply_problem(exchange);
    }
    struct MHD_Response *response = stream_response(stream);
    add_offset(response, "Console-Offset", offset);
    return reply_response(exchange, MHD_HTTP_OK, "application/octet-stream", response);
}

/* Typing needs more than a viewer's role, by whatever route. */
static bool may_write(struct exchange *exchange)
{
    unsigned roles = contract_routes[API_CONSOLE_WRITE].roles;
    if (!exchange->query.write || (roles & 1u << exchange->request.caller.role))
        return true;
    api_problem_set(&exchange->problem, API_PROBLEM_FORBIDDEN,
                    "Your role may read the console only");
    return false;
}

enum MHD_Result console_reply(struct exchange *exchange)
{
    struct api_backend *backend = &exchange->server->backend;
    char uuid[API_UUID_SIZE];
    uint64_t offset;
    if (!may_write(exchange) ||
        !backend->console_find(backend->context, &exchange->request, uuid, &exchange->problem) ||
        !find_offset(exchange, uuid, &offset))
        return reply_problem(exchange);
    if (websocket_wanted(exchange))
        return websocket_reply(exchange, uuid, offset);
    if (exchange->query.follow)
        return reply_follow(exchange, uuid, offset);
    return reply_bytes(exchange, uuid, offset);
}

enum MHD_Result console_write_reply(struct exchange *exchange)
{
    struct api_backend *backend = &exchange->server->backend;
    static char nothing[1];
    char uuid[API_UUID_SIZE];
    if (!backend->console_find(backend->context, &exchange->request, uuid, &exchange->problem))
        return reply_problem(exchange);
    if (!keyboard_may_type(uuid, &exchange->request.caller)) {
        api_problem_set(&exchange->problem, API_PROBLEM_CONSOLE_HELD,
                        "Another types on the console of %s", exchange->request.object);
        return reply_problem(exchange);
    }
    if (exchange->body.size && !backend->console_write(backend->context, uuid, exchange->body.bytes,
                                                       exchange->body.size, &exchange->problem))
        return reply_problem(exchange);
    return reply_response(exchange, MHD_HTTP_NO_CONTENT, NULL,
                          MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT));
}
