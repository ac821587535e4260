/* SPDX-License-Identifier: MIT */
#include "parent/control/client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "parent/control/stream.h"

struct bh_control_client {
    struct bh_stream stream;
    struct bh_control_hello hello;
    bh_control_event_handler *handler;
    void *context;
    int64_t next_id;
};

/* Milliseconds on the monotonic clock; a deadline of INT64_MAX never comes. */
static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
}

static int remaining_ms(int64_t deadline)
{
    int64_t left;

    if (deadline == INT64_MAX)
        return -1;
    left = deadline - now_ms();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* False when the deadline came first. */
static bool wait_for(int fd, short events, int64_t deadline)
{
    struct pollfd one = {.fd = fd, .events = events};

    for (;;) {
        int count = poll(&one, 1, remaining_ms(deadline));

        if (count > 0)
            return true;
        if (count == 0 || errno != EINTR)
            return false;
    }
}

static int open_socket(const char *path, struct bh_control_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                             "The path of the control socket is longer than %zu bytes: %.100s",
                             sizeof(address.sun_path) - 1, path);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "No worker answers at %.150s: %s.", path,
                         strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool read_hello(struct bh_control_client *client, int timeout_ms,
                       struct bh_control_error *error)
{
    struct bh_control_message message;
    enum bh_control_receive got = bh_control_receive(client, timeout_ms, &message, NULL, error);

    if (got == BH_CONTROL_WAIT)
        return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                                    "The worker did not say hello in time.");
    if (got == BH_CONTROL_CLOSED)
        return false;
    client->hello = message.hello;
    bh_control_message_release(&message);
    if (message.kind != BH_CONTROL_HELLO)
        return bh_control_error_set(error, BH_CONTROL_PARSE_ERROR, NULL,
                                    "The peer does not speak the control protocol.");
    if (client->hello.protocol != BH_CONTROL_PROTOCOL)
        return bh_control_error_set(error, BH_CONTROL_NOT_SUPPORTED, "protocol",
                                    "The worker speaks protocol %d, this program %d.",
                                    client->hello.protocol, BH_CONTROL_PROTOCOL);
    return true;
}

struct bh_control_client *bh_control_connect(const char *path, int timeout_ms,
                                             struct bh_control_error *error)
{
    struct bh_control_client *client;
    int fd = open_socket(path, error);

    if (fd < 0)
        return NULL;
    client = calloc(1, sizeof(*client));
    if (client == NULL || !bh_stream_open(&client->stream, fd)) {
        if (client == NULL)
            (void)close(fd);
        free(client);
        bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "Out of memory.");
        return NULL;
    }
    if (!read_hello(client, timeout_ms, error)) {
        bh_control_close(client);
        return NULL;
    }
    return client;
}

void bh_control_close(struct bh_control_client *client)
{
    if (client == NULL)
        return;
    bh_stream_close(&client->stream);
    free(client);
}

const struct bh_control_hello *bh_control_client_hello(const struct bh_control_client *client)
{
    return &client->hello;
}

int bh_control_client_fd(const struct bh_control_client *client)
{
    return client->stream.fd;
}

void bh_control_on_event(struct bh_control_client *client, bh_control_event_handler *handler,
                         void *context)
{
    client->handler = handler;
    client->context = context;
}

/* A request is small: it waits for room in the socket at most this long. */
#define SEND_TIMEOUT_MS 5000

/* Takes over `fds`. */
static bool send_request(struct bh_control_client *client, enum bh_control_method method,
                         json_t *stolen, struct bh_fds fds, int64_t *id,
                         struct bh_control_error *error)
{
    int64_t deadline = deadline_of(SEND_TIMEOUT_MS);
    enum bh_stream_status status;

    *id = client->next_id++;
    if (!bh_stream_queue(&client->stream, bh_control_encode_request(*id, method, stolen), fds))
        return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "Out of memory.");
    while ((status = bh_stream_flush(&client->stream)) == BH_STREAM_AGAIN) {
        if (!wait_for(client->stream.fd, POLLOUT, deadline))
            return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                                        "The worker does not take requests.");
    }
    return status == BH_STREAM_OK ||
           bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "The worker is gone.");
}

bool bh_control_send(struct bh_control_client *client, enum bh_control_method method,
                     json_t *stolen, int64_t *id, struct bh_control_error *error)
{
    return send_request(client, method, stolen, bh_fds_one(-1), id, error);
}

/* Of the answers, only those of console_attach carry a descriptor. */
static bool carries_fd(const struct bh_control_message *message)
{
    return message->kind == BH_CONTROL_RESULT &&
           json_object_get(message->body, "replayed_bytes") != NULL;
}

static enum bh_control_receive receive_closed(struct bh_control_error *error, bool broken)
{
    bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                         broken ? "The connection to the worker broke."
                                : "The worker closed the connection.");
    return BH_CONTROL_CLOSED;
}

static enum bh_control_receive take_line(struct bh_control_client *client, const char *line,
                                         size_t length, struct bh_control_message *message, int *fd,
                                         struct bh_control_error *error)
{
    int got = -1;

