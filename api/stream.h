/* SPDX-License-Identifier: MIT */
/*
 * Answers that stay open and send what comes: events as SSE, a console as bytes.
 *
 * A stream remembers a position and reads from there when it can send. With nothing to send it
 * parks: its connection is suspended and costs no thread until a wake-up. `generation` grows before
 * each wake-up, so that news between reading and parking is never missed.
 */
#ifndef BULKHEAD_API_STREAM_H
#define BULKHEAD_API_STREAM_H

#include "api/exchange.h"

enum { STREAM_MAX = 2048, STREAM_PING_MS = 15000, STREAM_BLOCK = 16384 };

struct stream {
    struct stream *next, *previous;
    struct api_server *server;
    struct MHD_Connection *mhd;
    int fd;
    /* Give bytes to send, 0 for none now, or a negative number for the end. */
    ssize_t (*fill)(struct stream *stream, char *buffer, size_t size);
    const char *ping;         /* sent when nothing else is, or NULL */
    char uuid[API_UUID_SIZE]; /* VM of a console */
    uint64_t position;        /* last event sent, or offset of the next byte */
    struct query query;       /* the conditions of the filter */
    struct api_caller caller;
    unsigned trust_generation;
    struct text pending; /* rendered and not yet sent */
    size_t pending_sent;
    int64_t last_sent;
    bool parked, gone, has_keyboard;
};

/* A stream for this exchange, in the set; NULL when there are too many or no memory, with the
 * problem set. */
struct stream *stream_create(struct exchange *exchange,
                             ssize_t (*fill)(struct stream *, char *, size_t));
/* The response that reads from the stream and ends it. */
struct MHD_Response *stream_response(struct stream *stream);
void stream_destroy(void *stream);

#endif
