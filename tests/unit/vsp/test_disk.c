/* SPDX-License-Identifier: MIT */
/* vsp/storage: SCSI commands on a store in memory that can fail. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "vsp/storage/disk.h"

#define SIZE (1u << 20)

static struct {
    struct bh_store store;
    uint8_t bytes[SIZE];
    int result; /* of the next operations */
    int zero_result;
    unsigned flushes;
    unsigned discards;
    unsigned writes;
    bool durable;
    bool closed;
    uint64_t discarded;
} memory;

static void on_submit(struct bh_store *store, struct bh_store_io *io)
{
    int result = io->operation == BH_STORE_ZERO ? memory.zero_result : memory.result;
    uint8_t *at;

    assert_ptr_equal(store, &memory.store);
    assert_true(io->offset <= SIZE && io->size <= SIZE - io->offset);
    at = memory.bytes + io->offset;
    memory.flushes += io->operation == BH_STORE_FLUSH;
    memory.discards += io->operation == BH_STORE_DISCARD;
    memory.discarded += io->operation == BH_STORE_DISCARD ? io->size : 0;
    if (io->operation == BH_STORE_WRITE) {
        memory.writes++;
        memory.durable = io->durable;
    }
    for (int i = 0; result == 0 && i < io->count && io->operation <= BH_STORE_WRITE; i++) {
        if (io->operation == BH_STORE_READ)
            memcpy(io->pieces[i].iov_base, at, io->pieces[i].iov_len);
        else
            memcpy(at, io->pieces[i].iov_base, io->pieces[i].iov_len);
        at += io->pieces[i].iov_len;
    }
    if (io->operation == BH_STORE_ZERO && result == 0)
        memset(at, 0, io->size);
    io->done(io, result);
}

static void on_close(struct bh_store *store)
{
    assert_ptr_equal(store, &memory.store);
    memory.closed = true;
}

static unsigned complaints;
static struct bh_loop *loop;

static void on_failed(void *context, const char *id, const char *operation, const char *sentence)
{
    (void)context;
    assert_string_equal(id, "root");
    assert_non_null(operation);
    assert_non_null(strstr(sentence, "failed"));
    complaints++;
}

static const struct bh_store_operations operations = {on_submit, NULL, on_close};

static struct bh_disk *begin(bool is_cd, bool read_only)
{
    const struct bh_disk_options options = {
        .vm = "vm", .id = "root", .is_cd = is_cd, .failed = on_failed};

    memset(&memory, 0, sizeof(memory));
    memory.store = (struct bh_store){&operations, SIZE, read_only};
    complaints = 0;
    return bh_disk_create(loop, &options, &memory.store);
}

/* --- commands ----------------------------------------------------------------------------- */

static uint8_t data[SIZE];
static bool was_done;

static void on_done(struct bh_scsi_request *request)
{
    (void)request;
    assert_false(was_done);
    was_done = true;
}

/* Executes a CDB with `size` bytes of `data`, in two pieces. */
static struct bh_scsi_request execute(struct bh_disk *disk, const uint8_t *cdb, size_t length,
                                      enum bh_scsi_direction direction, uint32_t size)
{
    static struct iovec pieces[BH_SCSI_PIECES_MAX];
    struct bh_scsi_request request = {.direction = direction, .size = size, .pieces = pieces};
    uint32_t half = size / 2 / 512 * 512;

    pieces[0] = (struct iovec){data, half};
    pieces[1] = (struct iovec){data + half, size - half};
    request.count = size == 0 ? 0 : 2;
    request.done = on_done;
    memcpy(request.cdb, cdb, length);
    was_done = false;
    bh_disk_execute(disk, &request);
    assert_true(was_done);
    return request;
}

#define RUN(disk, direction, size, ...)                                                   \
    execute(disk, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), \
            direction, size)

static void assert_sense(const struct bh_scsi_request *request, unsigned key, unsigned code)
{
    assert_int_equal(request->status, SCSI_CHECK_CONDITION);
    assert_int_equal(request->sense[0], 0x70);
    assert_int_equal(request->sense[2], key);
    assert_int_equal(bh_scsi_get16(request->sense + 12), code);
    assert_int_equal(request->transferred, 0);
}

/* A disk that has told that it was just powered on. */
static struct bh_disk *begin_ready(bool is_cd, bool read_only)
{
    struct bh_disk *disk = begin(is_cd, read_only);
    struct bh_scsi_request request = RUN(disk, BH_SCSI_NO_DATA, 0, 0);

