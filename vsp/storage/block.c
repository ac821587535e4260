/* SPDX-License-Identifier: MIT */
/* Commands that a store executes: SBC-3, section 5. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vsp/storage/parts.h"

#define UNMAP_HEADER     8u
#define UNMAP_DESCRIPTOR 16u
#define UNMAP_LIST_MAX   (UNMAP_HEADER + 256u * UNMAP_DESCRIPTOR)

#define WRITE_SAME_UNMAP   0x08u
#define WRITE_SAME_NO_DATA 0x01u
#define FILL_MAX           (256u << 10) /* bytes that WRITE SAME writes at once */

#define FUA 0x08u

struct extent {
    uint64_t block;
    uint64_t count;
};

/* Where the command says it works; false for an operation without such fields. */
static struct extent get_extent(const struct bh_scsi_request *request)
{
    const uint8_t *cdb = request->cdb;

    switch (cdb[0] >> 5) {
    case 0: /* 6 bytes: 0 means 256 blocks */
        return (struct extent){(cdb[1] & 0x1fu) << 16 | bh_scsi_get16(cdb + 2),
                               cdb[4] != 0 ? cdb[4] : 256u};
    case 4: /* 16 bytes */
        return (struct extent){bh_scsi_get64(cdb + 2), bh_scsi_get32(cdb + 10)};
    case 5: /* 12 bytes */
        return (struct extent){bh_scsi_get32(cdb + 2), bh_scsi_get32(cdb + 6)};
    default: /* 10 bytes */
        return (struct extent){bh_scsi_get32(cdb + 2), bh_scsi_get16(cdb + 7)};
    }
}

static bool is_inside(const struct bh_disk *disk, struct extent extent)
{
    uint64_t blocks = disk->store->size / disk->block;

    return extent.block <= blocks && extent.count <= blocks - extent.block;
}

/* Fails the request when the extent is not on the disk. */
static bool check_extent(const struct bh_disk *disk, struct bh_scsi_request *request,
                         struct extent extent)
{
    if (is_inside(disk, extent))
        return true;
    bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
    return false;
}

