/* SPDX-License-Identifier: MIT */
#include "parent/control/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "parent/control/stream.h"

#define CLIENTS_MAX 64u

struct connection {
    struct bh_stream stream;
    bool open;
    bool ended;      /* nothing more is read; closes when the queue is empty */
    uint32_t events; /* that epoll watches */
};

struct bh_control_server {
    struct bh_control_service service;
    struct sockaddr_un address;
    int listener;
    int epoll;
    struct connection connection[CLIENTS_MAX];
};

static bool watch(const struct bh_control_server *server, int operation, int fd, uint32_t events,
                  struct connection *connection)
{
    struct epoll_event event = {.events = events, .data = {.ptr = connection}};

    return epoll_ctl(server->epoll, operation, fd, &event) == 0;
}

static void close_connection(struct connection *connection)
{
    if (connection->open)
        bh_stream_close(&connection->stream);
    memset(connection, 0, sizeof(*connection));
}

/* Sends what goes now, and keeps epoll's interest in step. A client too far behind is closed. */
static void flush(struct bh_control_server *server, struct connection *connection)
{
    enum bh_stream_status status = bh_stream_flush(&connection->stream);
    bool waiting = status == BH_STREAM_AGAIN;
    uint32_t events =
        (connection->ended ? 0u : (uint32_t)EPOLLIN) | (waiting ? (uint32_t)EPOLLOUT : 0u);

    if (status == BH_STREAM_BROKEN || connection->stream.queued > BH_CONTROL_BACKLOG_MAX ||
        (connection->ended && !waiting)) {
        close_connection(connection);
        return;
    }
    if (events != connection->events &&
        watch(server, EPOLL_CTL_MOD, connection->stream.fd, events, connection))
        connection->events = events;
}

static bool is_allowed(const struct bh_control_request *request, enum bh_vm_state state,
                       struct bh_control_error *error)
{
    return bh_control_method_allowed(request->method, state) ||
           bh_control_error_set(error, BH_CONTROL_INVALID_STATE, "state",
                                "The VM is %s; %s is allowed in: %s.", bh_vm_state_name(state),
                                bh_control_method_name(request->method),
                                bh_control_method_states(request->method));
}

/* Takes the descriptors that the request must bring; false with `error` filled without them. */
static bool take_descriptors(struct connection *connection, struct bh_control_request *request,
                             struct bh_control_error *error)
{
    unsigned count = 0;
    const char *field = bh_control_request_descriptors(request, &count);
    int fd = 0;

    while (request->fds.count < count && (fd = bh_stream_take_fd(&connection->stream)) >= 0)
        request->fds.fd[request->fds.count++] = fd;
    return request->fds.count == count ||
           bh_control_error_set(error, BH_CONTROL_INVALID_PARAMS, field,
                                "%s needs the opened '%s' as %s with its line.",
                                bh_control_method_name(request->method), field,
                                count == 1 ? "a descriptor" : "its descriptors");
}

static char *serve_request(struct bh_control_server *server, struct connection *connection,
                           const char *line, size_t length, int *fd)
{
    struct bh_control_request request;
    struct bh_control_error error;
    struct bh_control_hello now;
    json_t *result = NULL;
    char *answer;

    if (!bh_control_request_parse(line, length, &request, &error))
        return bh_control_encode_error(request.id, &error);
    server->service.hello(server->service.context, &now);
    if (take_descriptors(connection, &request, &error) && is_allowed(&request, now.state, &error))
        result = server->service.request(server->service.context, &request, fd, &error);
    answer = result != NULL ? bh_control_encode_result(request.id, result)
                            : bh_control_encode_error(request.id, &error);
    bh_control_request_release(&request);
    return answer;
}

static void serve_lines(struct bh_control_server *server, struct connection *connection)
{
    const char *line;
    size_t length;

    while ((line = bh_stream_line(&connection->stream, &length)) != NULL) {
        int fd = -1;
        char *answer = serve_request(server, connection, line, length, &fd);

        if (!bh_stream_queue(&connection->stream, answer, bh_fds_one(fd)))
            connection->ended = true;
        (void)bh_stream_flush(&connection->stream);
        if (connection->stream.queued > BH_CONTROL_BACKLOG_MAX)
            return; /* it does not read: flush() closes it */
    }
}

static void refuse_long_line(struct connection *connection)
{
    struct bh_control_error error;

    bh_control_error_set(&error, BH_CONTROL_PARSE_ERROR, NULL, "The line is longer than %u bytes.",
                         BH_CONTROL_LINE_MAX);
    (void)bh_stream_queue(&connection->stream, bh_control_encode_error(BH_CONTROL_NO_ID, &error),
                          bh_fds_one(-1));
}

static void read_connection(struct bh_control_server *server, struct connection *connection)
{
    enum bh_stream_status status = bh_stream_fill(&connection->stream);
    int fd;

    serve_lines(server, connection);
    while (connection->stream.used == connection->stream.taken &&
           (fd = bh_stream_take_fd(&connection->stream)) >= 0)
        (void)close(fd); /* came with a line that wanted none */
    if (connection->stream.used == BH_CONTROL_LINE_MAX) {
        refuse_long_line(connection);
        status = BH_STREAM_ENDED;
    }
    if (status == BH_STREAM_ENDED || status == BH_STREAM_BROKEN)
        connection->ended = true;
}

