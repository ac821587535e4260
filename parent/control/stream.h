/* SPDX-License-Identifier: MIT */
/*
 * A non-blocking Unix stream socket as lines, for both halves of the protocol:
 * input is cut at line feeds, output waits in a queue. Descriptors may travel
 * with a line.
 */
#ifndef PARENT_CONTROL_STREAM_H
#define PARENT_CONTROL_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "parent/control/fds.h"

#define BH_STREAM_FDS 16u

struct bh_stream_out; /* one line in the queue */

struct bh_stream {
    int fd;
    char *input;
    size_t used;            /* bytes in `input` */
    size_t scanned;         /* of these, known to hold no line feed */
    size_t taken;           /* length of the line handed out last, with its line feed */
    int fds[BH_STREAM_FDS]; /* descriptors that came in and nobody took */
    unsigned fd_count;
    struct bh_stream_out *first;
    struct bh_stream_out *last;
    size_t queued; /* bytes not sent yet */
};

enum bh_stream_status {
    BH_STREAM_OK,
    BH_STREAM_AGAIN,  /* the socket would block */
    BH_STREAM_ENDED,  /* the peer closed */
    BH_STREAM_BROKEN, /* an error, or a line above BH_CONTROL_LINE_MAX */
};

/* Takes over `fd`, which is non-blocking; false without memory (fd is then closed). */
bool bh_stream_open(struct bh_stream *stream, int fd);
void bh_stream_close(struct bh_stream *stream);

/*
 * The next whole line without its line feed, valid until the next call; NULL
 * when `bh_stream_fill` must bring more.
 */
const char *bh_stream_line(struct bh_stream *stream, size_t *length);

/* Reads once. */
enum bh_stream_status bh_stream_fill(struct bh_stream *stream);

/* The oldest descriptor received, or -1. */
int bh_stream_take_fd(struct bh_stream *stream);

/* Queues a line; takes over `line` (malloc'd, may be NULL: false) and the descriptors. */
bool bh_stream_queue(struct bh_stream *stream, char *line, struct bh_fds fds);

/* Sends what the socket takes. OK when the queue is empty. */
enum bh_stream_status bh_stream_flush(struct bh_stream *stream);

#endif
