/* SPDX-License-Identifier: MIT */
/*
 * The way of a request: headers, identity, parameters, body, action, answer.
 *
 * A refusal is answered at once when no body follows. A small body is read and dropped first, so
 * that the client gets its answer and keeps its connection; a large one is not, and the connection
 * closes.
 */
#include "api/exchange.h"
#include "api/json_scan.h"
#include "api/schema.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

enum { UPLOAD_CHECKPOINT = 262144 };

static const char *header(struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name);
}

/* --- Creation --- */

static void make_request_id(char id[REQUEST_ID_SIZE])
{
    static _Atomic uint64_t counter;
    static _Atomic uint64_t secret;
    uint64_t start = atomic_load(&secret);
    if (!start && getrandom(&start, sizeof start, 0) == sizeof start)
        atomic_store(&secret, start | 1);
    uint64_t value = atomic_fetch_add(&counter, 1) + start;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    snprintf(id, REQUEST_ID_SIZE, "%016llx", (unsigned long long)(value ^ (value >> 31)));
}

void *exchange_create(void *server, const char *target, struct MHD_Connection *mhd)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    struct connection *connection = connection_of(mhd);
    if (!exchange || !connection || !(exchange->target = strdup(target))) {
        free(exchange);
        return NULL;
    }
    exchange->server = server;
    exchange->connection = connection;
    exchange->mhd = mhd;
    exchange->path_size = strcspn(target, "?");
    exchange->started = clock_microseconds();
    connection_expect(connection, exchange->server->limits.request_seconds);
    make_request_id(exchange->request_id);
    return exchange;
}

void exchange_end(void *context, struct MHD_Connection *mhd, void **state,
                  enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *state;
    struct api_server *server = context;
    (void)mhd, (void)code;
    if (!exchange)
        return;
    *state = NULL;
    if (exchange->upload)
        server->backend.upload_abort(server->backend.context, exchange->upload);
    if (!exchange->connection->upgraded)
        connection_expect(exchange->connection, server->limits.idle_seconds);
    observe_exchange(exchange);
    json_decref(exchange->request.body);
    api_problem_clear(&exchange->problem);
    EVP_MD_CTX_free(exchange->digest);
    free(exchange->answer.bytes);
    query_free(&exchange->query);
    text_free(&exchange->body);
    free(exchange->target);
    free(exchange);
}

/* --- Headers --- */

static bool is_id_text(const char *text)
{
    size_t length =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return length > 0 && length < REQUEST_ID_SIZE && !text[length];
}

static bool is_traceparent(const char *text)
{
    static const char form[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == 'x' ? !strchr("0123456789abcdef", text[i]) : text[i] != form[i])
            return false;
    return true;
}

static void read_trace(struct exchange *exchange)
{
    const char *id = header(exchange, "X-Request-Id");
    const char *trace = header(exchange, "traceparent");
    if (id && is_id_text(id))
        snprintf(exchange->request_id, sizeof exchange->request_id, "%s", id);
    if (trace && is_traceparent(trace)) {
        memcpy(exchange->traceparent, trace, sizeof exchange->traceparent);
        exchange->request.traceparent = exchange->traceparent;
    }
    exchange->request.request_id = exchange->request_id;
}

static bool find_route(struct exchange *exchange)
{
    struct route_match *match = &exchange->match;
    enum route_result result =
        route_find(exchange->method, exchange->target, exchange->path_size, match);
    if (result == ROUTE_FOUND) {
        exchange->request.route = route_id(match->route);
        exchange->request.object = *match->name[0] ? match->name[0] : NULL;
        exchange->request.child = *match->name[1] ? match->name[1] : NULL;
        return true;
    }
    bool no_path = result == ROUTE_NO_PATH;
    api_problem_set(&exchange->problem,
                    no_path ? API_PROBLEM_NO_SUCH_ROUTE : API_PROBLEM_METHOD_NOT_ALLOWED,
                    no_path ? "There is no %.*s" : "%.*s does not know %s",
                    (int)(exchange->path_size > 128 ? 128 : exchange->path_size), exchange->target,
                    exchange->method);
    return false;
}

