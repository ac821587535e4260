/* SPDX-License-Identifier: MIT */
#include "vsp/storage/nbd.h"

#include <dlfcn.h>
#include <errno.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vsp/storage/bounce.h"

#define SECTOR 512u

/* libnbd may not be called from its own callbacks: what has ended waits here until it returns. */
struct command {
    struct bh_store_io *io;
    struct command *next;
    int result;
    bool flush_after; /* a durable write, to a server without FUA */
};

struct nbd_export {
    struct bh_store store;
    struct bh_loop *loop;
    struct nbd_handle *handle;
    struct bh_watch watch;
    uint32_t events;
    bool dead;
    bool serving; /* within serve_ended */
    bool closing; /* to be closed at its end */
    struct command *ended;
    struct command **last;
};

/*
 * libnbd and the 24 libraries it needs are loaded when the first disk needs them: most workers
 * stay without.
 */
static struct {
    bool loaded;
    __typeof__(nbd_aio_connect_socket) *aio_connect_socket;
    __typeof__(nbd_aio_flush) *aio_flush;
    __typeof__(nbd_aio_get_direction) *aio_get_direction;
    __typeof__(nbd_aio_get_fd) *aio_get_fd;
    __typeof__(nbd_aio_is_closed) *aio_is_closed;
    __typeof__(nbd_aio_is_connecting) *aio_is_connecting;
    __typeof__(nbd_aio_is_dead) *aio_is_dead;
    __typeof__(nbd_aio_is_ready) *aio_is_ready;
    __typeof__(nbd_aio_notify_read) *aio_notify_read;
    __typeof__(nbd_aio_notify_write) *aio_notify_write;
    __typeof__(nbd_aio_pread) *aio_pread;
    __typeof__(nbd_aio_pwrite) *aio_pwrite;
    __typeof__(nbd_aio_trim) *aio_trim;
    __typeof__(nbd_aio_zero) *aio_zero;
    __typeof__(nbd_can_flush) *can_flush;
    __typeof__(nbd_can_fua) *can_fua;
    __typeof__(nbd_can_trim) *can_trim;
    __typeof__(nbd_can_zero) *can_zero;
    __typeof__(nbd_close) *close;
    __typeof__(nbd_connect_uri) *connect_uri;
    __typeof__(nbd_create) *create;
    __typeof__(nbd_get_errno) *get_errno;
    __typeof__(nbd_get_error) *get_error;
    __typeof__(nbd_get_size) *get_size;
    __typeof__(nbd_is_read_only) *is_read_only;
    __typeof__(nbd_poll) *poll;
    __typeof__(nbd_set_export_name) *set_export_name;
} nbd;

bool bh_nbd_load(struct bh_error *error)
{
    const struct {
        const char *name;
        void *place; /* of a pointer to the function */
    } functions[] = {
        {"nbd_aio_connect_socket", (void *)&nbd.aio_connect_socket},
        {"nbd_aio_flush", (void *)&nbd.aio_flush},
        {"nbd_aio_get_direction", (void *)&nbd.aio_get_direction},
        {"nbd_aio_get_fd", (void *)&nbd.aio_get_fd},
        {"nbd_aio_is_closed", (void *)&nbd.aio_is_closed},
        {"nbd_aio_is_connecting", (void *)&nbd.aio_is_connecting},
        {"nbd_aio_is_dead", (void *)&nbd.aio_is_dead},
        {"nbd_aio_is_ready", (void *)&nbd.aio_is_ready},
        {"nbd_aio_notify_read", (void *)&nbd.aio_notify_read},
        {"nbd_aio_notify_write", (void *)&nbd.aio_notify_write},
        {"nbd_aio_pread", (void *)&nbd.aio_pread},
        {"nbd_aio_pwrite", (void *)&nbd.aio_pwrite},
        {"nbd_aio_trim", (void *)&nbd.aio_trim},
        {"nbd_aio_zero", (void *)&nbd.aio_zero},
        {"nbd_can_flush", (void *)&nbd.can_flush},
        {"nbd_can_fua", (void *)&nbd.can_fua},
        {"nbd_can_trim", (void *)&nbd.can_trim},
        {"nbd_can_zero", (void *)&nbd.can_zero},
        {"nbd_close", (void *)&nbd.close},
        {"nbd_connect_uri", (void *)&nbd.connect_uri},
        {"nbd_create", (void *)&nbd.create},
        {"nbd_get_errno", (void *)&nbd.get_errno},
        {"nbd_get_error", (void *)&nbd.get_error},
        {"nbd_get_size", (void *)&nbd.get_size},
        {"nbd_is_read_only", (void *)&nbd.is_read_only},
        {"nbd_poll", (void *)&nbd.poll},
        {"nbd_set_export_name", (void *)&nbd.set_export_name},
    };
    void *library = nbd.loaded ? NULL : dlopen("libnbd.so.0", RTLD_NOW | RTLD_LOCAL);

    if (nbd.loaded)
        return true;
    for (size_t i = 0; library != NULL && i < sizeof(functions) / sizeof(functions[0]); i++) {
        void *function = dlsym(library, functions[i].name);

        if (function == NULL)
            library = NULL;
        memcpy(functions[i].place, &function, sizeof(function));
    }
    nbd.loaded = library != NULL;
    return nbd.loaded || bh_error_set(error, ENOENT,
                                      "Disks on NBD need Debian's package libnbd0: %s.", dlerror());
}

