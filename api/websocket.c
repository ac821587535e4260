/* SPDX-License-Identifier: MIT */
/*
 * The console over WebSocket (RFC 6455 by wslay). One thread serves all sockets: it sends what the
 * console has from each reader's offset, and types what the keyboard's holder sends. A slow reader
 * holds back only itself: at most one block waits for it.
 */
#include "api/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wslay/wslay.h>

enum {
    SOCKET_MAX = 512,
    SOCKET_BLOCK = 16384,
    SOCKET_PING_MS = 20000,
    SOCKET_DEAD_MS = 60000,
    CODE_GONE = 4404,
    CODE_REVOKED = 4401
};

struct socket {
    struct socket *next;
    struct socket_set *set;
    int fd;     /* the library's end; under TLS not the client's */
    int client; /* the client's TCP or UNIX socket, to see it leave */
    struct MHD_UpgradeResponseHandle *upgrade;
    wslay_event_context_ptr frames;
    char uuid[API_UUID_SIZE];
    uint64_t position;
    bool may_type, ended;
    struct api_caller caller;
    unsigned trust_generation;
    struct text early; /* bytes that came with the request */
    size_t early_used;
    int64_t pinged, heard;
    uint32_t watched; /* epoll events now asked for */
};

struct socket_set {
    struct api_server *server;
    pthread_mutex_t lock; /* of the list `arrived` */
    struct socket *arrived;
    struct socket *open; /* the thread's own */
    _Atomic unsigned count;
    int epoll, wake;
    atomic_bool stopping;
    pthread_t thread;
};

/* --- Frames --- */

