/* SPDX-License-Identifier: MIT */
#include "api/stream.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct stream_set {
    pthread_mutex_t lock;
    struct stream *streams;
    unsigned count;
    _Atomic uint64_t generation;
    _Atomic uint64_t refused;
    atomic_bool stopping;
};

struct stream_set *stream_set_create(void)
{
    struct stream_set *set = calloc(1, sizeof *set);
    if (set)
        pthread_mutex_init(&set->lock, NULL);
    return set;
}

void stream_set_free(struct stream_set *set)
{
    free(set);
}

unsigned stream_count(struct stream_set *set)
{
    pthread_mutex_lock(&set->lock);
    unsigned count = set->count;
    pthread_mutex_unlock(&set->lock);
    return count;
}

uint64_t stream_dropped(struct stream_set *set)
{
    return atomic_load(&set->refused);
}

struct stream *stream_create(struct exchange *exchange,
                             ssize_t (*fill)(struct stream *, char *, size_t))
{
    struct stream_set *set = exchange->server->streams;
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream) {
        stream->server = exchange->server;
        stream->mhd = exchange->mhd;
        stream->fd = exchange->connection->fd;
        stream->fill = fill;
        stream->caller = exchange->request.caller;
        stream->trust_generation = atomic_load(&exchange->server->trust_generation);
        stream->last_sent = clock_milliseconds();
        pthread_mutex_lock(&set->lock);
        if (set->count < STREAM_MAX && !atomic_load(&set->stopping)) {
            stream->next = set->streams;
            if (stream->next)
                stream->next->previous = stream;
            set->streams = stream;
            set->count++;
            pthread_mutex_unlock(&set->lock);
            return stream;
        }
        pthread_mutex_unlock(&set->lock);
        free(stream);
    }
    atomic_fetch_add(&set->refused, 1);
    api_problem_set(&exchange->problem, API_PROBLEM_UNAVAILABLE, "Too many streams are open");
    exchange->problem.retry_after = 10;
    return NULL;
}

void stream_destroy(void *context)
{
    struct stream *stream = context;
    struct stream_set *set = stream->server->streams;
    pthread_mutex_lock(&set->lock);
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        set->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    set->count--;
    pthread_mutex_unlock(&set->lock);
    if (stream->has_keyboard)
        keyboard_release(stream->uuid, stream);
    query_free(&stream->query);
    text_free(&stream->pending);
    free(stream);
}

/* Revoked and expired callers lose their streams. */
static bool still_trusted(struct stream *stream)
{
    struct api_backend *backend = &stream->server->backend;
    unsigned generation = atomic_load(&stream->server->trust_generation);
    if (generation == stream->trust_generation)
        return true;
    stream->trust_generation = generation;
    return backend->caller_valid(backend->context, &stream->caller);
}

/* Nothing to send: sleep until the next wake-up, unless there was one since `seen`. */
static bool park(struct stream *stream, uint64_t seen)
{
    struct stream_set *set = stream->server->streams;
    pthread_mutex_lock(&set->lock);
    bool quiet = atomic_load(&set->generation) == seen && !atomic_load(&set->stopping);
    if (quiet) {
        stream->parked = true;
        MHD_suspend_connection(stream->mhd);
    }
    pthread_mutex_unlock(&set->lock);
    return quiet;
}

static ssize_t send_ping(struct stream *stream, char *buffer, size_t size)
{
    size_t length = stream->ping ? strlen(stream->ping) : 0;
    if (!length || length > size || clock_milliseconds() - stream->last_sent < STREAM_PING_MS)
        return 0;
    memcpy(buffer, stream->ping, length);
    return (ssize_t)length;
}

static ssize_t read_stream(void *context, uint64_t position, char *buffer, size_t size)
{
    struct stream *stream = context;
    struct stream_set *set = stream->server->streams;
    (void)position;
    for (;;) {
        uint64_t seen = atomic_load(&set->generation);
        if (atomic_load(&set->stopping) || stream->gone || !still_trusted(stream))
            return MHD_CONTENT_READER_END_OF_STREAM;
        ssize_t filled = stream->fill(stream, buffer, size);
        if (!filled)
            filled = send_ping(stream, buffer, size);
        if (filled < 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (filled > 0) {
            stream->last_sent = clock_milliseconds();
            return filled;
        }
        if (park(stream, seen))
            return 0;
    }
}

struct MHD_Response *stream_response(struct stream *stream)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, stream, stream_destroy);
    if (!response)
        stream_destroy(stream);
    return response;
}

/* With the lock held. */
static void unpark(struct stream *stream)
{
    if (!stream->parked)
        return;
    stream->parked = false;
    MHD_resume_connection(stream->mhd);
}

void stream_wake(struct stream_set *set, const char *uuid)
{
    atomic_fetch_add(&set->generation, 1);
    pthread_mutex_lock(&set->lock);
    for (struct stream *stream = set->streams; stream; stream = stream->next)
        if (uuid ? strcmp(stream->uuid, uuid) == 0 : true)
            unpark(stream);
    pthread_mutex_unlock(&set->lock);
}

void stream_stop(struct stream_set *set)
{
    atomic_store(&set->stopping, true);
    stream_wake(set, NULL);
}

/* A suspended connection does not notice that its client left. */
static bool client_left(const struct stream *stream)
{
    struct pollfd poller = {stream->fd, POLLRDHUP, 0};
    return poll(&poller, 1, 0) == 1 && (poller.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void stream_tick(struct api_server *server)
{
    struct stream_set *set = server->streams;
    int64_t now = clock_milliseconds();
    unsigned generation = atomic_load(&server->trust_generation);
    pthread_mutex_lock(&set->lock);
    for (struct stream *stream = set->streams; stream; stream = stream->next) {
        if (!stream->parked)
            continue;
        stream->gone |= client_left(stream);
        bool expired = stream->caller.expires_at && time(NULL) >= stream->caller.expires_at;
        stream->gone |= expired;
        if (stream->gone || stream->trust_generation != generation ||
            (stream->ping && now - stream->last_sent >= STREAM_PING_MS))
            unpark(stream);
    }
    pthread_mutex_unlock(&set->lock);
}