    assert_sense(&request, SCSI_UNIT_ATTENTION, SCSI_ASC_POWER_ON);
    return disk;
}

static void what_a_disk_says_of_itself(void **state)
{
    struct bh_disk *disk = begin(false, false);
    struct bh_scsi_request request = RUN(disk, BH_SCSI_READ, 255, 0x12, 0, 0, 0, 255);

    (void)state;
    assert_int_equal(request.status, SCSI_GOOD);
    assert_int_equal(request.transferred, 36);
    assert_memory_equal(data + 8, "BULKHEADVirtual Disk    1.0 ", 28);
    request = RUN(disk, BH_SCSI_READ, 4, 0x12, 1, 0, 0, 4);
    assert_int_equal(request.transferred, 4);
    assert_int_equal(data[3], 6);
    request = RUN(disk, BH_SCSI_READ, 255, 0x12, 1, 0x80, 0, 255);
    assert_memory_equal(data, "\0\x80\0\4root", 8);
    request = RUN(disk, BH_SCSI_READ, 255, 0x12, 1, 0x83, 0, 255);
    assert_memory_equal(data + 4, "\2\1\0\14BULKHEADroot\1\3\0\10", 20);
    assert_int_equal(data[24] >> 4, 3);
    request = RUN(disk, BH_SCSI_READ, 255, 0x12, 1, 0xb0, 0, 255);
    assert_int_equal(bh_scsi_get32(data + 8), BH_SCSI_TRANSFER_MAX / 512);
    request = RUN(disk, BH_SCSI_READ, 255, 0x12, 1, 0xb2, 0, 255);
    assert_int_equal(data[5] & 0xc0, 0xc0);
    request = RUN(disk, BH_SCSI_READ, 255, 0x12, 1, 0x42, 0, 255);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    request = RUN(disk, BH_SCSI_READ, 255, 0x12, 0, 0x80, 0, 255);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    bh_disk_destroy(disk);
    assert_true(memory.closed);
}

