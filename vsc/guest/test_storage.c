/* SPDX-License-Identifier: MIT */
/* The SCSI controller and one of its disks, which is written over. */
#include <string.h>

#include "vsc/guest/tests.h"
#include "vsc/storage/scsi.h"

#define BLOCK      512u
#define RING_PAGES 32u
#define VERIFIED   (1u << 20) /* bytes */
#define PIECE      32768u     /* of them in a request */
#define DEPTH_MAX  128u

static struct vsc_storage storage;
static uint64_t blocks;
static uint8_t lun;
static struct vsc_request request[DEPTH_MAX];

static void check(bool holds, const char *why)
{
    check_that(holds, "storage", why);
}

/* Runs a request that must succeed. */
static void execute(struct vsc_request *one, const char *why)
{
    check(vsc_storage_execute(&storage, one) && vsc_scsi_is_good(one), why);
}

static void open_disk(uint32_t channels)
{
    void *memory = memory_pages(2 * RING_PAGES * channels);

    connect("storage");
    check(vsc_storage_open(&storage, synic_bus(), memory, RING_PAGES, channels),
          "the controller can not be opened");
    check(storage.channel_count == channels, "the controller has not so many channels");
    check(vsc_scsi_make_ready(&storage, lun), "the disk is not ready");
}

static void close_disk(uint64_t mark)
{
    check(vsc_storage_close(&storage), "the controller can not be closed");
    memory_release(mark);
}

static void look_at_disk(void)
{
    uint8_t *data = memory_pages(1);

    vsc_scsi_inquiry(&request[0], lun, data, 36);
    execute(&request[0], "INQUIRY failed");
    check(data[0] == 0, "it is no disk");
    vsc_scsi_read_capacity(&request[0], lun, data, 32);
    execute(&request[0], "READ CAPACITY failed");
    check(vsc_scsi_get32(data + 8) == BLOCK, "its blocks are not of 512 bytes");
    blocks = vsc_scsi_get64(data) + 1;
    check(blocks * BLOCK >= VERIFIED, "it is too small");
    vsc_scsi_report_luns(&request[0], data, PAGE_SIZE);
    execute(&request[0], "REPORT LUNS failed");
    say_figure("storage", "size", blocks * BLOCK, "B");
    say_figure("storage", "luns", vsc_scsi_get32(data) / 8, "units");
}

/* --- data --------------------------------------------------------------------------------- */

/* Each word depends on its place and on the seed. */
static uint64_t word_of(uint64_t place, uint64_t seed)
{
    uint64_t word = (place + 1) * 0x9e3779b97f4a7c15ull ^ seed * 0xbf58476d1ce4e5b9ull;

    return word ^ word >> 29;
}

static void fill(uint64_t *data, uint64_t seed)
{
    for (uint64_t i = 0; i < VERIFIED / 8; i++)
        data[i] = word_of(i, seed);
}

static void verify(const uint64_t *data, uint64_t seed)
{
    for (uint64_t i = 0; i < VERIFIED / 8; i++)
        check(data[i] == word_of(i, seed), "the disk does not hold what was written");
}

/* All of the data at once, over all channels in turn. */
static void move_all(uint8_t *data, bool writes)
{
    enum { PIECES = VERIFIED / PIECE };

    for (uint32_t i = 0; i < PIECES; i++) {
        const struct vsc_extent extent = {.block = (uint64_t)i * (PIECE / BLOCK),
                                          .count = PIECE / BLOCK,
                                          .data = data + (size_t)i * PIECE,
                                          .size = PIECE};

        (writes ? vsc_scsi_write : vsc_scsi_read)(&request[i], lun, &extent);
        request[i].done = NULL;
        check(vsc_storage_submit(&storage, i % storage.channel_count, &request[i]),
              "a ring has no room");
    }
    for (uint32_t i = 0; i < storage.channel_count; i++)
        vsc_storage_flush(&storage, i);
    for (uint64_t deadline = vsc_bus_deadline(synic_bus(), VSC_PATIENCE); storage.running != 0;)
        check(vsc_bus_wait(synic_bus(), deadline) || storage.running == 0,
              "requests were not answered");
    for (uint32_t i = 0; i < PIECES; i++)
        check(vsc_scsi_is_good(&request[i]) && request[i].transferred == PIECE,
              writes ? "a write failed" : "a read failed");
}