/* A browser sends client certificates by itself, so a foreign page could act with them. */
static bool same_origin(struct exchange *exchange)
{
    const char *origin = header(exchange, "Origin");
    const char *host = header(exchange, "Host");
    if (!origin)
        return true;
    const char *authority = strstr(origin, "://");
    if (authority && host && strcasecmp(authority + 3, host) == 0)
        return true;
    api_problem_set(&exchange->problem, API_PROBLEM_FORBIDDEN,
                    "Pages of another origin may not call this server");
    return false;
}

static bool read_if_match(struct exchange *exchange)
{
    const char *value = header(exchange, "If-Match");
    if (!value)
        return true;
    exchange->request.if_match = exchange->if_match;
    if (strcmp(value, "*") == 0) {
        memcpy(exchange->if_match, "*", 2);
        return true;
    }
    size_t length = strlen(value);
    if (length < 3 || length > API_ETAG_SIZE + 20 || value[0] != '"' || value[length - 1] != '"' ||
        memchr(value + 1, '"', length - 2)) {
        api_problem_set(&exchange->problem, API_PROBLEM_INVALID_REQUEST,
                        "If-Match must be * or one entity tag in quotes");
        return false;
    }
    const char *dot = strrchr(value, '.');
    size_t spec = dot ? (size_t)(dot - value) - 1 : length - 2;
    if (spec >= API_ETAG_SIZE)
        spec = API_ETAG_SIZE - 1;
    memcpy(exchange->if_match, value + 1, spec);
    exchange->if_match[spec] = '\0';
    return true;
}

static bool read_key(struct exchange *exchange)
{
    const char *key = header(exchange, "Idempotency-Key");
    if (!key)
        return true;
    size_t length = strlen(key);
    bool good = length >= 1 && length <= 255;
    for (size_t i = 0; i < length; i++)
        good &= key[i] >= 0x20 && key[i] < 0x7f;
    exchange->request.idempotency_key = key;
    if (!good)
        api_problem_set(&exchange->problem, API_PROBLEM_INVALID_REQUEST,
                        "Idempotency-Key must be 1 to 255 printable ASCII characters");
    return good;
}

static bool read_preference(struct exchange *exchange)
{
    const char *prefer = header(exchange, "Prefer");
    const char *wait = prefer ? strstr(prefer, "wait=") : NULL;
    exchange->request.wait = exchange->query.wait;
    if (exchange->query.has_wait || !wait)
        return true;
    char *end;
    unsigned long seconds = strtoul(wait + 5, &end, 10);
    if (end == wait + 5)
        return true; /* a preference that is not understood is ignored */
    exchange->request.wait = seconds > 300 ? 300 : (unsigned)seconds;
    exchange->has_preference = true;
    return true;
}

static bool read_parameters(struct exchange *exchange)
{
    const char *raw =
        exchange->target[exchange->path_size] ? exchange->target + exchange->path_size + 1 : NULL;
    if (!query_parse(exchange->match.route, raw, &exchange->query, &exchange->problem))
        return false;
    exchange->request.dry_run = exchange->query.dry_run;
    if (!exchange->match.route->is_mutation && !exchange->match.route->is_upload)
        return read_preference(exchange);
    return read_preference(exchange) && read_if_match(exchange) && read_key(exchange);
}

/* Is the sent type the wanted one? A merge patch may also be called plain JSON. */
static bool type_fits(const char *sent, const char *wanted)
{
    size_t length = strcspn(sent, "; \t");
    if (strlen(wanted) == length && strncasecmp(sent, wanted, length) == 0)
        return true;
    return strcmp(wanted, "application/merge-patch+json") == 0 &&
           length == strlen("application/json") &&
           strncasecmp(sent, "application/json", length) == 0;
}

static bool check_media_type(struct exchange *exchange)
{
    const char *wanted = exchange->match.route->media_type;
    const char *sent = header(exchange, "Content-Type");
    const char *encoding = header(exchange, "Content-Encoding");
    bool binary = strcmp(wanted, "application/octet-stream") == 0;
    if (encoding && strcasecmp(encoding, "identity") != 0) {
        api_problem_set(&exchange->problem, API_PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                        "The body must not be compressed");
        return false;
    }
    if (binary || (sent && type_fits(sent, wanted)))
        return true;
    api_problem_set(&exchange->problem, API_PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                    "The body must be of type %s; curl sends it with --json", wanted);
    return false;
}

