/* SPDX-License-Identifier: MIT */
/*
 * The HTTPS server. Start it after the backend is ready and stop it before the backend goes.
 */
#ifndef BULKHEAD_API_SERVER_H
#define BULKHEAD_API_SERVER_H

#include "api/backend.h"

struct api_server;

struct api_limits {
    unsigned threads;                 /* event threads; 0: one per processor */
    unsigned connections;             /* open connections; 0: 4096 */
    unsigned connections_per_address; /* 0: 512 */
    unsigned idle_seconds;            /* close a connection that says nothing for so long; 0: 75 */
    unsigned request_seconds; /* a request's headers and body must come in this time (an upload is
                                 exempt but must keep moving); 0: 20 */
    size_t body_bytes;        /* largest JSON body; 0: 1 MiB */
    unsigned requests_per_second; /* per identity, sustained; 0: 2000. UINT_MAX: no limit */
    unsigned burst;               /* per identity, at once; 0: twice the rate */
};

struct api_options {
    const char *address;     /* numeric IPv4 or IPv6 address to listen on, such as "127.0.0.1" */
    uint16_t port;           /* TCP port for HTTPS; 0 lets the system choose */
    const char *certificate; /* server certificate chain, PEM */
    const char *key;         /* its private key, PEM */
    int unix_socket;         /* listening AF_UNIX stream socket for the local administrator, or -1;
                                the server closes it */
    struct api_limits limits;
};

/* Start serving. On failure: NULL and a sentence in error. The backend outlives the server. */
struct api_server *api_server_start(const struct api_backend *backend,
                                    const struct api_options *options, char *error, size_t size);
/* Stop taking requests, end streams, wait for answers under way (the backend must still give
 * them), close everything. */
void api_server_stop(struct api_server *server);
/* TCP port in use. */
uint16_t api_server_port(const struct api_server *server);
/* Use a new certificate and key (PEM) for new connections. False when they do not fit. */
bool api_server_set_certificate(struct api_server *server, const char *certificate,
                                const char *key);

/* New events are durable: wake the streams. Cheap, from any thread. */
void api_server_events_advanced(struct api_server *server);
/* A VM's console has new bytes, or the VM is gone: wake its readers. Cheap, from any thread. */
void api_server_console_advanced(struct api_server *server, const char *uuid);
/* A token, user or certificate was revoked: check the callers of open streams again. */
void api_server_trust_changed(struct api_server *server);

#endif