static ssize_t receive_bytes(wslay_event_context_ptr frames, uint8_t *buffer, size_t size,
                             int flags, void *context)
{
    struct socket *socket = context;
    (void)flags;
    size_t early = socket->early.size - socket->early_used;
    if (early) {
        size_t part = early < size ? early : size;
        memcpy(buffer, socket->early.bytes + socket->early_used, part);
        socket->early_used += part;
        return (ssize_t)part;
    }
    ssize_t got = recv(socket->fd, buffer, size, 0);
    if (got > 0)
        return got;
    bool would_block = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    wslay_event_set_error(frames, would_block ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t send_bytes(wslay_event_context_ptr frames, const uint8_t *data, size_t size,
                          int flags, void *context)
{
    struct socket *socket = context;
    ssize_t sent =
        send(socket->fd, data, size, MSG_NOSIGNAL | (flags & WSLAY_MSG_MORE ? MSG_MORE : 0));
    if (sent >= 0)
        return sent;
    bool would_block = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    wslay_event_set_error(frames, would_block ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void close_with(struct socket *socket, uint16_t code, const char *reason)
{
    wslay_event_queue_close(socket->frames, code, (const uint8_t *)reason, strlen(reason));
}

static void take_message(wslay_event_context_ptr frames,
                         const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    struct socket *socket = context;
    struct api_backend *backend = &socket->set->server->backend;
    struct api_problem problem = {0};
    (void)frames;
    socket->heard = clock_milliseconds();
    if (message->opcode != WSLAY_BINARY_FRAME && message->opcode != WSLAY_TEXT_FRAME)
        return;
    if (!socket->may_type || !keyboard_is_held_by(socket->uuid, socket)) {
        close_with(socket, WSLAY_CODE_POLICY_VIOLATION, "you do not hold the keyboard");
        return;
    }
    /* Input for a guest that takes none is lost, as on a real serial line. */
    backend->console_write(backend->context, socket->uuid, (const char *)message->msg,
                           message->msg_length, &problem);
    api_problem_clear(&problem);
}

/* --- Service of one socket --- */

static void check_trust(struct socket *socket)
{
    struct api_server *server = socket->set->server;
    unsigned generation = atomic_load(&server->trust_generation);
    bool expired = socket->caller.expires_at && time(NULL) >= socket->caller.expires_at;
    bool revoked = generation != socket->trust_generation &&
                   !server->backend.caller_valid(server->backend.context, &socket->caller);
    socket->trust_generation = generation;
    if (expired || revoked)
        close_with(socket, CODE_REVOKED, "your token is no longer valid");
}

/* The library does not always say so when a client leaves without a word. */
static bool client_left(const struct socket *socket)
{
    struct pollfd poller = {socket->client, POLLRDHUP, 0};
    return poll(&poller, 1, 0) == 1 && (poller.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void keep_alive(struct socket *socket)
{
    int64_t now = clock_milliseconds();
    if (now - socket->heard > SOCKET_DEAD_MS || client_left(socket))
        socket->ended = true;
    if (now - socket->pinged < SOCKET_PING_MS)
        return;
    const struct wslay_event_msg ping = {WSLAY_PING, (const uint8_t *)"", 0};
    socket->pinged = now;
    wslay_event_queue_msg(socket->frames, &ping);
}

/* Queue the console's next block when nothing waits. */
static bool queue_output(struct socket *socket)
{
    struct api_backend *backend = &socket->set->server->backend;
    struct api_console_span span;
    char block[SOCKET_BLOCK];
    if (wslay_event_get_queued_msg_count(socket->frames) ||
        wslay_event_get_close_sent(socket->frames) ||
        wslay_event_get_close_received(socket->frames))
        return false;
    ssize_t got = backend->console_read(backend->context, socket->uuid, socket->position, block,
                                        sizeof block, &span);
    if (got < 0)
        close_with(socket, CODE_GONE, "the VM was deleted");
    if (got <= 0)
        return got < 0;
    const struct wslay_event_msg message = {WSLAY_BINARY_FRAME, (const uint8_t *)block,
                                            (size_t)got};
    socket->position = span.first + (uint64_t)got;
    return wslay_event_queue_msg(socket->frames, &message) == 0;
}

static void watch(struct socket *socket)
{
    struct epoll_event event = {.data.ptr = socket};
    event.events = (wslay_event_want_read(socket->frames) ? (uint32_t)EPOLLIN : 0) |
                   (wslay_event_want_write(socket->frames) ? (uint32_t)EPOLLOUT : 0);
    if (event.events == socket->watched)
        return;
    epoll_ctl(socket->set->epoll, socket->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket->fd,
              &event);
    socket->watched = event.events;
}

static void serve(struct socket *socket)
{
    if (wslay_event_want_read(socket->frames) && wslay_event_recv(socket->frames) != 0)
        socket->ended = true;
    keep_alive(socket);
    check_trust(socket);
    do {
        if (wslay_event_want_write(socket->frames) && wslay_event_send(socket->frames) != 0)
            socket->ended = true;
    } while (!socket->ended && queue_output(socket));
    if (!wslay_event_want_read(socket->frames) && !wslay_event_want_write(socket->frames))
        socket->ended = true;
    if (!socket->ended)
        watch(socket);
}

static void socket_free(struct socket *socket)
{
    keyboard_release(socket->uuid, socket);
    if (socket->frames)
        wslay_event_context_free(socket->frames);
    text_free(&socket->early);
    free(socket);
}

static void socket_close(struct socket *socket)
{
    struct socket_set *set = socket->set;
    if (socket->watched)
        epoll_ctl(set->epoll, EPOLL_CTL_DEL, socket->fd, NULL);
    MHD_upgrade_action(socket->upgrade, MHD_UPGRADE_ACTION_CLOSE);
    socket_free(socket);
    atomic_fetch_sub(&set->count, 1);
}

/* --- The thread --- */

static void adopt_arrivals(struct socket_set *set)
{
    pthread_mutex_lock(&set->lock);
    struct socket *arrived = set->arrived;
    set->arrived = NULL;
    pthread_mutex_unlock(&set->lock);
    while (arrived) {
        struct socket *next = arrived->next;
        arrived->next = set->open;
        set->open = arrived;
        arrived = next;
    }
}

static void serve_all(struct socket_set *set, bool stopping)
{
    struct socket **link = &set->open;
    while (*link) {
        struct socket *socket = *link;
        if (stopping)
            close_with(socket, WSLAY_CODE_GOING_AWAY, "the server is stopping");
        serve(socket);
        if (socket->ended || stopping) {
            *link = socket->next;
            socket_close(socket);
        } else {
            link = &socket->next;
        }
    }
}

static void *socket_thread(void *context)
{
    struct socket_set *set = context;
    struct epoll_event events[64];
    while (!atomic_load(&set->stopping)) {
        int count = epoll_wait(set->epoll, events, 64, 1000);
        uint64_t value;
        bool woken = count == 0;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                woken = read(set->wake, &value, sizeof value) > 0;
        }
        if (woken)
            adopt_arrivals(set);
        serve_all(set, false);
    }
    adopt_arrivals(set);
    serve_all(set, true);
    return NULL;
}

struct socket_set *socket_set_create(struct api_server *server)
{
    struct socket_set *set = calloc(1, sizeof *set);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (!set)
        return NULL;
    set->server = server;
    pthread_mutex_init(&set->lock, NULL);
    set->epoll = epoll_create1(EPOLL_CLOEXEC);
    set->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (set->epoll >= 0 && set->wake >= 0 &&
        epoll_ctl(set->epoll, EPOLL_CTL_ADD, set->wake, &event) == 0 &&
        pthread_create(&set->thread, NULL, socket_thread, set) == 0)
        return set;
    close(set->epoll);
    close(set->wake);
    free(set);
    return NULL;
}

void socket_set_wake(struct socket_set *set)
{
    uint64_t one = 1;
    if (atomic_load(&set->count) && write(set->wake, &one, sizeof one) < 0)
        return; /* the counter is full: the thread is awake anyway */
}

void socket_set_free(struct socket_set *set)
{
    uint64_t one = 1;
    if (!set)
        return;
    atomic_store(&set->stopping, true);
    if (write(set->wake, &one, sizeof one) < 0)
        return;
    pthread_join(set->thread, NULL);
    close(set->epoll);
    close(set->wake);
    free(set);
}

unsigned socket_count(struct socket_set *set)
{
    return atomic_load(&set->count);
}

/* --- Handshake --- */

static const char *header(struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name);
}

bool websocket_wanted(struct exchange *exchange)
{
    const char *upgrade = header(exchange, "Upgrade");
    return upgrade && strcasecmp(upgrade, "websocket") == 0;
}

static bool accept_key(const char *key, char accept[32])
{
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;
    char text[24 + sizeof suffix];
    if (!key || strlen(key) != 24)
        return false;
    snprintf(text, sizeof text, "%s%s", key, suffix);
    if (!EVP_Digest(text, strlen(text), digest, &size, EVP_sha1(), NULL))
        return false;
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)size);
    return true;
}

static void upgraded(void *context, struct MHD_Connection *mhd, void *exchange, const char *extra,
                     size_t extra_size, MHD_socket fd, struct MHD_UpgradeResponseHandle *upgrade)
{
    struct socket *socket = context;
    struct socket_set *set = socket->set;
    (void)mhd, (void)exchange;
    socket->fd = fd;
    socket->upgrade = upgrade;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    text_append(&socket->early, extra, extra_size);
    pthread_mutex_lock(&set->lock);
    socket->next = set->arrived;
    set->arrived = socket;
    pthread_mutex_unlock(&set->lock);
    atomic_fetch_add(&set->count, 1);
    socket_set_wake(set);
}

static struct socket *socket_create(struct exchange *exchange, const char *uuid, uint64_t offset)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = receive_bytes,
                                                           .send_callback = send_bytes,
                                                           .on_msg_recv_callback = take_message};
    struct api_server *server = exchange->server;
    struct socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return NULL;
    socket->set = server->sockets;
    socket->client = exchange->connection->fd;
    socket->position = offset;
    socket->caller = exchange->request.caller;
    socket->trust_generation = atomic_load(&server->trust_generation);
    socket->pinged = socket->heard = clock_milliseconds();
    snprintf(socket->uuid, sizeof socket->uuid, "%s", uuid);
    if (wslay_event_context_server_init(&socket->frames, &callbacks, socket) != 0) {
        free(socket);
        return NULL;
    }
    wslay_event_config_set_max_recv_msg_length(socket->frames, MAX_CONSOLE_INPUT);
    return socket;
}