static bool check_writable(const struct bh_disk *disk, struct bh_scsi_request *request)
{
    if (!disk->store->read_only)
        return true;
    bh_scsi_fail(request, SCSI_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
    return false;
}

static void on_done(struct bh_store_io *io, int result)
{
    struct bh_scsi_request *request = io->context;

    request->transferred = result == 0 ? (uint32_t)io->size : 0;
    bh_disk_io_ended(request, result);
}

static void prepare(struct bh_disk *disk, struct bh_scsi_request *request,
                    enum bh_store_operation operation, struct extent extent)
{
    request->io = (struct bh_store_io){.operation = operation,
                                       .offset = extent.block * disk->block,
                                       .size = extent.count * disk->block,
                                       .pieces = request->pieces,
                                       .count = request->count,
                                       .done = on_done,
                                       .context = request};
}

/* --- READ, WRITE, VERIFY, SYNCHRONIZE CACHE ----------------------------------------------- */

/* The pieces become exactly `size` bytes long. */
static void cut_pieces(struct bh_store_io *io, uint64_t size)
{
    int i = 0;

    for (; i < io->count && size > 0; i++) {
        if (io->pieces[i].iov_len > size)
            io->pieces[i].iov_len = size;
        size -= io->pieces[i].iov_len;
    }
    io->count = i;
}

void bh_disk_transfer(struct bh_disk *disk, struct bh_scsi_request *request)
{
    struct extent extent = get_extent(request);
    bool is_write = (request->cdb[0] & 0x1fu) == (SCSI_WRITE_10 & 0x1fu);

    if ((is_write && !check_writable(disk, request)) || !check_extent(disk, request, extent))
        return;
    if (extent.count == 0) {
        bh_scsi_good(request, 0);
        return;
    }
    if (extent.count * disk->block > request->size ||
        request->direction != (is_write ? BH_SCSI_WRITE : BH_SCSI_READ)) {
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    prepare(disk, request, is_write ? BH_STORE_WRITE : BH_STORE_READ, extent);
    request->io.durable =
        is_write && request->cdb[0] != SCSI_WRITE_6 && (request->cdb[1] & FUA) != 0;
    cut_pieces(&request->io, request->io.size);
    bh_disk_submit(disk, request);
}

/* Without data to compare: the blocks are there. */
void bh_disk_verify(struct bh_disk *disk, struct bh_scsi_request *request)
{
    if ((request->cdb[1] & 0x06u) != 0)
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    else if (check_extent(disk, request, get_extent(request)))
        bh_scsi_good(request, 0);
}

/* All of the disk, whatever part was named. */
void bh_disk_flush(struct bh_disk *disk, struct bh_scsi_request *request)
{
    if (!check_extent(disk, request, get_extent(request)))
        return;
    if (disk->store->read_only) {
        bh_scsi_good(request, 0);
        return;
    }
    prepare(disk, request, BH_STORE_FLUSH, (struct extent){0, 0});
    bh_disk_submit(disk, request);
}

/* --- UNMAP -------------------------------------------------------------------------------- */

static struct extent unmap_extent(const uint8_t *descriptor)
{
    return (struct extent){bh_scsi_get64(descriptor), bh_scsi_get32(descriptor + 8)};
}

static void unmap_next(struct bh_scsi_request *request);

static void on_unmapped(struct bh_store_io *io, int result)
{
    struct bh_scsi_request *request = io->context;

    if (result == -EOPNOTSUPP || result == -EINVAL)
        result = 0; /* it was only a hint, and the store can not take it */
    if (result == 0 && request->left > 0) {
        unmap_next(request);
        return;
    }
    free(request->filled.iov_base);
    request->transferred = request->size;
    bh_disk_io_ended(request, result);
}

/* The last descriptor that is left. */
static void unmap_next(struct bh_scsi_request *request)
{
    const uint8_t *list = request->filled.iov_base;

    request->left--;
    prepare(request->disk, request, BH_STORE_DISCARD,
            unmap_extent(list + request->left * UNMAP_DESCRIPTOR));
    request->io.done = on_unmapped;
    bh_disk_submit(request->disk, request);
}

/* Takes the descriptors that have blocks; false when one is not on the disk. */
static bool take_descriptors(const struct bh_disk *disk, struct bh_scsi_request *request,
                             const uint8_t *at, uint32_t count)
{
    uint8_t *list = request->filled.iov_base;

    for (; count > 0; count--, at += UNMAP_DESCRIPTOR) {
        struct extent extent = unmap_extent(at);

        if (!is_inside(disk, extent))
            return false;
        if (extent.count != 0)
            memcpy(list + request->left++ * UNMAP_DESCRIPTOR, at, UNMAP_DESCRIPTOR);
    }
    return true;
}

void bh_disk_unmap(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint32_t length = bh_scsi_get16(request->cdb + 7);
    uint8_t list[UNMAP_LIST_MAX];
    uint32_t bytes;

    if (!check_writable(disk, request))
        return;
    if (length == 0) {
        bh_scsi_good(request, 0);
        return;
    }
    if (length < UNMAP_HEADER || length > sizeof(list) || request->direction != BH_SCSI_WRITE ||
        bh_scsi_copy_in(request, list, length) != length) {
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH);
        return;
    }
    bytes = bh_scsi_get16(list + 2);
    bytes = bytes < length - UNMAP_HEADER ? bytes : length - UNMAP_HEADER;
    request->left = 0;
    request->filled = (struct iovec){malloc(UNMAP_LIST_MAX), UNMAP_LIST_MAX};
    if (request->filled.iov_base == NULL) {
        bh_scsi_fail(request, SCSI_HARDWARE_ERROR, SCSI_ASC_INTERNAL_FAILURE);
    } else if (!take_descriptors(disk, request, list + UNMAP_HEADER, bytes / UNMAP_DESCRIPTOR)) {
        free(request->filled.iov_base);
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
    } else if (request->left == 0) {
        free(request->filled.iov_base);
        bh_scsi_good(request, length);
    } else {
        unmap_next(request);
    }
}

/* --- WRITE SAME --------------------------------------------------------------------------- */

static void fill_next(struct bh_scsi_request *request);

static void end_fill(struct bh_scsi_request *request, int result)
{
    free(request->filled.iov_base);
    request->transferred = request->size;
    bh_disk_io_ended(request, result);
}

static void on_filled(struct bh_store_io *io, int result)
{
    struct bh_scsi_request *request = io->context;

    if (result == 0 && request->left > 0)
        fill_next(request);
    else
        end_fill(request, result);
}

/* Writes the buffer behind what was written last. */
static void fill_next(struct bh_scsi_request *request)
{
    struct bh_store_io *io = &request->io;
    uint64_t size = request->left < FILL_MAX ? request->left : FILL_MAX;

    io->offset += io->size;
    io->size = size;
    request->left -= size;
    request->pieces[0] = (struct iovec){request->filled.iov_base, size};
    io->pieces = request->pieces;
    io->count = 1;
    io->operation = BH_STORE_WRITE;
    io->done = on_filled;
    bh_disk_submit(request->disk, request);
}

/* A store that can not do it cheaply has the blocks written. */
static void on_zeroed(struct bh_store_io *io, int result)
{
    struct bh_scsi_request *request = io->context;

    if (result != -EOPNOTSUPP && result != -EINVAL) {
        end_fill(request, result);
        return;
    }
    request->left = io->size;
    io->size = 0;
    fill_next(request);
}

static bool fill_buffer(struct bh_scsi_request *request, const uint8_t *block, uint32_t size)
{
    uint8_t *at = aligned_alloc(4096, FILL_MAX);

    request->filled = (struct iovec){at, FILL_MAX};
    for (uint32_t done = 0; at != NULL && done < FILL_MAX; done += size)
        memcpy(at + done, block, size);
    return at != NULL;
}

static bool is_zero(const uint8_t *block, uint32_t size)
{
    return block[0] == 0 && memcmp(block, block + 1, size - 1) == 0;
}

/* Both operations have the flags and, where the length is long, NDOB in byte 1 (SBC-3, 5.48). */
void bh_disk_write_same(struct bh_disk *disk, struct bh_scsi_request *request)
{
    struct extent extent = get_extent(request);
    bool no_data =
        request->cdb[0] == SCSI_WRITE_SAME_16 && (request->cdb[1] & WRITE_SAME_NO_DATA) != 0;
    uint8_t block[DISK_BLOCK] = {0};

    if (!check_writable(disk, request) || !check_extent(disk, request, extent))
        return;
    if (extent.count == 0) /* to the end of the disk */
        extent.count = disk->store->size / disk->block - extent.block;
    if (!no_data && (request->direction != BH_SCSI_WRITE ||
                     bh_scsi_copy_in(request, block, sizeof(block)) != sizeof(block))) {
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    if (extent.count == 0) {
        bh_scsi_good(request, request->size);
        return;
    }
    if (!fill_buffer(request, block, sizeof(block))) {
        bh_scsi_fail(request, SCSI_HARDWARE_ERROR, SCSI_ASC_INTERNAL_FAILURE);
        return;
    }
    prepare(disk, request, BH_STORE_ZERO, extent);
    request->io.unmap = (request->cdb[1] & WRITE_SAME_UNMAP) != 0;
    request->io.done = on_zeroed;
    if (is_zero(block, sizeof(block))) {
        bh_disk_submit(disk, request);
        return;
    }
    request->left = request->io.size;
    request->io.size = 0;
    fill_next(request);
}
