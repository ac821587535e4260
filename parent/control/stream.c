/* SPDX-License-Identifier: MIT */
#include "parent/control/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "parent/control/protocol.h"

struct bh_stream_out {
    struct bh_stream_out *next;
    char *line;
    size_t length;
    size_t sent;
    struct bh_fds fds;
};

_Static_assert(BH_FDS_MAX <= BH_STREAM_FDS, "what goes with a line can be received");

union fd_message {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * BH_STREAM_FDS)];
};

bool bh_stream_open(struct bh_stream *stream, int fd)
{
    memset(stream, 0, sizeof(*stream));
    stream->fd = fd;
    stream->input = malloc(BH_CONTROL_LINE_MAX);
    if (stream->input == NULL)
        (void)close(fd);
    return stream->input != NULL;
}

static void drop_first(struct bh_stream *stream)
{
    struct bh_stream_out *out = stream->first;

    stream->first = out->next;
    if (stream->first == NULL)
        stream->last = NULL;
    stream->queued -= out->length - out->sent;
    bh_fds_close(&out->fds);
    free(out->line);
    free(out);
}

void bh_stream_close(struct bh_stream *stream)
{
    while (stream->first != NULL)
        drop_first(stream);
    for (unsigned i = 0; i < stream->fd_count; i++)
        (void)close(stream->fds[i]);
    (void)close(stream->fd);
    free(stream->input);
    memset(stream, 0, sizeof(*stream));
    stream->fd = -1;
}

static void forget_taken(struct bh_stream *stream)
{
    stream->used -= stream->taken;
    stream->scanned = 0;
    memmove(stream->input, stream->input + stream->taken, stream->used);
    stream->taken = 0;
}

const char *bh_stream_line(struct bh_stream *stream, size_t *length)
{
    const char *end;

    if (stream->taken > 0)
        forget_taken(stream);
    end = memchr(stream->input + stream->scanned, '\n', stream->used - stream->scanned);
    if (end == NULL) {
        stream->scanned = stream->used;
        return NULL;
    }
    *length = (size_t)(end - stream->input);
    stream->taken = *length + 1;
    return stream->input;
}

static void keep_fds(struct bh_stream *stream, struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (stream->fd_count < BH_STREAM_FDS)
                stream->fds[stream->fd_count++] = fd;
            else
                (void)close(fd);
        }
    }
}

enum bh_stream_status bh_stream_fill(struct bh_stream *stream)
{
    union fd_message control;
    struct iovec vector = {
        .iov_base = stream->input + stream->used,
        .iov_len = BH_CONTROL_LINE_MAX - stream->used,
    };
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t got;

    if (vector.iov_len == 0)
        return BH_STREAM_BROKEN;
    got = recvmsg(stream->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? BH_STREAM_AGAIN : BH_STREAM_BROKEN;
    keep_fds(stream, &message);
    stream->used += (size_t)got;
    return got == 0 ? BH_STREAM_ENDED : BH_STREAM_OK;
}

int bh_stream_take_fd(struct bh_stream *stream)
{
    int fd;

    if (stream->fd_count == 0)
        return -1;
    fd = stream->fds[0];
    stream->fd_count--;
    memmove(stream->fds, stream->fds + 1, stream->fd_count * sizeof(int));
    return fd;
}

bool bh_stream_queue(struct bh_stream *stream, char *line, struct bh_fds fds)
{
    struct bh_stream_out *out = line != NULL ? malloc(sizeof(*out)) : NULL;

    if (out == NULL) {
        free(line);
        bh_fds_close(&fds);
        return false;
    }
    *out = (struct bh_stream_out){.line = line, .length = strlen(line), .fds = fds};
    if (stream->last != NULL)
        stream->last->next = out;
    else
        stream->first = out;
    stream->last = out;
    stream->queued += out->length;
    return true;
}

static ssize_t send_some(int socket, struct bh_stream_out *out)
{
    union fd_message control = {.space = {0}};
    struct iovec vector = {.iov_base = out->line + out->sent, .iov_len = out->length - out->sent};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

    if (out->fds.count != 0) {
        size_t size = out->fds.count * sizeof(int);

        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), out->fds.fd, size);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum bh_stream_status bh_stream_flush(struct bh_stream *stream)
{
    while (stream->first != NULL) {
        struct bh_stream_out *out = stream->first;
        ssize_t sent = send_some(stream->fd, out);

        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? BH_STREAM_AGAIN : BH_STREAM_BROKEN;
        bh_fds_close(&out->fds);
        out->sent += (size_t)sent;
        stream->queued -= (size_t)sent;
        if (out->sent == out->length)
            drop_first(stream);
    }
    return BH_STREAM_OK;
}