static size_t body_limit(const struct exchange *exchange)
{
    if (exchange->match.route && route_id(exchange->match.route) == API_CONSOLE_WRITE)
        return MAX_CONSOLE_INPUT;
    return exchange->server->limits.body_bytes;
}

/* The announced length of the body, or 0. */
static uint64_t announced(struct exchange *exchange)
{
    const char *length = header(exchange, "Content-Length");
    return length ? strtoull(length, NULL, 10) : 0;
}

static bool begin_upload(struct exchange *exchange);

static bool expect_body(struct exchange *exchange)
{
    const struct contract_route *route = exchange->match.route;
    if (!route->media_type) {
        if (exchange->has_body)
            api_problem_set(&exchange->problem, API_PROBLEM_INVALID_REQUEST, "%s %s takes no body",
                            route->method, route->path);
        return !exchange->has_body;
    }
    if (!exchange->has_body) {
        if (route->body_required && !route->is_upload)
            api_problem_set(&exchange->problem, API_PROBLEM_INVALID_REQUEST, "%s %s needs a body",
                            route->method, route->path);
        return route->is_upload ? begin_upload(exchange) : !route->body_required;
    }
    if (!check_media_type(exchange))
        return false;
    if (route->is_upload)
        return begin_upload(exchange);
    if (announced(exchange) > body_limit(exchange)) {
        api_problem_set(&exchange->problem, API_PROBLEM_TOO_LARGE,
                        "The body has %llu bytes; at most %zu are taken",
                        (unsigned long long)announced(exchange), body_limit(exchange));
        return false;
    }
    return true;
}

static bool admit(struct exchange *exchange, const char *version)
{
    if (!guard_request(exchange, version))
        return false;
    read_trace(exchange);
    return find_route(exchange) && same_origin(exchange) && identity_find(exchange) &&
           identity_allows(exchange) && read_parameters(exchange) && expect_body(exchange);
}

static enum MHD_Result exchange_begin(struct exchange *exchange, const char *method,
                                      const char *version)
{
    exchange->begun = true;
    snprintf(exchange->method, sizeof exchange->method, "%s", method);
    exchange->request.request_id = exchange->request_id;
    if (admit(exchange, version))
        return MHD_YES;
    bool is_upload = exchange->match.route && exchange->match.route->is_upload;
    uint64_t size = announced(exchange);
    bool large = exchange->has_body &&
                 (size > exchange->server->limits.body_bytes || (is_upload && size == 0));
    if (!large && !exchange->must_close)
        return MHD_YES; /* take() drops the body, finish() refuses; the connection lives on */
    exchange->must_close = true;
    return reply_problem(exchange);
}

/* --- What a repeat is known by: method, target, place in an upload, body --- */

static bool digest_add(struct exchange *exchange, const void *bytes, size_t size)
{
    if (!exchange->digest || EVP_DigestUpdate(exchange->digest, bytes, size))
        return true;
    api_problem_set(&exchange->problem, API_PROBLEM_UNAVAILABLE, "The server is out of memory");
    return false;
}

/* Only a request with a key is digested. */
static bool digest_begin(struct exchange *exchange, const char *range)
{
    if (!exchange->request.idempotency_key)
        return true;
    exchange->digest = EVP_MD_CTX_new();
    if (exchange->digest && EVP_DigestInit_ex(exchange->digest, EVP_sha256(), NULL))
        return digest_add(exchange, exchange->method, strlen(exchange->method) + 1) &&
               digest_add(exchange, exchange->target, strlen(exchange->target) + 1) &&
               (!range || digest_add(exchange, range, strlen(range) + 1));
    api_problem_set(&exchange->problem, API_PROBLEM_UNAVAILABLE, "The server is out of memory");
    return false;
}

static bool digest_request(struct exchange *exchange)
{
    return digest_begin(exchange, NULL) &&
           digest_add(exchange, exchange->body.bytes, exchange->body.size);
}

/* --- Uploads --- */

