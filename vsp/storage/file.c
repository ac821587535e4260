/* SPDX-License-Identifier: MIT */
#include "vsp/storage/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vsp/storage/bounce.h"

#define SECTOR 512u

struct file {
    struct bh_store store;
    struct bh_uring *uring;
    int fd;
    bool direct; /* I/O goes around the page cache, in whole sectors */
};

/* One io_uring entry of an I/O. A short transfer is followed by another one for the rest. */
struct transfer {
    struct bh_uring_entry entry;
    struct bh_store_io *io;
    struct iovec single; /* of a bounced I/O */
};

static void start(struct file *file, struct transfer *transfer);

static void finish(struct transfer *transfer, int result)
{
    struct bh_store_io *io = transfer->io;

    bh_bounce_end(io, result == 0);
    free(transfer);
    io->done(io, result);
}

/* Leaves out the first `bytes` of the pieces from io->first on. */
static void skip(struct bh_store_io *io, size_t bytes)
{
    while (bytes > 0 && bytes >= io->pieces[io->first].iov_len)
        bytes -= io->pieces[io->first++].iov_len;
    if (bytes == 0)
        return;
    io->pieces[io->first].iov_base = (uint8_t *)io->pieces[io->first].iov_base + bytes;
    io->pieces[io->first].iov_len -= bytes;
}

static bool moves_data(const struct bh_store_io *io)
{
    return io->operation == BH_STORE_READ || io->operation == BH_STORE_WRITE;
}

static void on_done(struct bh_uring_entry *entry, int result)
{
    struct transfer *transfer = (struct transfer *)entry;
    struct bh_store_io *io = transfer->io;

    if (result == -EINTR || result == -EAGAIN) {
        start((struct file *)io->store, transfer);
    } else if (result < 0 || !moves_data(io)) {
        finish(transfer, result < 0 ? result : 0);
    } else if (result == 0) {
        finish(transfer, -ENODATA); /* the file is shorter than it was */
    } else {
        io->finished += (uint64_t)result;
        if (io->finished >= io->size) {
            finish(transfer, 0);
            return;
        }
        if (io->bounce.iov_base == NULL)
            skip(io, (size_t)result);
        start((struct file *)io->store, transfer);
    }
}

static void prepare_transfer(const struct file *file, struct transfer *transfer,
                             struct io_uring_sqe *sqe)
{
    struct bh_store_io *io = transfer->io;
    const struct iovec *pieces = &io->pieces[io->first];
    unsigned count = (unsigned)(io->count - io->first);
    uint64_t offset = io->offset + io->finished;

    if (io->bounce.iov_base != NULL) {
        transfer->single =
            (struct iovec){(uint8_t *)io->bounce.iov_base + io->finished, io->size - io->finished};
        pieces = &transfer->single;
        count = 1;
    }
    if (io->operation == BH_STORE_READ)
        io_uring_prep_readv(sqe, file->fd, pieces, count, offset);
    else
        io_uring_prep_writev2(sqe, file->fd, pieces, count, offset, io->durable ? RWF_DSYNC : 0);
}

static void start(struct file *file, struct transfer *transfer)
{
    const struct bh_store_io *io = transfer->io;
    struct io_uring_sqe *sqe = bh_uring_get(file->uring);

    switch (io->operation) {
    case BH_STORE_FLUSH:
        io_uring_prep_fsync(sqe, file->fd, IORING_FSYNC_DATASYNC);
        break;
    case BH_STORE_DISCARD:
        io_uring_prep_fallocate(sqe, file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)io->offset, (off_t)io->size);
        break;
    case BH_STORE_ZERO:
        io_uring_prep_fallocate(sqe, file->fd,
                                (io->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) |
                                    FALLOC_FL_KEEP_SIZE,
                                (off_t)io->offset, (off_t)io->size);
        break;
    default:
        prepare_transfer(file, transfer, sqe);
        break;
    }
    bh_uring_queue(file->uring, sqe, &transfer->entry);
}

/* Can the kernel use these pieces as they are? */
static bool is_aligned(const struct bh_store_io *io)
{
    for (int i = 0; i < io->count; i++)
        if (((uintptr_t)io->pieces[i].iov_base | io->pieces[i].iov_len) % SECTOR != 0)
            return false;
    return true;
}

static void submit(struct bh_store *store, struct bh_store_io *io)
{
    struct file *file = (struct file *)store;
    struct transfer *transfer = calloc(1, sizeof(*transfer));

    io->finished = 0;
    io->first = 0;
    io->bounce.iov_base = NULL;
    if (transfer == NULL ||
        (moves_data(io) && file->direct && !is_aligned(io) && !bh_bounce_begin(io))) {
        free(transfer);
        io->done(io, -ENOMEM);
        return;
    }
    transfer->entry.done = on_done;
    transfer->io = io;
    start(file, transfer);
}

static void kick(struct bh_store *store)
{
    bh_uring_submit(((struct file *)store)->uring);
}

static void close_file(struct bh_store *store)
{
    struct file *file = (struct file *)store;

    (void)close(file->fd);
    free(file);
}

static const struct bh_store_operations operations = {submit, kick, close_file};

/* --- opening ------------------------------------------------------------------------------ */

static bool find_size(int fd, uint64_t *size)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return false;
    if (S_ISBLK(status.st_mode))
        return ioctl(fd, BLKGETSIZE64, size) == 0;
    *size = (uint64_t)status.st_size;
    errno = EINVAL;
    return S_ISREG(status.st_mode);
}

/* One sector, read as a guest's I/O will be: the file system has the last word. */
static bool can_read_sectors(int fd)
{
    uint8_t *sectors = aligned_alloc(4096, 4096);
    bool good = sectors != NULL && pread(fd, sectors + SECTOR, SECTOR, SECTOR) == (ssize_t)SECTOR;

    free(sectors);
    return good;
}

static bool go_direct(int fd, uint64_t size)
{
    int flags = fcntl(fd, F_GETFL);

    if (size < UINT64_C(2) * SECTOR || fcntl(fd, F_SETFL, flags | O_DIRECT) != 0)
        return false;
    if (can_read_sectors(fd))
        return true;
    (void)fcntl(fd, F_SETFL, flags);
    return false;
}

struct bh_store *bh_file_open(struct bh_uring *uring, int fd, bool read_only,
                              struct bh_error *error)
{
    struct file *file = calloc(1, sizeof(*file));
    uint64_t size = 0;

    if (file == NULL || !find_size(fd, &size)) {
        bh_error_set(error, errno,
                     "It is neither a regular file nor a block device that can be "
                     "asked for its size: %s.",
                     strerror(errno));
        (void)close(fd);
        free(file);
        return NULL;
    }
    *file = (struct file){.store = {&operations, size / SECTOR * SECTOR, read_only},
                          .uring = uring,
                          .fd = fd,
                          .direct = go_direct(fd, size)};
    return &file->store;
}