static bool check_handshake(struct exchange *exchange, char accept[32])
{
    const char *version = header(exchange, "Sec-WebSocket-Version");
    const char *protocol = header(exchange, "Sec-WebSocket-Protocol");
    const char *connection = header(exchange, "Connection");
    if (!version || strcmp(version, "13") != 0 || !connection ||
        !strcasestr(connection, "upgrade") ||
        !accept_key(header(exchange, "Sec-WebSocket-Key"), accept)) {
        api_problem_set(&exchange->problem, API_PROBLEM_INVALID_REQUEST,
                        "The WebSocket handshake is not one of RFC 6455, version 13");
        return false;
    }
    if (protocol && !strstr(protocol, "bulkhead.console")) {
        api_problem_set(&exchange->problem, API_PROBLEM_INVALID_REQUEST,
                        "The WebSocket subprotocol is bulkhead.console");
        return false;
    }
    return true;
}

enum MHD_Result websocket_reply(struct exchange *exchange, const char *uuid, uint64_t offset)
{
    char accept[32];
    if (!check_handshake(exchange, accept))
        return reply_problem(exchange);
    struct socket *socket = atomic_load(&exchange->server->sockets->count) < SOCKET_MAX
                                ? socket_create(exchange, uuid, offset)
                                : NULL;
    if (!socket) {
        api_problem_set(&exchange->problem, API_PROBLEM_UNAVAILABLE, "Too many consoles are open");
        return reply_problem(exchange);
    }
    socket->may_type = exchange->query.write;
    if (socket->may_type &&
        !keyboard_hold(uuid, socket, &exchange->request.caller, exchange->query.take)) {
        socket_free(socket);
        api_problem_set(&exchange->problem, API_PROBLEM_CONSOLE_HELD,
                        "Another types on the console of %s", exchange->request.object);
        return reply_problem(exchange);
    }
    struct MHD_Response *response = MHD_create_response_for_upgrade(upgraded, socket);
    if (!response) {
        socket_free(socket);
        return MHD_NO;
    }
    reply_header(response, "Upgrade", "websocket");
    reply_header(response, "Sec-WebSocket-Accept", accept);
    if (header(exchange, "Sec-WebSocket-Protocol"))
        reply_header(response, "Sec-WebSocket-Protocol", "bulkhead.console");
    exchange->connection->upgraded = true;
    connection_expect(exchange->connection, 0);
    return reply_response(exchange, MHD_HTTP_SWITCHING_PROTOCOLS, NULL, response);
}
