/* SPDX-License-Identifier: MIT */
/*
 * What the server keeps: itself, a connection, and an exchange (one request and its answer).
 *
 * An exchange goes through begin (headers: refuse or go on), take (body), finish (act) and reply.
 * The event thread owns it, except between the backend's handle() and api_answer(), when whoever
 * answers may touch `answer`, `problem` and `state` only; `state` says who goes on.
 *
 * Lock order: connections, then streams, then the library's own.
 */
#ifndef BULKHEAD_API_EXCHANGE_H
#define BULKHEAD_API_EXCHANGE_H

#include "api/problem.h"
#include "api/query.h"
#include "api/route.h"
#include "api/server.h"
#include "api/text.h"
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    MAX_HEADERS = 64,
    MAX_HEADER_BYTES = 16384,
    MAX_TARGET_BYTES = 4096,
    MAX_BODY_DEPTH = 16,
    MAX_CONSOLE_INPUT = 65536,
    REQUEST_ID_SIZE = 65,
    TRACEPARENT_SIZE = 56
};

/* A client certificate's verdict is asked again after so long. */
enum { CERTIFICATE_VERDICT_MS = 60000 };

struct connection {
    struct connection *next, *previous;
    struct api_server *server;
    int fd;
    bool is_local; /* came over the UNIX socket */
    bool upgraded; /* now a WebSocket: the deadline does not apply */
    uid_t uid;
    gid_t gid;
    char address[64];
    _Atomic int64_t deadline;  /* monotonic milliseconds, or 0 for none */
    bool has_verdict, verdict; /* of the client certificate */
    int64_t verdict_at;
    unsigned verdict_generation;
    struct api_caller certificate_caller;
};

enum exchange_state { EXCHANGE_OPEN, EXCHANGE_WAITING, EXCHANGE_ANSWERED };

struct exchange {
    struct api_request request; /* first, so that api_answer() finds the exchange */
    struct api_server *server;
    struct connection *connection;
    struct MHD_Connection *mhd;
    struct route_match match;
    struct query query;
    struct api_problem problem;
    struct api_answer answer;
    struct text body;
    void *upload;
    struct evp_md_ctx_st *digest; /* of a request with an Idempotency-Key, while it comes */
    size_t upload_checkpoint;
    size_t received;
    char *target; /* as sent */
    size_t path_size;
    char method[16];
    char request_id[REQUEST_ID_SIZE];
    char traceparent[TRACEPARENT_SIZE];
    char if_match[API_ETAG_SIZE];
    bool begun, replied, has_body, must_close, has_preference;
    _Atomic int state;
    int status;      /* sent */
    uint64_t sent;   /* bytes of the body, or 0 when not known */
    int64_t started; /* monotonic microseconds */
};

/* A certificate and key in use. Kept until the server ends, since sessions point at it. */
struct tls_identity;
struct limiter;
struct list_cache;
struct scrape_cache;
struct stream_set;
struct socket_set;

enum { STATUS_CLASSES = 6, LATENCY_BUCKETS = 12 };

struct route_statistics {
    _Atomic uint64_t count[STATUS_CLASSES];
    _Atomic uint64_t bucket[STATUS_CLASSES][LATENCY_BUCKETS];
    _Atomic uint64_t microseconds[STATUS_CLASSES];
};

struct api_server {
    struct api_backend backend;
    struct api_limits limits;
    struct MHD_Daemon *https, *local;
    pthread_mutex_t connections_lock;
    struct connection *connections;
    _Atomic unsigned connection_count;
    _Atomic unsigned outstanding; /* requests given to the backend and not answered */
    _Atomic unsigned trust_generation;
    atomic_bool stopping;
    struct tls_identity *_Atomic identity;
    struct limiter *limiter;
    struct list_cache *cache;
    struct scrape_cache *scrapes;
    struct stream_set *streams;
    struct socket_set *sockets;
    pthread_t ticker;
    bool has_ticker;
    struct route_statistics statistics[API_ROUTE_COUNT + 1]; /* the last: no route */
};

/* --- clock.c --- */
int64_t clock_milliseconds(void); /* monotonic */
int64_t clock_microseconds(void);
/* "2026-11-21T08:00:00.000Z" of now. */
void clock_text(char text[32]);

/* --- guard.c: what the library lets through and we do not --- */
/* False: the problem says why, and the connection must close. */
bool guard_request(struct exchange *exchange, const char *version);

/* --- identity.c --- */
/* Find out who calls. False: 401 or 429 in the problem. */
bool identity_find(struct exchange *exchange);
/* May the caller use the route? False: 403 in the problem. */
bool identity_allows(struct exchange *exchange);

/* --- limit.c --- */
struct limiter *limiter_create(unsigned per_second, unsigned burst);
/* Take one from the bucket of this name; on refusal the seconds to wait, at least 1. */
bool limiter_take(struct limiter *limiter, const char *name, unsigned *wait);
void limiter_free(struct limiter *limiter);

