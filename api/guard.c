/* SPDX-License-Identifier: MIT */
/*
 * Checks of the request's framing. The HTTP library takes the first of two differing lengths and
 * the like, which lets a proxy in front and the server disagree about where a request ends.
 * Whatever is ambiguous is refused here before any of it is acted upon, and the connection closes.
 */
#include "api/exchange.h"

#include <string.h>
#include <strings.h>

struct header_count {
    unsigned headers;
    size_t bytes;
    unsigned length, encoding, host, authorization;
    bool chunked, bad_length, repeated, control;
};

/* Headers of which a second one changes the meaning. */
static bool is_single(const char *name)
{
    static const char *const single[] = {
        "content-type",  "if-match",         "if-none-match",    "idempotency-key", "expect",
        "content-range", "last-event-id",    "origin",           "traceparent",     "x-request-id",
        "upgrade",       "content-encoding", "sec-websocket-key"};
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        if (strcasecmp(name, single[i]) == 0)
            return true;
    return false;
}

static bool is_digits(const char *value, size_t size)
{
    return size > 0 && size < 19 && strspn(value, "0123456789") == size;
}

static bool has_control(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return true;
    return false;
}

struct header_walk {
    struct header_count count;
    const char *seen[MAX_HEADERS];
    unsigned seen_count;
};

static void note_repeat(struct header_walk *walk, const char *name)
{
    for (unsigned i = 0; i < walk->seen_count; i++)
        walk->count.repeated |= strcasecmp(walk->seen[i], name) == 0;
    if (walk->seen_count < MAX_HEADERS)
        walk->seen[walk->seen_count++] = name;
}

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    size_t name_size, const char *value, size_t value_size)
{
    struct header_walk *walk = context;
    struct header_count *count = &walk->count;
    (void)kind;
    if (!value)
        value = "";
    count->headers++;
    count->bytes += name_size + value_size;
    count->control |=
        has_control(name, name_size) || has_control(value, value_size) || strchr(name, ' ') != NULL;
    if (strcasecmp(name, "content-length") == 0) {
        count->length++;
        count->bad_length |= !is_digits(value, value_size);
    } else if (strcasecmp(name, "transfer-encoding") == 0) {
        count->encoding++;
        count->chunked = strcasecmp(value, "chunked") == 0;
    } else if (strcasecmp(name, "host") == 0) {
        count->host++;
    } else if (strcasecmp(name, "authorization") == 0) {
        count->authorization++;
    } else if (is_single(name)) {
        note_repeat(walk, name);
    }
    return MHD_YES;
}

static const char *framing_fault(const struct header_count *count, const char *version)
{
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return "Only HTTP/1.1 and HTTP/1.0 are spoken here";
    if (count->control)
        return "A header holds a control character";
    if (count->length > 1 || count->bad_length)
        return "Content-Length must be given once, as a plain number";
    if (count->length && count->encoding)
        return "Content-Length and Transfer-Encoding exclude each other";
    if (count->encoding > 1 || (count->encoding && !count->chunked))
        return "Transfer-Encoding must be chunked and given once";
    if (count->encoding && strcmp(version, "HTTP/1.0") == 0)
        return "HTTP/1.0 has no Transfer-Encoding";
    if (count->host > 1 || (!count->host && strcmp(version, "HTTP/1.1") == 0))
        return "Host must be given once";
    if (count->authorization > 1 || count->repeated)
        return "A header that may be given once is given twice";
    return NULL;
}

static bool is_printable(const char *target)
{
    for (; *target; target++)
        if (*target <= 0x20 || *target == 0x7f)
            return false;
    return true;
}

bool guard_request(struct exchange *exchange, const char *version)
{
    struct header_walk walk = {0};
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, count_header, &walk);
    const char *fault = framing_fault(&walk.count, version);
    if (!fault && (exchange->target[0] != '/' || !is_printable(exchange->target)))
        fault = "The request target must be a path of printable characters";
    exchange->has_body = walk.count.encoding > 0;
    if (walk.count.length && !walk.count.bad_length) {
        const char *length =
            MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, "Content-Length");
        exchange->has_body |= length && strspn(length, "0") != strlen(length);
    }
    if (fault) {
        exchange->must_close = true;
        api_problem_set(&exchange->problem, API_PROBLEM_INVALID_REQUEST, "%s", fault);
        return false;
    }
    if (walk.count.headers > MAX_HEADERS || walk.count.bytes > MAX_HEADER_BYTES ||
        strlen(exchange->target) > MAX_TARGET_BYTES) {
        exchange->must_close = true;
        api_problem_set(&exchange->problem, API_PROBLEM_HEADERS_TOO_LARGE,
                        "At most %d headers and %d bytes of them are taken", MAX_HEADERS,
                        MAX_HEADER_BYTES);
        return false;
    }
    return true;
}