static void serve_ended(struct nbd_export *export);

/* Waits for what libnbd wants next. */
static void update_watch(struct nbd_export *export)
{
    unsigned direction = nbd.aio_get_direction(export->handle);
    uint32_t events = 0;

    if (export->dead)
        return;
    if (nbd.aio_is_dead(export->handle) == 1 || nbd.aio_is_closed(export->handle) == 1) {
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
    struct nbd_export *export = context;
    unsigned direction = nbd.aio_get_direction(export->handle);

    /* An error of the socket is found by whoever reads or writes it. */
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0 && (events & ~(uint32_t)EPOLLOUT) != 0)
        (void)nbd.aio_notify_read(export->handle);
    else if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0)
        (void)nbd.aio_notify_write(export->handle);
    update_watch(export);
    serve_ended(export);
}

/* --- commands ----------------------------------------------------------------------------- */

static void append(struct nbd_export *export, struct command *command, int result)
{
    command->result = result;
    command->next = NULL;
    *export->last = command;
    export->last = &command->next;
}

static int on_completion(void *context, int *error)
{
    struct command *command = context;

    append((struct nbd_export *)command->io->store, command, -*error);
    return 1; /* libnbd forgets the command */
}

static nbd_completion_callback completion(struct command *command)
{
    return (nbd_completion_callback){.callback = on_completion, .user_data = command};
}

static int64_t transfer(const struct nbd_export *export, struct command *command)
{
    const struct bh_store_io *io = command->io;
    const struct iovec *piece = io->bounce.iov_base != NULL ? &io->bounce : io->pieces;
    uint32_t flags = 0;

    if (io->operation == BH_STORE_READ)
        return nbd.aio_pread(export->handle, piece->iov_base, io->size, io->offset,
                             completion(command), 0);
    if (io->durable && nbd.can_fua(export->handle) == 1)
        flags = LIBNBD_CMD_FLAG_FUA;
    command->flush_after = io->durable && flags == 0;
    return nbd.aio_pwrite(export->handle, piece->iov_base, io->size, io->offset,
                          completion(command), flags);
}

/* -EOPNOTSUPP by errno where the server cannot. */
static int64_t start(const struct nbd_export *export, struct command *command)
{
    const struct bh_store_io *io = command->io;

    errno = EOPNOTSUPP;
    switch (io->operation) {
    case BH_STORE_FLUSH:
        return nbd.can_flush(export->handle) == 1
                   ? nbd.aio_flush(export->handle, completion(command), 0)
                   : -1;
    case BH_STORE_DISCARD:
        return nbd.can_trim(export->handle) == 1
                   ? nbd.aio_trim(export->handle, io->size, io->offset, completion(command), 0)
                   : -1;
    case BH_STORE_ZERO:
        return nbd.can_zero(export->handle) == 1
                   ? nbd.aio_zero(export->handle, io->size, io->offset, completion(command),
                                  io->unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE)
                   : -1;
    default:
        return transfer(export, command);
    }
}

/* A server that has no flush promises that what it has taken is safe. */
static void start_or_end(struct nbd_export *export, struct command *command)
{
    if (export->dead) {
        append(export, command, -ENOTCONN);
    } else if (start(export, command) < 0) {
        int number = errno == EOPNOTSUPP ? EOPNOTSUPP : nbd.get_errno();

        if (number == EOPNOTSUPP && command->io->operation == BH_STORE_FLUSH)
            append(export, command, 0);
        else
            append(export, command, number != 0 ? -number : -EIO);
    }
    update_watch(export);
}