    if (!bh_control_message_parse(line, length, message, error))
        return BH_CONTROL_CLOSED;
    if (carries_fd(message))
        got = bh_stream_take_fd(&client->stream);
    if (fd != NULL)
        *fd = got;
    else if (got >= 0)
        (void)close(got);
    return BH_CONTROL_MESSAGE;
}

enum bh_control_receive bh_control_receive(struct bh_control_client *client, int timeout_ms,
                                           struct bh_control_message *message, int *fd,
                                           struct bh_control_error *error)
{
    int64_t deadline = deadline_of(timeout_ms);
    const char *line;
    size_t length;

    while ((line = bh_stream_line(&client->stream, &length)) == NULL) {
        enum bh_stream_status status = bh_stream_fill(&client->stream);

        if (status == BH_STREAM_ENDED || status == BH_STREAM_BROKEN)
            return receive_closed(error, status == BH_STREAM_BROKEN);
        if (status == BH_STREAM_AGAIN && !wait_for(client->stream.fd, POLLIN, deadline))
            return BH_CONTROL_WAIT;
    }
    return take_line(client, line, length, message, fd, error);
}

static void hand_out_event(struct bh_control_client *client,
                           const struct bh_control_message *message)
{
    if (client->handler != NULL)
        client->handler(client->context, json_string_value(json_object_get(message->body, "event")),
                        message->body);
}

/* Waits for the answer to `id`. Late answers to calls that timed out are dropped. */
static bool wait_answer(struct bh_control_client *client, int64_t id, int64_t deadline,
                        json_t **result, int *fd, struct bh_control_error *error)
{
    for (;;) {
        struct bh_control_message message;
        enum bh_control_receive got =
            bh_control_receive(client, remaining_ms(deadline), &message, fd, error);

        if (got == BH_CONTROL_CLOSED)
            return false;
        if (got == BH_CONTROL_WAIT)
            return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                                        "The worker did not answer in time.");
        if (message.kind == BH_CONTROL_EVENT)
            hand_out_event(client, &message);
        else if (message.id == id && message.kind == BH_CONTROL_RESULT) {
            *result = message.body;
            return true;
        } else if (message.id == id && message.kind == BH_CONTROL_ERROR) {
            *error = message.error;
            return false;
        }
        if (*fd >= 0)
            (void)close(*fd);
        bh_control_message_release(&message);
    }
}

/* `fds` go with the request; `*fd` is the answer's, or -1. */
static bool call(struct bh_control_client *client, enum bh_control_method method, json_t *stolen,
                 struct bh_fds fds, int timeout_ms, json_t **result, int *fd,
                 struct bh_control_error *error)
{
    int64_t deadline = deadline_of(timeout_ms);
    int64_t id;

    *fd = -1;
    return send_request(client, method, stolen, fds, &id, error) &&
           wait_answer(client, id, deadline, result, fd, error);
}

bool bh_control_call_with(struct bh_control_client *client, enum bh_control_method method,
                          json_t *stolen, struct bh_fds fds, int timeout_ms, json_t **result,
                          struct bh_control_error *error)
{
    json_t *answer = NULL;
    int fd;

    if (!call(client, method, stolen, fds, timeout_ms, &answer, &fd, error))
        return false;
    if (fd >= 0)
        (void)close(fd);
    if (result != NULL)
        *result = answer;
    else
        json_decref(answer);
    return true;
}

bool bh_control_call(struct bh_control_client *client, enum bh_control_method method,
                     json_t *stolen, int timeout_ms, json_t **result,
                     struct bh_control_error *error)
{
    return bh_control_call_with(client, method, stolen, bh_fds_one(-1), timeout_ms, result, error);
}

bool bh_control_change(struct bh_control_client *client, enum bh_control_method method,
                       int timeout_ms, enum bh_vm_state *state, struct bh_control_error *error)
{
    json_t *result;
    const char *name;
    bool good;

    if (!bh_control_call(client, method, NULL, timeout_ms, &result, error))
        return false;
    name = json_string_value(json_object_get(result, "state"));
    good = name != NULL && bh_vm_state_parse(name, state);
    json_decref(result);
    return good || bh_control_error_set(error, BH_CONTROL_INTERNAL, NULL,
                                        "The worker's answer names no known state.");
}

int bh_control_console_attach(struct bh_control_client *client, const char *console,
                              unsigned replay_bytes, int timeout_ms, struct bh_control_error *error)
{
    json_t *params =
        json_pack("{s:s, s:I}", "console", console, "replay_bytes", (json_int_t)replay_bytes);
    json_t *result = NULL;
    int fd = -1;

    if (!call(client, BH_METHOD_CONSOLE_ATTACH, params, bh_fds_one(-1), timeout_ms, &result, &fd,
              error))
        return -1;
    json_decref(result);
    if (fd < 0)
        bh_control_error_set(error, BH_CONTROL_INTERNAL, NULL,
                             "The worker's answer came without a descriptor.");
    return fd;
}