static void write_and_verify(uint64_t *data, uint64_t seed)
{
    fill(data, seed);
    move_all((uint8_t *)data, true);
    vsc_scsi_flush(&request[0], lun);
    execute(&request[0], "SYNCHRONIZE CACHE failed");
    memset(data, 0, VERIFIED);
    move_all((uint8_t *)data, false);
    verify(data, seed);
}

static void test_data(uint32_t channels, uint64_t seed, uint32_t rounds)
{
    uint64_t mark = memory_mark();
    uint64_t *data;

    open_disk(channels);
    data = memory_pages(VERIFIED / PAGE_SIZE);
    for (uint32_t i = 0; i < rounds; i++)
        write_and_verify(data, seed + i);
    close_disk(mark);
}

/* --- wrong requests ----------------------------------------------------------------------- */

static void expect_sense(enum scsi_sense_key key, uint32_t code, const char *why)
{
    check(vsc_storage_execute(&storage, &request[0]) && vsc_scsi_has_sense(&request[0], key, code),
          why);
}

static void test_wrong_requests(void)
{
    uint64_t mark = memory_mark();
    uint8_t *data;
    struct vsc_extent extent = {.count = 1, .size = BLOCK};
    struct storvsc_packet packet = {.operation = 99};

    open_disk(1);
    data = memory_pages(1);
    extent.data = data;
    extent.block = blocks;
    vsc_scsi_read(&request[0], lun, &extent);
    expect_sense(SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE, "a read behind the end");
    extent.block = UINT64_MAX;
    vsc_scsi_write(&request[0], lun, &extent);
    expect_sense(SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE, "a write far behind the end");
    extent = (struct vsc_extent){.count = 8, .data = data, .size = BLOCK};
    vsc_scsi_read(&request[0], lun, &extent);
    expect_sense(SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB, "a read into too few pages");
    vsc_scsi_plain(&request[0], lun, 0xff);
    expect_sense(SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPERATION, "an operation there is not");
    vsc_scsi_plain(&request[0], 63, SCSI_TEST_UNIT_READY);
    check(vsc_storage_execute(&storage, &request[0]) && request[0].srb_status == SRB_INVALID_LUN,
          "a unit there is not");
    request[0].cdb_length = STORVSC_CDB_SIZE + 1;
    check(vsc_storage_execute(&storage, &request[0]) &&
              request[0].srb_status == SRB_INVALID_REQUEST,
          "a CDB that is too long");
    check(!vsc_storage_control(&storage, &packet), "a message there is not");
    close_disk(mark);
}

/* The channel goes with requests under way; the disk is well afterwards. */
static void test_closed_in_the_middle(void)
{
    for (unsigned round = 0; round < 8; round++) {
        uint64_t mark = memory_mark();
        uint8_t *data;

        open_disk(2);
        data = memory_pages(32);
        for (uint32_t i = 0; i < 32; i++) {
            const struct vsc_extent extent = {(uint64_t)i * 8, 8, data + (size_t)i * PAGE_SIZE,
                                              PAGE_SIZE};

            vsc_scsi_read(&request[i], lun, &extent);
            check(vsc_storage_submit(&storage, i % 2, &request[i]), "a ring has no room");
        }
        vsc_storage_flush(&storage, 0);
        vsc_storage_flush(&storage, 1);
        if (round % 2 == 0) {
            close_disk(mark);
            continue;
        }
        check(vsc_bus_unload(synic_bus()), "an unload with requests under way was not answered");
        memory_release(mark);
    }
}

/* --- figures ------------------------------------------------------------------------------ */