/* Read a number that the character follows, and move behind both. */
static bool take_number(const char **text, char follower, int64_t *number)
{
    char *end;
    errno = 0;
    if (**text < '0' || **text > '9')
        return false;
    *number = strtoll(*text, &end, 10);
    if (errno || *end != follower)
        return false;
    *text = end + (follower != '\0');
    return true;
}

/* Read "bytes FIRST-LAST/TOTAL" or "bytes FIRST-LAST/ *". */
static bool parse_range(const char *text, uint64_t length, int64_t *first, int64_t *total)
{
    int64_t last;
    if (strncmp(text, "bytes ", 6) != 0)
        return false;
    text += 6;
    if (!take_number(&text, '-', first) || !take_number(&text, '/', &last) || last < *first ||
        (length && (uint64_t)(last - *first) + 1 != length))
        return false;
    *total = -1;
    return strcmp(text, "*") == 0 || (take_number(&text, '\0', total) && *total > last);
}

static bool begin_upload(struct exchange *exchange)
{
    struct api_backend *backend = &exchange->server->backend;
    const char *range = header(exchange, "Content-Range");
    int64_t first = 0,
            total = header(exchange, "Content-Length") ? (int64_t)announced(exchange) : -1;
    if (range && !parse_range(range, announced(exchange), &first, &total)) {
        api_problem_set(
            &exchange->problem, API_PROBLEM_RANGE_NOT_SATISFIABLE,
            "Content-Range must be of the form bytes FIRST-LAST/TOTAL and fit the length");
        return false;
    }
    return digest_begin(exchange, range) &&
           backend->upload_begin(backend->context, &exchange->request, first, total,
                                 &exchange->upload, &exchange->problem);
}

/* --- Body --- */

static void take_upload(struct exchange *exchange, const char *data, size_t size)
{
    struct api_backend *backend = &exchange->server->backend;
    if (exchange->received - exchange->upload_checkpoint > UPLOAD_CHECKPOINT) {
        exchange->upload_checkpoint = exchange->received;
        connection_expect(exchange->connection, exchange->server->limits.request_seconds);
    }
    if (digest_add(exchange, data, size) &&
        backend->upload_write(backend->context, exchange->upload, data, size, &exchange->problem))
        return;
    backend->upload_abort(backend->context, exchange->upload);
    exchange->upload = NULL;
}

static enum MHD_Result exchange_take(struct exchange *exchange, const char *data, size_t *size)
{
    size_t limit = exchange->server->limits.body_bytes;
    exchange->received += *size;
    if (exchange->upload) {
        take_upload(exchange, data, *size);
    } else if (exchange->problem.type != API_PROBLEM_NONE) {
        if (exchange->received > 64 * limit)
            return MHD_NO;
    } else if (exchange->received > body_limit(exchange)) {
        api_problem_set(&exchange->problem, API_PROBLEM_TOO_LARGE,
                        "The body is longer than the %zu bytes that are taken",
                        body_limit(exchange));
        text_free(&exchange->body);
    } else {
        text_append(&exchange->body, data, *size);
    }
    *size = 0;
    return MHD_YES;
}

static bool parse_body(struct exchange *exchange)
{
    const struct contract_route *route = exchange->match.route;
    const struct text *body = &exchange->body;
    json_error_t error;
    if (!route->body_schema || (!body->size && !route->body_required))
        return true;
    if (body->failed) {
        api_problem_set(&exchange->problem, API_PROBLEM_UNAVAILABLE, "The server is out of memory");
        return false;
    }
    if (json_scan_depth(body->bytes, body->size) > MAX_BODY_DEPTH) {
        api_problem_set(&exchange->problem, API_PROBLEM_INVALID_JSON,
                        "The body nests deeper than %d levels", MAX_BODY_DEPTH);
        return false;
    }
    exchange->request.body =
        json_loadb(body->bytes ? body->bytes : "", body->size, JSON_REJECT_DUPLICATES, &error);
    if (!exchange->request.body || !json_is_object(exchange->request.body)) {
        api_problem_set(&exchange->problem, API_PROBLEM_INVALID_JSON, "Line %d, column %d: %s",
                        exchange->request.body ? 1 : error.line,
                        exchange->request.body ? 1 : error.column,
                        exchange->request.body ? "not a JSON object" : error.text);
        return false;
    }
    if (schema_check(route->body_schema, exchange->request.body, &exchange->problem))
        return true;
    exchange->problem.type = API_PROBLEM_INVALID_FIELDS;
    return false;
}

