/* SPDX-License-Identifier: MIT */
#include "vsp/storage/nbd.h"

#include <errno.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "vsp/storage/bounce.h"

#define SECTOR 512u

/* libnbd may not be called from its own callbacks: what has ended waits here until it returns. */
struct command {
    struct bh_store_io *io;
    struct command *next;
    int result;
    bool flush_after; /* a durable write, to a server without FUA */
};

struct export
{
    struct bh_store store;
    struct bh_loop *loop;
    struct nbd_handle *nbd;
    struct bh_watch watch;
    uint32_t events;
    bool dead;
    bool serving; /* within serve_ended */
    bool closing; /* to be closed at its end */
    struct command *ended;
    struct command **last;
};

static void serve_ended(struct export *export);

/* Waits for what libnbd wants next. */
static void update_watch(struct export *export)
{
    unsigned direction = nbd_aio_get_direction(export->nbd);
    uint32_t events = 0;

    if (export->dead)
        return;
    if (nbd_aio_is_dead(export->nbd) == 1 || nbd_aio_is_closed(export->nbd) == 1) {
        export->dead = true;
        bh_loop_remove(export->loop, &export->watch);
        return;
    }
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0)
        events |= (uint32_t)EPOLLIN;
    if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0)
        events |= (uint32_t)EPOLLOUT;
    if (events != export->events && bh_loop_change(export->loop, &export->watch, events))
        export->events = events;
}

static void on_ready(void *context, uint32_t events)
{
    struct export *export = context;
    unsigned direction = nbd_aio_get_direction(export->nbd);

    /* An error of the socket is found by whoever reads or writes it. */
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0 && (events & ~(uint32_t)EPOLLOUT) != 0)
        (void)nbd_aio_notify_read(export->nbd);
    else if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0)
        (void)nbd_aio_notify_write(export->nbd);
    update_watch(export);
    serve_ended(export);
}

/* --- commands ----------------------------------------------------------------------------- */

static void append(struct export *export, struct command *command, int result)
{
    command->result = result;
    command->next = NULL;
    *export->last = command;
    export->last = &command->next;
}

static int on_completion(void *context, int *error)
{
    struct command *command = context;

    append((struct export *)command->io->store, command, -*error);
    return 1; /* libnbd forgets the command */
}

static nbd_completion_callback completion(struct command *command)
{
    return (nbd_completion_callback){.callback = on_completion, .user_data = command};
}

static int64_t transfer(const struct export *export, struct command *command)
{
    const struct bh_store_io *io = command->io;
    const struct iovec *piece = io->bounce.iov_base != NULL ? &io->bounce : io->pieces;
    uint32_t flags = 0;

    if (io->operation == BH_STORE_READ)
        return nbd_aio_pread(export->nbd, piece->iov_base, io->size, io->offset,
                             completion(command), 0);
    if (io->durable && nbd_can_fua(export->nbd) == 1)
        flags = LIBNBD_CMD_FLAG_FUA;
    command->flush_after = io->durable && flags == 0;
    return nbd_aio_pwrite(export->nbd, piece->iov_base, io->size, io->offset, completion(command),
                          flags);
}

/* -EOPNOTSUPP by errno where the server cannot. */
static int64_t start(const struct export *export, struct command *command)
{
    const struct bh_store_io *io = command->io;

    errno = EOPNOTSUPP;
    switch (io->operation) {
    case BH_STORE_FLUSH:
        return nbd_can_flush(export->nbd) == 1 ? nbd_aio_flush(export->nbd, completion(command), 0)
                                               : -1;
    case BH_STORE_DISCARD:
        return nbd_can_trim(export->nbd) == 1
                   ? nbd_aio_trim(export->nbd, io->size, io->offset, completion(command), 0)
                   : -1;
    case BH_STORE_ZERO:
        return nbd_can_zero(export->nbd) == 1
                   ? nbd_aio_zero(export->nbd, io->size, io->offset, completion(command),
                                  io->unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE)
                   : -1;
    default:
        return transfer(export, command);
    }
}

