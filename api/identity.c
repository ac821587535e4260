/* SPDX-License-Identifier: MIT */
/*
 * Who calls, and may they? A bearer token decides when one is sent; else the client certificate;
 * else, on the UNIX socket, the peer's user. A token that is wrong is never ignored for something
 * else.
 */
#include "api/exchange.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Fold case only in the scheme. A WebSocket client that cannot set headers sends the token as a
 * subprotocol: "bulkhead.token.TOKEN". */
static const char *bearer_token(struct exchange *exchange, char *room, size_t size)
{
    const char *header =
        MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, "Authorization");
    if (header)
        return strncasecmp(header, "Bearer ", 7) == 0 ? header + 7 + strspn(header + 7, " ") : "";
    header = MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, "Sec-WebSocket-Protocol");
    const char *begin = header ? strstr(header, "bulkhead.token.") : NULL;
    if (!begin)
        return NULL;
    begin += strlen("bulkhead.token.");
    size_t length = strcspn(begin, ", ");
    if (length >= size)
        return "";
    memcpy(room, begin, length);
    room[length] = '\0';
    return room;
}

static bool by_certificate(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct api_server *server = exchange->server;
    unsigned generation = atomic_load(&server->trust_generation);
    int64_t now = clock_milliseconds();
    if (!connection->has_verdict || connection->verdict_generation != generation ||
        now - connection->verdict_at > CERTIFICATE_VERDICT_MS) {
        size_t size;
        const unsigned char *der = tls_peer_certificate(exchange->mhd, &size);
        connection->verdict =
            der && server->backend.authenticate_certificate(server->backend.context, der, size,
                                                            &connection->certificate_caller);
        connection->has_verdict = true;
        connection->verdict_generation = generation;
        connection->verdict_at = now;
    }
    if (connection->verdict)
        exchange->request.caller = connection->certificate_caller;
    return connection->verdict;
}

static bool by_anything(struct exchange *exchange)
{
    struct api_backend *backend = &exchange->server->backend;
    struct connection *connection = exchange->connection;
    char room[256];
    const char *token = bearer_token(exchange, room, sizeof room);
    if (token)
        return backend->authenticate_token(backend->context, token, &exchange->request.caller);
    if (connection->is_local)
        return backend->authenticate_peer(backend->context, connection->uid, connection->gid,
                                          &exchange->request.caller);
    return by_certificate(exchange);
}

static bool within_rate(struct exchange *exchange, const char *kind, const char *name)
{
    char bucket[160];
    unsigned wait = 1;
    snprintf(bucket, sizeof bucket, "%s:%s", kind, name);
    if (limiter_take(exchange->server->limiter, bucket, &wait))
        return true;
    api_problem_set(&exchange->problem, API_PROBLEM_RATE_LIMITED, "%s sent too many requests",
                    name);
    exchange->problem.retry_after = wait;
    return false;
}

bool identity_find(struct exchange *exchange)
{
    const struct api_caller *caller = &exchange->request.caller;
    if (exchange->match.route->roles & 1u)
        return within_rate(exchange, "address", exchange->connection->address);
    if (by_anything(exchange))
        return within_rate(exchange, "caller", *caller->token ? caller->token : caller->name);
    exchange->request.caller = (struct api_caller){0};
    if (within_rate(exchange, "address", exchange->connection->address))
        api_problem_set(&exchange->problem, API_PROBLEM_UNAUTHENTICATED,
                        "%s needs a valid token or client certificate",
                        exchange->match.route->path);
    return false;
}

bool identity_allows(struct exchange *exchange)
{
    static const char *const names[] = {"none",   "admin",   "operator",
                                        "viewer", "metrics", "console"};
    const struct contract_route *route = exchange->match.route;
    const struct api_caller *caller = &exchange->request.caller;
    if (route->roles & 1u)
        return true;
    if (!(route->roles & 1u << caller->role)) {
        api_problem_set(&exchange->problem, API_PROBLEM_FORBIDDEN, "%s %s is not for the role %s",
                        route->method, route->path, names[caller->role]);
        return false;
    }
    if (*caller->vm && !route->allows_scope && route_id(route) != API_ROOT_GET) {
        api_problem_set(&exchange->problem, API_PROBLEM_FORBIDDEN,
                        "The token is for the VM %s only, and %s %s is not about one VM",
                        caller->vm, route->method, route->path);
        return false;
    }
    return true;
}