/* --- Action --- */

/* Answer now when the backend has, else suspend until it does. */
static enum MHD_Result settle(struct exchange *exchange)
{
    int open = EXCHANGE_OPEN;
    if (atomic_load(&exchange->state) == EXCHANGE_ANSWERED)
        return reply_answer(exchange);
    MHD_suspend_connection(exchange->mhd);
    if (!atomic_compare_exchange_strong(&exchange->state, &open, EXCHANGE_WAITING))
        MHD_resume_connection(exchange->mhd);
    return MHD_YES;
}

/* The answer is in place: hand the exchange back to its event thread. */
static void hand_back(struct exchange *exchange)
{
    struct api_server *server = exchange->server;
    struct MHD_Connection *mhd = exchange->mhd;
    if (atomic_exchange(&exchange->state, EXCHANGE_ANSWERED) == EXCHANGE_WAITING)
        MHD_resume_connection(mhd);
    atomic_fetch_sub(&server->outstanding, 1);
}

void api_answer(struct api_request *request, struct api_answer *answer)
{
    struct exchange *exchange = (struct exchange *)(void *)request;
    exchange->answer = *answer;
    hand_back(exchange);
}

void api_refuse(struct api_request *request, struct api_problem *problem)
{
    struct exchange *exchange = (struct exchange *)(void *)request;
    exchange->problem = *problem;
    if (exchange->problem.type == API_PROBLEM_NONE)
        exchange->problem.type = API_PROBLEM_INTERNAL;
    hand_back(exchange);
}

static enum MHD_Result ask_backend(struct exchange *exchange)
{
    struct api_backend *backend = &exchange->server->backend;
    void *upload = exchange->upload;
    if (exchange->match.route->is_mutation && !digest_request(exchange))
        return reply_problem(exchange);
    if (exchange->digest)
        EVP_DigestFinal_ex(exchange->digest, exchange->request.digest, NULL);
    exchange->upload = NULL;
    atomic_fetch_add(&exchange->server->outstanding, 1);
    if (upload)
        backend->upload_finish(backend->context, upload, &exchange->request);
    else
        backend->handle(backend->context, &exchange->request);
    return settle(exchange);
}

/* Routes that the API answers itself; the backend has the others. */
static enum MHD_Result act(struct exchange *exchange)
{
    switch (exchange->request.route) {
    case API_ROOT_GET:
        return root_reply(exchange);
    case API_CONTRACT_GET:
        return contract_reply(exchange);
    case API_DOCS_GET:
        return docs_reply(exchange);
    case API_LIVEZ_GET:
    case API_READYZ_GET:
        return health_reply(exchange);
    case API_METRICS_GET:
        return metrics_reply(exchange);
    case API_EVENT_LIST:
        return events_reply(exchange);
    case API_CONSOLE_READ:
        return console_reply(exchange);
    case API_CONSOLE_WRITE:
        return console_write_reply(exchange);
    default:
        if (exchange->match.route->collection != API_COLLECTION_NONE)
            return list_reply(exchange);
        return ask_backend(exchange);
    }
}

static enum MHD_Result exchange_finish(struct exchange *exchange)
{
    connection_expect(exchange->connection, 0);
    if (atomic_load(&exchange->server->stopping) && exchange->problem.type == API_PROBLEM_NONE)
        api_problem_set(&exchange->problem, API_PROBLEM_UNAVAILABLE, "The server is stopping");
    if (exchange->problem.type != API_PROBLEM_NONE || !parse_body(exchange))
        return reply_problem(exchange);
    return act(exchange);
}

enum MHD_Result exchange_handle(void *server, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *size, void **state)
{
    struct exchange *exchange = *state;
    (void)server, (void)mhd, (void)url;
    if (!exchange)
        return MHD_NO;
    if (exchange->replied)
        return MHD_YES;
    if (!exchange->begun)
        return exchange_begin(exchange, method, version);
    if (*size)
        return exchange_take(exchange, data, size);
    if (atomic_load(&exchange->state) == EXCHANGE_ANSWERED)
        return reply_answer(exchange);
    return exchange_finish(exchange);
}