/* A server that has no flush promises that what it has taken is safe. */
static void start_or_end(struct export *export, struct command *command)
{
    if (export->dead) {
        append(export, command, -ENOTCONN);
    } else if (start(export, command) < 0) {
        int number = errno == EOPNOTSUPP ? EOPNOTSUPP : nbd_get_errno();

        if (number == EOPNOTSUPP && command->io->operation == BH_STORE_FLUSH)
            append(export, command, 0);
        else
            append(export, command, number != 0 ? -number : -EIO);
    }
    update_watch(export);
}

static void flush_after(struct export *export, struct command *command)
{
    command->flush_after = false;
    if (nbd_can_flush(export->nbd) != 1)
        append(export, command, 0);
    else if (nbd_aio_flush(export->nbd, completion(command), 0) < 0)
        append(export, command, -ENOTCONN);
    update_watch(export);
}

static void close_export(struct bh_store *store)
{
    struct export *export = (struct export *)store;

    if (export->serving) {
        export->closing = true;
        return;
    }
    if (!export->dead)
        bh_loop_remove(export->loop, &export->watch);
    nbd_close(export->nbd);
    free(export);
}

/*
 * Each answer may bring the next command, which is served here, too. The last answer may close
 * the store: then nothing comes after it.
 */
static void serve_ended(struct export *export)
{
    if (export->serving)
        return;
    export->serving = true;
    while (export->ended != NULL) {
        struct command *command = export->ended;
        struct bh_store_io *io = command->io;
        int result;

        export->ended = command->next;
        if (export->ended == NULL)
            export->last = &export->ended;
        if (command->result == 0 && command->flush_after) {
            flush_after(export, command);
            continue;
        }
        bh_bounce_end(io, command->result == 0);
        result = command->result;
        free(command);
        io->done(io, result);
    }
    export->serving = false;
    if (export->closing)
        close_export(&export->store);
}

static void submit(struct bh_store *store, struct bh_store_io *io)
{
    struct export *export = (struct export *)store;
    struct command *command = calloc(1, sizeof(*command));

    io->bounce.iov_base = NULL;
    if (command == NULL ||
        (io->count > 1 && io->operation <= BH_STORE_WRITE && !bh_bounce_begin(io))) {
        free(command);
        io->done(io, -ENOMEM);
        return;
    }
    command->io = io;
    start_or_end(export, command);
    serve_ended(export);
}

/* --- opening ------------------------------------------------------------------------------ */

static const struct bh_store_operations operations = {submit, NULL, close_export};

bool bh_nbd_is_uri(const char *text)
{
    return strncmp(text, "nbd://", 6) == 0 || strncmp(text, "nbd+unix://", 11) == 0;
}

static bool connect_to(struct export *export, const char *uri, bool read_only)
{
    int64_t size;

    export->nbd = nbd_create();
    if (export->nbd == NULL || nbd_connect_uri(export->nbd, uri) != 0)
        return false;
    size = nbd_get_size(export->nbd);
    if (size < 0)
        return false;
    export->store.size = (uint64_t)size / SECTOR * SECTOR;
    export->store.read_only = read_only;
    if (!read_only && nbd_is_read_only(export->nbd) != 0) {
        errno = EROFS;
        return false;
    }
    export->watch.fd = nbd_aio_get_fd(export->nbd);
    export->events = (uint32_t)EPOLLIN;
    return bh_loop_add(export->loop, &export->watch, export->events);
}

struct bh_store *bh_nbd_open(struct bh_loop *loop, const char *uri, bool read_only,
                             struct bh_error *error)
{
    struct export *export = calloc(1, sizeof(*export));

    if (export == NULL) {
        (void)bh_error_set(error, ENOMEM, "There is no memory.");
        return NULL;
    }
    export->store.operations = &operations;
    export->loop = loop;
    export->watch = (struct bh_watch){on_ready, export, -1};
    export->last = &export->ended;
    errno = 0;
    if (connect_to(export, uri, read_only))
        return &export->store;
    (void)bh_error_set(error, ENOTCONN, "The NBD server does not serve it: %.150s.",
                       errno == EROFS            ? "the export is read-only"
                       : nbd_get_error() != NULL ? nbd_get_error()
                                                 : strerror(errno));
    if (export->nbd != NULL)
        nbd_close(export->nbd);
    free(export);
    return NULL;
}