static struct {
    const struct options *options;
    struct measure measure;
    bool writes;
    uint32_t moved; /* requests that are done */
    uint64_t next;  /* in units of a request */
    struct vsc_request *idle[DEPTH_MAX];
    uint32_t idle_count;
    uint64_t state; /* of the random numbers */
} load;

static uint64_t next_block(void)
{
    uint64_t count = blocks * BLOCK / load.options->size;
    uint64_t place = load.next++;

    if (load.options->sequential == 0) {
        load.state = load.state * 6364136223846793005ull + 1442695040888963407ull;
        place = load.state >> 33;
    }
    return place % count * (load.options->size / BLOCK);
}

static void submit(struct vsc_request *one)
{
    const struct vsc_extent extent = {.block = next_block(),
                                      .count = load.options->size / BLOCK,
                                      .data = one->context,
                                      .size = load.options->size};

    (load.writes ? vsc_scsi_write : vsc_scsi_read)(one, lun, &extent);
    check(vsc_storage_submit(&storage, (uint32_t)(one - request) % storage.channel_count, one),
          "a ring has no room");
}

static void on_done(struct vsc_request *one)
{
    check(vsc_scsi_is_good(one), "a request of the load failed");
    load.idle[load.idle_count++] = one;
    load.moved++;
}

/* Others in the place of those that are done, shown together. */
static void submit_idle(void)
{
    while (load.idle_count != 0 && measure_goes_on(&load.measure))
        submit(load.idle[--load.idle_count]);
    for (uint32_t i = 0; i < storage.channel_count; i++)
        vsc_storage_flush(&storage, i);
}

static void await_progress(void)
{
    uint64_t deadline = vsc_bus_deadline(synic_bus(), VSC_PATIENCE);
    uint32_t moved = load.moved;

    while (load.moved == moved)
        check(vsc_bus_wait(synic_bus(), deadline) || load.moved != moved,
              "requests of the load were not answered");
}

static void run_load(const struct options *options, const char *name, bool writes, uint32_t depth)
{
    load.options = options;
    load.writes = writes;
    load.moved = 0;
    load.next = 0;
    load.state = 1;
    measure_begin(&load.measure, options, name);
    for (uint32_t i = 0; i < depth; i++)
        load.idle[i] = &request[i];
    load.idle_count = depth;
    submit_idle();
    while (storage.running != 0) {
        await_progress();
        submit_idle();
    }
    measure_end(&load.measure, load.moved, (uint64_t)load.moved * options->size);
}

static void measure_disk(const struct options *options)
{
    uint64_t mark = memory_mark();
    uint32_t depth = options->depth < DEPTH_MAX ? options->depth : DEPTH_MAX;

    check(options->size % BLOCK == 0 && options->size != 0 && options->size <= 1u << 20,
          "size= must be a multiple of 512, at most 1 MiB");
    open_disk(1);
    for (uint32_t i = 0; i < depth; i++) {
        request[i].context = memory_pages((options->size + PAGE_SIZE - 1) / PAGE_SIZE);
        request[i].done = on_done;
    }
    run_load(options, "storage.read.one", false, 1);
    run_load(options, "storage.read.deep", false, depth);
    run_load(options, "storage.write.one", true, 1);
    run_load(options, "storage.write.deep", true, depth);
    for (uint32_t i = 0; i < depth; i++)
        request[i].done = NULL;
    close_disk(mark);
}

void test_storage(const struct options *options)
{
    uint32_t channels =
        options->channels < VSC_STORAGE_CHANNELS_MAX ? options->channels : VSC_STORAGE_CHANNELS_MAX;
    uint64_t mark = memory_mark();

    lun = (uint8_t)options->lun;
    open_disk(1);
    look_at_disk();
    close_disk(mark);
    test_data(1, 1, 1);
    test_data(channels, 2, options->rounds);
    test_wrong_requests();
    test_closed_in_the_middle();
    measure_disk(options);
    test_data(1, 3, 1); /* stays: the parent can look at it */
    say("ok storage\n");
}
