/* SPDX-License-Identifier: MIT */
/*
 * The server as a whole: start, stop, and the once-a-second ticker.
 */
#include "api/exchange.h"
#include "api/log.h"
#include "api/schema.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value ? value : fallback;
}

static struct api_limits fill_limits(const struct api_limits *given)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct api_limits limits = *given;
    limits.threads = or_default(limits.threads, processors > 0 ? (unsigned)processors : 1);
    limits.connections = or_default(limits.connections, 4096);
    limits.connections_per_address = or_default(limits.connections_per_address, 512);
    limits.idle_seconds = or_default(limits.idle_seconds, 75);
    limits.request_seconds = or_default(limits.request_seconds, 20);
    limits.requests_per_second = or_default(limits.requests_per_second, 2000);
    unsigned twice =
        limits.requests_per_second < UINT_MAX / 2 ? 2 * limits.requests_per_second : UINT_MAX;
    limits.burst = or_default(limits.burst, twice);
    if (!limits.body_bytes)
        limits.body_bytes = 1 << 20;
    return limits;
}

static void *tick(void *context)
{
    struct api_server *server = context;
    const struct timespec second = {.tv_nsec = 250000000};
    for (unsigned quarter = 0; !atomic_load(&server->stopping); quarter++) {
        nanosleep(&second, NULL);
        log_flush();
        if (quarter % 4)
            continue;
        connection_tick(server);
        stream_tick(server);
    }
    return NULL;
}

/* Frees whatever was made; the daemons are stopped already. */
static void server_free(struct api_server *server)
{
    limiter_free(server->limiter);
    list_cache_free(server->cache);
    scrape_cache_free(server->scrapes);
    stream_set_free(server->streams);
    tls_identity_free(atomic_load(&server->identity));
    pthread_mutex_destroy(&server->connections_lock);
    free(server);
}

static bool make_parts(struct api_server *server, const struct api_options *options, char *error,
                       size_t size)
{
    snprintf(error, size, "out of memory");
    pthread_mutex_init(&server->connections_lock, NULL);
    server->limiter = limiter_create(server->limits.requests_per_second, server->limits.burst);
    server->cache = list_cache_create();
    server->scrapes = scrape_cache_create();
    server->streams = stream_set_create();
    if (!server->limiter || !server->cache || !server->scrapes || !server->streams ||
        !schema_prepare())
        return false;
    atomic_store(&server->identity, tls_identity_create(options->certificate, options->key, NULL));
    if (atomic_load(&server->identity))
        return true;
    snprintf(error, size,
             "the server certificate and its key cannot be read or do not belong together");
    return false;
}

static bool start_parts(struct api_server *server, const struct api_options *options, char *error,
                        size_t size)
{
    snprintf(error, size, "cannot start a thread");
    server->sockets = socket_set_create(server);
    if (!server->sockets)
        return false;
    server->https = tls_daemon_start(server, options, error, size);
    if (!server->https)
        return false;
    if (options->unix_socket >= 0) {
        server->local = local_daemon_start(server, options->unix_socket, error, size);
        if (!server->local)
            return false;
    }
    server->has_ticker = pthread_create(&server->ticker, NULL, tick, server) == 0;
    return server->has_ticker;
}

void api_server_stop(struct api_server *server)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    atomic_store(&server->stopping, true);
    if (server->has_ticker)
        pthread_join(server->ticker, NULL);
    MHD_socket listener = server->https ? MHD_quiesce_daemon(server->https) : MHD_INVALID_SOCKET;
    while (atomic_load(&server->outstanding))
        nanosleep(&moment, NULL);
    stream_stop(server->streams);
    socket_set_free(server->sockets);
    if (server->local)
        MHD_stop_daemon(server->local);
    if (server->https)
        MHD_stop_daemon(server->https);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    log_flush();
    server_free(server);
}

struct api_server *api_server_start(const struct api_backend *backend,
                                    const struct api_options *options, char *error, size_t size)
{
    uint64_t seed = 0;
    struct api_server *server = calloc(1, sizeof *server);
    if (!server) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    if (getrandom(&seed, sizeof seed, 0) == sizeof seed)
        json_object_seed((size_t)seed);
    signal(SIGPIPE, SIG_IGN);
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* here, not first in an event thread */
    server->backend = *backend;
    server->limits = fill_limits(&options->limits);
    if (!make_parts(server, options, error, size)) {
        server_free(server);
        return NULL;
    }
    if (!start_parts(server, options, error, size)) {
        api_server_stop(server);
        return NULL;
    }
    return server;
}

uint16_t api_server_port(const struct api_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->https, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

bool api_server_set_certificate(struct api_server *server, const char *certificate, const char *key)
{
    struct tls_identity *identity =
        tls_identity_create(certificate, key, atomic_load(&server->identity));
    if (!identity)
        return false;
    atomic_store(&server->identity, identity);
    return true;
}

void api_server_events_advanced(struct api_server *server)
{
    stream_wake(server->streams, "");
}

void api_server_console_advanced(struct api_server *server, const char *uuid)
{
    stream_wake(server->streams, uuid);
    socket_set_wake(server->sockets);
}

void api_server_trust_changed(struct api_server *server)
{
    atomic_fetch_add(&server->trust_generation, 1);
    stream_wake(server->streams, NULL);
    socket_set_wake(server->sockets);
}