static void capacity_and_modes(void **state)
{
    struct bh_disk *disk = begin_ready(false, false);
    struct bh_scsi_request request = RUN(disk, BH_SCSI_READ, 8, 0x25);

    (void)state;
    assert_int_equal(request.transferred, 8);
    assert_int_equal(bh_scsi_get32(data), SIZE / 512 - 1);
    assert_int_equal(bh_scsi_get32(data + 4), 512);
    request = RUN(disk, BH_SCSI_READ, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32);
    assert_int_equal(request.transferred, 32);
    assert_int_equal(bh_scsi_get64(data), SIZE / 512 - 1);
    assert_int_equal(data[14], 0x80);
    request = RUN(disk, BH_SCSI_READ, 32, 0x9e, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    request = RUN(disk, BH_SCSI_READ, 64, 0x1a, 0, 0x3f, 0, 64);
    assert_int_equal(request.transferred, 36);
    assert_int_equal(data[0], 35);
    assert_int_equal(data[2], 0x10); /* FUA, not protected */
    assert_int_equal(data[6], 0x04); /* a write cache */
    request = RUN(disk, BH_SCSI_READ, 64, 0x5a, 0, 0x08, 0, 0, 0, 0, 0, 64);
    assert_int_equal(request.transferred, 28);
    request = RUN(disk, BH_SCSI_READ, 64, 0x1a, 0, 0x1c, 0, 64);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    request = RUN(disk, BH_SCSI_READ, 64, 0x03, 0, 0, 0, 64);
    assert_int_equal(request.transferred, 18);
    bh_disk_destroy(disk);
}

static void all_reads_and_writes(void **state)
{
    struct bh_disk *disk = begin_ready(false, false);
    struct bh_scsi_request request;

    (void)state;
    memset(data, 0x11, 2048);
    request = RUN(disk, BH_SCSI_WRITE, 1024, 0x0a, 0, 0, 1, 2);
    assert_int_equal(request.transferred, 1024);
    memset(data, 0x22, 2048);
    (void)RUN(disk, BH_SCSI_WRITE, 512, 0x2a, 8, 0, 0, 0, 3, 0, 0, 1); /* FUA */
    assert_true(memory.durable);
    memset(data, 0x33, 2048);
    (void)RUN(disk, BH_SCSI_WRITE, 512, 0xaa, 0, 0, 0, 0, 4, 0, 0, 0, 1);
    assert_false(memory.durable);
    memset(data, 0x44, 2048);
    request = RUN(disk, BH_SCSI_WRITE, 512, 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1);
    assert_int_equal(request.status, SCSI_GOOD);
    for (unsigned i = 0; i < 4; i++) {
        static const uint8_t expected[] = {0, 0x11, 0x11, 0x22, 0x33, 0x44, 0};
        static const uint8_t cdb[4][16] = {
            {0x08, 0, 0, 0, 7},
            {0x28, 0, 0, 0, 0, 0, 0, 0, 7},
            {0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 7},
            {0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7},
        };

        memset(data, 0xff, 4096);
        request = execute(disk, cdb[i], 16, BH_SCSI_READ, 7 * 512);
        assert_int_equal(request.transferred, 7 * 512);
        for (unsigned block = 0; block < 7; block++)
            assert_int_equal(data[block * 512 + 511], expected[block]);
    }
    request = RUN(disk, BH_SCSI_READ, 0, 0x28);
    assert_int_equal(request.status, SCSI_GOOD);
    (void)RUN(disk, BH_SCSI_NO_DATA, 0, 0x35);
    assert_int_equal(memory.flushes, 1);
    (void)RUN(disk, BH_SCSI_NO_DATA, 0, 0x91);
    assert_int_equal(memory.flushes, 2);
    request = RUN(disk, BH_SCSI_NO_DATA, 0, 0x2f, 0, 0, 0, 0, 0, 0, 0, 1);
    assert_int_equal(request.status, SCSI_GOOD);
    assert_int_equal(bh_disk_get_stats(disk)->write_ops, 4);
    assert_int_equal(bh_disk_get_stats(disk)->read_bytes, 4 * 7 * 512);
    bh_disk_destroy(disk);
}

static void what_is_not_on_the_disk(void **state)
{
    struct bh_disk *disk = begin_ready(false, false);
    struct bh_scsi_request request =
        RUN(disk, BH_SCSI_READ, 1024, 0x28, 0, 0, 0, 7, 0xff, 0, 0, 2); /* over the end */

    (void)state;
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
    request = RUN(disk, BH_SCSI_WRITE, 512, 0x8a, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                  0, 0, 0, 1);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
    request = RUN(disk, BH_SCSI_READ, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 2); /* too little memory */
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    request = RUN(disk, BH_SCSI_READ, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1); /* the wrong way */
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    request = RUN(disk, BH_SCSI_NO_DATA, 0, 0x85);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPERATION);
    assert_int_equal(complaints, 0);
    bh_disk_destroy(disk);
}

static void unmap_takes_descriptors(void **state)
{
    struct bh_disk *disk = begin_ready(false, false);
    struct bh_scsi_request request;

    (void)state;
    memset(data, 0, 64);
    bh_scsi_put16(data, 46);
    bh_scsi_put16(data + 2, 40);
    bh_scsi_put32(data + 8 + 8, 8); /* 8 blocks at 0, and 3 at 100 */
    bh_scsi_put64(data + 24, 100);
    bh_scsi_put32(data + 24 + 8, 3);
    request = RUN(disk, BH_SCSI_WRITE, 48, 0x42, 0, 0, 0, 0, 0, 0, 0, 48);
    assert_int_equal(request.status, SCSI_GOOD);
    assert_int_equal(memory.discards, 2);
    assert_int_equal(memory.discarded, 11 * 512);
    memory.result = -EOPNOTSUPP; /* only a hint */
    request = RUN(disk, BH_SCSI_WRITE, 48, 0x42, 0, 0, 0, 0, 0, 0, 0, 48);
    assert_int_equal(request.status, SCSI_GOOD);
    bh_scsi_put64(data + 24, SIZE / 512 - 2);
    request = RUN(disk, BH_SCSI_WRITE, 48, 0x42, 0, 0, 0, 0, 0, 0, 0, 48);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
    request = RUN(disk, BH_SCSI_WRITE, 48, 0x42, 0, 0, 0, 0, 0, 0, 0, 49);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH);
    request = RUN(disk, BH_SCSI_WRITE, 48, 0x42, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH);
    bh_disk_destroy(disk);
}