/* --- dispatch.c --- */
enum MHD_Result exchange_handle(void *server, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *size, void **state);
void *exchange_create(void *server, const char *target, struct MHD_Connection *mhd);
void exchange_end(void *server, struct MHD_Connection *mhd, void **state,
                  enum MHD_RequestTerminationCode code);

/* --- reply.c: each queues the one answer of the exchange --- */
enum MHD_Result reply_problem(struct exchange *exchange);
enum MHD_Result reply_answer(struct exchange *exchange);
/* Text or bytes that live as long as the program. */
enum MHD_Result reply_static(struct exchange *exchange, int status, const char *type,
                             const void *bytes, size_t size);
/* Takes over the text. */
enum MHD_Result reply_text(struct exchange *exchange, int status, const char *type,
                           struct text *text);
/* Queue a response that the caller made, with the headers every answer has; drops it. */
enum MHD_Result reply_response(struct exchange *exchange, int status, const char *type,
                               struct MHD_Response *response);
void reply_header(struct MHD_Response *response, const char *name, const char *value);
/* Does If-None-Match name this tag (without quotes)? */
bool reply_matches(struct exchange *exchange, const char *etag);
enum MHD_Result reply_not_modified(struct exchange *exchange, const char *etag);

/* --- list.c --- */
enum MHD_Result list_reply(struct exchange *exchange);
struct list_cache *list_cache_create(void);
void list_cache_free(struct list_cache *cache);

/* --- scrape.c --- */
enum MHD_Result metrics_reply(struct exchange *exchange);
struct scrape_cache *scrape_cache_create(void);
void scrape_cache_free(struct scrape_cache *cache);

/* --- stream.c: answers that stay open --- */
enum MHD_Result events_reply(struct exchange *exchange);
enum MHD_Result console_reply(struct exchange *exchange);
enum MHD_Result console_write_reply(struct exchange *exchange);
struct stream_set *stream_set_create(void);
void stream_set_free(struct stream_set *set);
/* Wake those that wait: all, or the readers of one VM's console. */
void stream_wake(struct stream_set *set, const char *uuid);
void stream_tick(struct api_server *server);
/* End all streams; later ones end at once. */
void stream_stop(struct stream_set *set);
unsigned stream_count(struct stream_set *set);
uint64_t stream_dropped(struct stream_set *set);

/* --- keyboard.c: one writer a console --- */
/* Hold the keyboard of a VM for this holder; false when another has it. take: from anyone. */
bool keyboard_hold(const char *uuid, const void *holder, const struct api_caller *caller,
                   bool take);
/* Does this holder still have it? */
bool keyboard_is_held_by(const char *uuid, const void *holder);
/* May this caller's single POST type now? */
bool keyboard_may_type(const char *uuid, const struct api_caller *caller);
void keyboard_release(const char *uuid, const void *holder);

/* --- websocket.c --- */
bool websocket_wanted(struct exchange *exchange);
enum MHD_Result websocket_reply(struct exchange *exchange, const char *uuid, uint64_t offset);
struct socket_set *socket_set_create(struct api_server *server);
void socket_set_wake(struct socket_set *set);
void socket_set_free(struct socket_set *set);
unsigned socket_count(struct socket_set *set);

/* --- service.c: the routes about the service itself --- */
enum MHD_Result root_reply(struct exchange *exchange);
enum MHD_Result health_reply(struct exchange *exchange);
enum MHD_Result contract_reply(struct exchange *exchange);
enum MHD_Result docs_reply(struct exchange *exchange);

/* --- connection.c --- */
void connection_notify(void *server, struct MHD_Connection *mhd, void **state,
                       enum MHD_ConnectionNotificationCode code);
struct connection *connection_of(struct MHD_Connection *mhd);
/* The connection must make its next step in so many seconds; 0: no limit. */
void connection_expect(struct connection *connection, unsigned seconds);
void connection_tick(struct api_server *server);

/* --- tls.c --- */
struct tls_identity *tls_identity_create(const char *certificate, const char *key,
                                         struct tls_identity *older);
void tls_identity_free(struct tls_identity *identity);
struct MHD_Daemon *tls_daemon_start(struct api_server *server, const struct api_options *options,
                                    char *error, size_t size);
struct MHD_Daemon *local_daemon_start(struct api_server *server, int listener, char *error,
                                      size_t size);
/* The client's certificate in DER, or NULL. */
const unsigned char *tls_peer_certificate(struct MHD_Connection *mhd, size_t *size);
void tls_ask_for_certificate(struct MHD_Connection *mhd, struct api_server *server);

/* --- observe.c: access log and request statistics --- */
void observe_exchange(struct exchange *exchange);
void observe_render(struct api_server *server, struct api_metrics *metrics);

#endif