static void flush_after(struct nbd_export *export, struct command *command)
{
    command->flush_after = false;
    if (nbd.can_flush(export->handle) != 1)
        append(export, command, 0);
    else if (nbd.aio_flush(export->handle, completion(command), 0) < 0)
        append(export, command, -ENOTCONN);
    update_watch(export);
}

static void close_export(struct bh_store *store)
{
    struct nbd_export *export = (struct nbd_export *)store;

    if (export->serving) {
        export->closing = true;
        return;
    }
    if (!export->dead)
        bh_loop_remove(export->loop, &export->watch);
    nbd.close(export->handle);
    free(export);
}

/*
 * Each answer may bring the next command, which is served here, too. The last answer may close
 * the store: then nothing comes after it.
 */
static void serve_ended(struct nbd_export *export)
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
    struct nbd_export *export = (struct nbd_export *)store;
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

/* After the greeting. */
static bool take_export(struct nbd_export *export, bool read_only)
{
    int64_t size = nbd.get_size(export->handle);

    if (size < 0)
        return false;
    export->store.size = (uint64_t)size / SECTOR * SECTOR;
    export->store.read_only = read_only;
    if (!read_only && nbd.is_read_only(export->handle) != 0) {
        errno = EROFS;
        return false;
    }
    export->watch.fd = nbd.aio_get_fd(export->handle);
    export->events = (uint32_t)EPOLLIN;
    return bh_loop_add(export->loop, &export->watch, export->events);
}

/* The rest of the worker waits meanwhile. */
static bool await_greeting(struct nbd_handle *handle)
{
    uint64_t end = bh_loop_now() + BH_NBD_GREETING_MS * UINT64_C(1000000);

    while (nbd.aio_is_connecting(handle) == 1) {
        uint64_t now = bh_loop_now();

        if (now >= end) {
            errno = ETIMEDOUT;
            return false;
        }
        if (nbd.poll(handle, (int)((end - now) / 1000000) + 1) < 0)
            return false;
    }
    return nbd.aio_is_ready(handle) == 1;
}

/* NULL with `error` filled. */
static struct nbd_export *make_export(struct bh_loop *loop, struct bh_error *error)
{
    struct nbd_export *export = calloc(1, sizeof(*export));

    if (export != NULL)
        export->handle = nbd.create();
    if (export == NULL || export->handle == NULL) {
        free(export);
        (void)bh_error_set(error, ENOMEM, "There is no memory.");
        return NULL;
    }
    export->store.operations = &operations;
    export->loop = loop;
    export->watch = (struct bh_watch){on_ready, export, -1};
    export->last = &export->ended;
    errno = 0;
    return export;
}

static struct bh_store *give_up(struct nbd_export *export, struct bh_error *error)
{
    (void)bh_error_set(error, ENOTCONN, "The NBD server does not serve it: %.150s.",
                       errno == EROFS            ? "the export is read-only"
                       : errno == ETIMEDOUT      ? "it does not answer"
                       : nbd.get_error() != NULL ? nbd.get_error()
                                                 : strerror(errno));
    nbd.close(export->handle);
    free(export);
    return NULL;
}

struct bh_store *bh_nbd_open(struct bh_loop *loop, const char *uri, bool read_only,
                             struct bh_error *error)
{
    struct nbd_export *export = bh_nbd_load(error) ? make_export(loop, error) : NULL;

    if (export == NULL)
        return NULL;
    if (nbd.connect_uri(export->handle, uri) == 0 && take_export(export, read_only))
        return &export->store;
    return give_up(export, error);
}

struct bh_store *bh_nbd_attach(struct bh_loop *loop, int fd, const char *name, bool read_only,
                               struct bh_error *error)
{
    struct nbd_export *export = NULL;

    if (nbd.loaded)
        export = make_export(loop, error);
    else
        (void)bh_error_set(error, ENOTSUP, "This worker has not loaded libnbd, and can not now.");
    if (export == NULL) {
        (void)close(fd);
        return NULL;
    }
    if (nbd.set_export_name(export->handle, name) != 0) {
        (void)close(fd);
        return give_up(export, error);
    }
    if (nbd.aio_connect_socket(export->handle, fd) == 0 && await_greeting(export->handle) &&
        take_export(export, read_only))
        return &export->store;
    return give_up(export, error);
}