static void write_same_fills(void **state)
{
    struct bh_disk *disk = begin_ready(false, false);
    struct bh_scsi_request request;

    (void)state;
    memset(data, 0x5a, 512);
    request = RUN(disk, BH_SCSI_WRITE, 512, 0x41, 0, 0, 0, 0, 1, 0, 4, 1); /* 1,025 blocks */
    assert_int_equal(request.status, SCSI_GOOD);
    assert_int_equal(memory.bytes[511], 0);
    assert_int_equal(memory.bytes[512], 0x5a);
    assert_int_equal(memory.bytes[(size_t)1026 * 512 - 1], 0x5a);
    assert_int_equal(memory.bytes[(size_t)1026 * 512], 0);
    assert_int_equal(memory.writes, 3);
    memset(data, 0, 512);
    request = RUN(disk, BH_SCSI_WRITE, 512, 0x93, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1);
    assert_int_equal(memory.bytes[512], 0);
    assert_int_equal(memory.writes, 3);
    memory.zero_result = -EOPNOTSUPP; /* then zeros are written */
    request = RUN(disk, BH_SCSI_WRITE, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1);
    assert_int_equal(memory.bytes[1024], 0);
    assert_int_equal(memory.bytes[1536], 0x5a);
    assert_int_equal(memory.writes, 4);
    memory.result = -ENOSPC;
    request = RUN(disk, BH_SCSI_WRITE, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1);
    assert_sense(&request, SCSI_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION);
    bh_disk_destroy(disk);
}