static struct connection *free_connection(struct bh_control_server *server)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        if (!server->connection[i].open)
            return &server->connection[i];
    }
    return NULL;
}

static void accept_connection(struct bh_control_server *server)
{
    struct connection *connection = free_connection(server);
    struct bh_control_hello hello = {.protocol = BH_CONTROL_PROTOCOL};
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (connection == NULL) {
        (void)close(fd);
        return;
    }
    if (!bh_stream_open(&connection->stream, fd))
        return;
    connection->open = true;
    connection->events = EPOLLIN;
    server->service.hello(server->service.context, &hello);
    if (watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, connection) &&
        bh_stream_queue(&connection->stream, bh_control_encode_hello(&hello), bh_fds_one(-1)))
        flush(server, connection);
    else
        close_connection(connection);
}

static void serve_connection(struct bh_control_server *server, struct connection *connection,
                             uint32_t events)
{
    if (!connection->open)
        return; /* closed by an earlier event of the same batch */
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !connection->ended)
        read_connection(server, connection);
    flush(server, connection);
}

void bh_control_server_serve(struct bh_control_server *server)
{
    struct epoll_event events[CLIENTS_MAX + 1];
    int count = epoll_wait(server->epoll, events, CLIENTS_MAX + 1, 0);

    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;

        if (connection == NULL)
            accept_connection(server);
        else
            serve_connection(server, connection, events[i].events);
    }
}

void bh_control_server_event(struct bh_control_server *server, const char *event, json_t *stolen)
{
    char *line = bh_control_encode_event(event, stolen);

    for (unsigned i = 0; line != NULL && i < CLIENTS_MAX; i++) {
        struct connection *connection = &server->connection[i];

        if (!connection->open)
            continue;
        if (bh_stream_queue(&connection->stream, strdup(line), bh_fds_one(-1)))
            flush(server, connection);
    }
    free(line);
}

static int try_bind(int fd, const struct sockaddr_un *address)
{
    /* The mode of the unbound socket becomes that of the name: no moment at which others may
     * connect. */
    if (fchmod(fd, 0600) != 0)
        return -1;
    return bind(fd, (const struct sockaddr *)address, sizeof(*address));
}

/* Whether a worker accepts connections there. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

    if (fd >= 0)
        (void)close(fd);
    return alive;
}

static bool listen_at(struct bh_control_server *server, struct bh_control_error *error)
{
    const struct sockaddr_un *address = &server->address;

    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener >= 0 && try_bind(server->listener, address) != 0 && errno == EADDRINUSE) {
        if (is_alive(address))
            return bh_control_error_set(error, BH_CONTROL_ALREADY_EXISTS, NULL,
                                        "Another worker listens at %.107s.", address->sun_path);
        (void)unlink(address->sun_path);
        (void)try_bind(server->listener, address);
    }
    if (server->listener >= 0 && listen(server->listener, 16) == 0)
        return true;
    return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "Cannot listen at %.107s: %s.",
                                address->sun_path, strerror(errno));
}

static bool set_up(struct bh_control_server *server, const char *path,
                   struct bh_control_error *error)
{
    if (strlen(path) >= sizeof(server->address.sun_path))
        return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                                    "The path of the control socket is longer than %zu bytes.",
                                    sizeof(server->address.sun_path) - 1);
    server->address.sun_family = AF_UNIX;
    memcpy(server->address.sun_path, path, strlen(path) + 1);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!listen_at(server, error))
        return false;
    if (server->epoll >= 0 && watch(server, EPOLL_CTL_ADD, server->listener, EPOLLIN, NULL))
        return true;
    (void)unlink(path);
    return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "Cannot poll: %s.",
                                strerror(errno));
}

static void close_fds(const struct bh_control_server *server)
{
    if (server->listener >= 0)
        (void)close(server->listener);
    if (server->epoll >= 0)
        (void)close(server->epoll);
}

struct bh_control_server *bh_control_server_open(const char *path,
                                                 const struct bh_control_service *service,
                                                 struct bh_control_error *error)
{
    struct bh_control_server *server = calloc(1, sizeof(*server));

    if (server == NULL) {
        bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "Out of memory.");
        return NULL;
    }
    server->service = *service;
    server->listener = -1;
    server->epoll = -1;
    if (set_up(server, path, error))
        return server;
    close_fds(server);
    free(server);
    return NULL;
}

void bh_control_server_close(struct bh_control_server *server)
{
    if (server == NULL)
        return;
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        if (server->connection[i].open)
            (void)bh_stream_flush(&server->connection[i].stream);
        close_connection(&server->connection[i]);
    }
    (void)unlink(server->address.sun_path);
    close_fds(server);
    free(server);
}

int bh_control_server_fd(const struct bh_control_server *server)
{
    return server->epoll;
}