static void errors_become_sense_data_and_a_sentence(void **state)
{
    static const struct {
        int result;
        unsigned key;
        unsigned code;
    } cases[] = {
        {-EIO, SCSI_MEDIUM_ERROR, SCSI_ASC_READ_ERROR},
        {-ENODATA, SCSI_MEDIUM_ERROR, SCSI_ASC_READ_ERROR},
        {-ENOSPC, SCSI_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION},
        {-ENOTCONN, SCSI_HARDWARE_ERROR, SCSI_ASC_COMMUNICATION_FAILURE},
        {-ENOMEM, SCSI_HARDWARE_ERROR, SCSI_ASC_INTERNAL_FAILURE},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bh_disk *disk = begin_ready(false, false);
        struct bh_scsi_request request;

        memory.result = cases[i].result;
        request = RUN(disk, BH_SCSI_READ, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
        assert_sense(&request, cases[i].key, cases[i].code);
        request = RUN(disk, BH_SCSI_READ, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
        assert_int_equal(complaints, 1); /* not one for each of a storm */
        assert_int_equal(bh_disk_get_stats(disk)->errors, 2);
        request = RUN(disk, BH_SCSI_NO_DATA, 0, 0x35); /* a flush that failed is not kept quiet */
        assert_int_equal(request.status, SCSI_CHECK_CONDITION);
        bh_disk_destroy(disk);
    }
}

static void a_read_only_disk_is_not_written(void **state)
{
    struct bh_disk *disk = begin_ready(false, true);
    struct bh_scsi_request request = RUN(disk, BH_SCSI_WRITE, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);

    (void)state;
    assert_sense(&request, SCSI_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
    request = RUN(disk, BH_SCSI_WRITE, 512, 0x41, 0, 0, 0, 0, 0, 0, 0, 1);
    assert_sense(&request, SCSI_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
    request = RUN(disk, BH_SCSI_READ, 64, 0x1a, 0, 0x3f, 0, 64);
    assert_int_equal(data[2], 0x80);
    request = RUN(disk, BH_SCSI_NO_DATA, 0, 0x35);
    assert_int_equal(request.status, SCSI_GOOD);
    assert_int_equal(memory.flushes + memory.writes, 0);
    bh_disk_destroy(disk);
}

static void discs_come_and_go(void **state)
{
    struct bh_disk *disk = begin_ready(true, true);
    struct bh_scsi_request request = RUN(disk, BH_SCSI_READ, 8, 0x25);

    (void)state;
    assert_int_equal(bh_scsi_get32(data + 4), 2048);
    request = RUN(disk, BH_SCSI_READ, 64, 0x43, 0, 0, 0, 0, 0, 0, 0, 64);
    assert_int_equal(request.transferred, 20);
    assert_int_equal(bh_scsi_get32(data + 16), SIZE / 2048);
    request = RUN(disk, BH_SCSI_READ, 64, 0x46, 0, 0, 0, 0, 0, 0, 0, 64);
    assert_int_equal(bh_scsi_get16(data + 6), 8);
    request = RUN(disk, BH_SCSI_NO_DATA, 0, 0x1e, 0, 0, 0, 1); /* lock */
    request = RUN(disk, BH_SCSI_NO_DATA, 0, 0x1b, 0, 0, 0, 2); /* eject */
    assert_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_REMOVAL_PREVENTED);
    assert_false(bh_disk_eject(disk, false));
    assert_true(bh_disk_eject(disk, true));
    assert_true(memory.closed);
    request = RUN(disk, BH_SCSI_NO_DATA, 0, 0);
    assert_sense(&request, SCSI_UNIT_ATTENTION, SCSI_ASC_MEDIUM_NOT_PRESENT);
    request = RUN(disk, BH_SCSI_NO_DATA, 0, 0);
    assert_sense(&request, SCSI_NOT_READY, SCSI_ASC_MEDIUM_NOT_PRESENT);
    request = RUN(disk, BH_SCSI_READ, 64, 0x43, 0, 0, 0, 0, 0, 0, 0, 64);
    assert_sense(&request, SCSI_NOT_READY, SCSI_ASC_MEDIUM_NOT_PRESENT);
    request = RUN(disk, BH_SCSI_READ, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    assert_int_equal(data[5], 0);
    assert_true(bh_disk_insert(disk, &memory.store));
    request = RUN(disk, BH_SCSI_NO_DATA, 0, 0);
    assert_sense(&request, SCSI_UNIT_ATTENTION, SCSI_ASC_MEDIUM_CHANGED);
    request = RUN(disk, BH_SCSI_READ, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    assert_int_equal(request.transferred, 2048);
    bh_disk_destroy(disk);
}

static unsigned done_count;

static void on_done_ignored(struct bh_scsi_request *request)
{
    (void)request;
}

static void count_done(struct bh_scsi_request *request)
{
    assert_int_equal(request->status, SCSI_GOOD);
    done_count++;
}

static void a_disk_is_no_faster_than_its_limit(void **state)
{
    const struct bh_disk_options options = {
        .vm = "vm", .id = "root", .is_cd = true, .iops = 20, .failed = on_failed};
    struct bh_scsi_request request[5];
    struct iovec piece[5];
    struct timespec before;
    struct timespec after;
    struct pollfd wait;
    struct bh_disk *disk;

    (void)state;
    loop = bh_loop_create();
    wait = (struct pollfd){.fd = bh_loop_fd(loop), .events = POLLIN};
    memory.store = (struct bh_store){&operations, SIZE, true};
    memory.result = 0;
    disk = bh_disk_create(loop, &options, &memory.store);
    (void)RUN(disk, BH_SCSI_NO_DATA, 0, 0);
    done_count = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    for (unsigned i = 0; i < 5; i++) {
        piece[i] = (struct iovec){data, 2048};
        request[i] = (struct bh_scsi_request){.cdb = {0x28, [8] = 1},
                                              .direction = BH_SCSI_READ,
                                              .size = 2048,
                                              .pieces = &piece[i],
                                              .count = 1,
                                              .done = count_done};
        bh_disk_execute(disk, &request[i]);
    }
    assert_in_range(done_count, 1, 2); /* a burst of a tenth of a second */
    while (done_count < 5) {
        assert_int_equal(poll(&wait, 1, 10000), 1);
        bh_loop_serve(loop);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 140);
    for (unsigned i = 0; i < 5; i++)
        bh_disk_execute(disk, &request[i]);
    bh_disk_destroy(disk); /* waits for those behind the limit */
    assert_false(memory.closed);
    for (unsigned i = 0; i < 5; i++)
        request[i].done = on_done_ignored;
    bh_disk_abandon(disk);
    assert_true(memory.closed);
    bh_loop_destroy(loop);
    loop = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_is_no_faster_than_its_limit),
        cmocka_unit_test(what_a_disk_says_of_itself),
        cmocka_unit_test(capacity_and_modes),
        cmocka_unit_test(all_reads_and_writes),
        cmocka_unit_test(what_is_not_on_the_disk),
        cmocka_unit_test(unmap_takes_descriptors),
        cmocka_unit_test(write_same_fills),
        cmocka_unit_test(errors_become_sense_data_and_a_sentence),
        cmocka_unit_test(a_read_only_disk_is_not_written),
        cmocka_unit_test(discs_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
