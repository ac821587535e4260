/* SPDX-License-Identifier: MIT */
#include "vsp/storage/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vsp/storage/parts.h"

#define SECOND UINT64_C(1000000000)

/* --- I/O ---------------------------------------------------------------------------------- */

static bool is_idle(const struct bh_disk *disk)
{
    return disk->running == 0 && !disk->limit.serving;
}

/* A disc that was taken out goes when nothing uses it, */
static void close_leaving(struct bh_disk *disk)
{
    if (!is_idle(disk))
        return;
    bh_store_close(disk->leaving);
    disk->leaving = NULL;
}

/* and so does a disk. */
static void clean_up(struct bh_disk *disk)
{
    close_leaving(disk);
    if (!disk->destroyed || !is_idle(disk))
        return;
    bh_limit_close(&disk->limit);
    bh_store_close(disk->store);
    free(disk);
}

static void start(struct bh_scsi_request *request)
{
    bh_store_submit(request->store, &request->io);
}

static void after_wait(void *context)
{
    bh_disk_kick(context);
    clean_up(context);
}

/* All I/O of a request goes to the store that was there when it began. */
void bh_disk_submit(struct bh_disk *disk, struct bh_scsi_request *request)
{
    if (request->began == 0) {
        request->began = bh_loop_now();
        request->store = disk->store;
        disk->running++;
    }
    if (request->io.operation == BH_STORE_READ || request->io.operation == BH_STORE_WRITE)
        bh_limit_submit(&disk->limit, request);
    else
        start(request);
}

static void count(struct bh_disk_stats *stats, const struct bh_scsi_request *request)
{
    uint64_t ns = bh_loop_now() - request->began;

    switch (request->io.operation) {
    case BH_STORE_READ:
        stats->read_ops++;
        stats->read_bytes += request->transferred;
        stats->read_ns += ns;
        break;
    case BH_STORE_WRITE:
        stats->write_ops++;
        stats->write_bytes += request->transferred;
        stats->write_ns += ns;
        break;
    case BH_STORE_FLUSH:
        stats->flush_ops++;
        break;
    default:
        break;
    }
}

static const char *name_of(enum bh_store_operation operation)
{
    static const char *const names[] = {"read", "write", "flush", "discard", "zero"};

    return names[operation];
}

static const char *reason_of(int result)
{
    switch (result) {
    case -ENODATA:
        return "the file is shorter than it was";
    case -ENOTCONN:
        return "the NBD server is gone";
    default:
        return strerror(-result);
    }
}

static void complain(struct bh_disk *disk, const struct bh_scsi_request *request, int result)
{
    uint64_t now = bh_loop_now();
    char sentence[160];

    if (result == -ECANCELED)
        return;
    disk->stats.errors++;
    if (disk->complained != 0 && now - disk->complained < SECOND)
        return;
    disk->complained = now;
    (void)snprintf(sentence, sizeof(sentence), "Disk %s: %s at byte %llu failed: %s.", disk->id,
                   name_of(request->io.operation), (unsigned long long)request->io.offset,
                   reason_of(result));
    disk->options.failed(disk->options.context, disk->id, name_of(request->io.operation), sentence);
}

static void fail(struct bh_scsi_request *request, int result)
{
    bool is_read = request->io.operation == BH_STORE_READ;

    switch (result) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        bh_scsi_fail(request, SCSI_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION);
        break;
    case -EROFS:
    case -EPERM:
        bh_scsi_fail(request, SCSI_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
        break;
    case -EIO:
    case -ENODATA:
        bh_scsi_fail(request, SCSI_MEDIUM_ERROR,
                     is_read ? SCSI_ASC_READ_ERROR : SCSI_ASC_WRITE_ERROR);
        break;
    case -ENOTCONN:
    case -EPIPE:
    case -ECONNRESET:
        bh_scsi_fail(request, SCSI_HARDWARE_ERROR, SCSI_ASC_COMMUNICATION_FAILURE);
        break;
    default:
        bh_scsi_fail(request, SCSI_HARDWARE_ERROR, SCSI_ASC_INTERNAL_FAILURE);
        break;
    }
}

void bh_disk_io_ended(struct bh_scsi_request *request, int result)
{
    struct bh_disk *disk = request->disk;

    count(&disk->stats, request);
    if (result != 0) {
        complain(disk, request, result);
        fail(request, result);
    } else {
        bh_scsi_good(request, request->transferred);
    }
    disk->running--;
    clean_up(disk);
}

/* --- commands ----------------------------------------------------------------------------- */

static void request_sense(struct bh_disk *disk, struct bh_scsi_request *request)
{
    uint8_t sense[BH_SCSI_SENSE_SIZE];

    bh_scsi_sense(sense, disk->attention != 0 ? SCSI_UNIT_ATTENTION : 0, disk->attention);
    disk->attention = 0;
    bh_scsi_reply(request, sense, sizeof(sense), request->cdb[4]);
}

/* Commands that a drive answers also without a disc, and while there is news to tell. */
static bool execute_always(struct bh_disk *disk, struct bh_scsi_request *request)
{
    switch (request->cdb[0]) {
    case SCSI_INQUIRY:
        bh_disk_inquiry(disk, request);
        return true;
    case SCSI_REQUEST_SENSE:
        request_sense(disk, request);
        return true;
    default:
        return false;
    }
}

static void execute_on_medium(struct bh_disk *disk, struct bh_scsi_request *request)
{
    switch (request->cdb[0]) {
    case SCSI_TEST_UNIT_READY:
    case SCSI_START_STOP_UNIT:
    case SCSI_PREVENT_ALLOW:
        bh_scsi_good(request, 0);
        break;
    case SCSI_READ_6:
    case SCSI_READ_10:
    case SCSI_READ_12:
    case SCSI_READ_16:
    case SCSI_WRITE_6:
    case SCSI_WRITE_10:
    case SCSI_WRITE_12:
    case SCSI_WRITE_16:
        bh_disk_transfer(disk, request);
        break;
    case SCSI_VERIFY_10:
    case SCSI_VERIFY_16:
        bh_disk_verify(disk, request);
        break;
    case SCSI_SYNCHRONIZE_CACHE_10:
    case SCSI_SYNCHRONIZE_CACHE_16:
        bh_disk_flush(disk, request);
        break;
    case SCSI_READ_CAPACITY_10:
        bh_disk_read_capacity_10(disk, request);
        break;
    case SCSI_SERVICE_ACTION_IN_16:
        bh_disk_read_capacity_16(disk, request);
        break;
    default:
        bh_scsi_fail(request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPERATION);
        break;
    }
}

/* Of a disk only; false: not such a command. */
static bool execute_on_disk(struct bh_disk *disk, struct bh_scsi_request *request)
{
    switch (request->cdb[0]) {
    case SCSI_UNMAP:
        bh_disk_unmap(disk, request);
        return true;
    case SCSI_WRITE_SAME_10:
    case SCSI_WRITE_SAME_16:
        bh_disk_write_same(disk, request);
        return true;
    default:
        return false;
    }
}

void bh_disk_execute(struct bh_disk *disk, struct bh_scsi_request *request)
{
    request->disk = disk;
    request->began = 0;
    request->transferred = 0;
    if (execute_always(disk, request))
        return;
    if (disk->attention != 0) {
        uint32_t attention = disk->attention;

        disk->attention = 0;
        bh_scsi_fail(request, SCSI_UNIT_ATTENTION, attention);
        return;
    }
    if (request->cdb[0] == SCSI_MODE_SENSE_6 || request->cdb[0] == SCSI_MODE_SENSE_10)
        bh_disk_mode_sense(disk, request);
    else if (disk->options.is_cd && bh_cd_execute(disk, request))
        return;
    else if (disk->store == NULL)
        bh_scsi_fail(request, SCSI_NOT_READY, SCSI_ASC_MEDIUM_NOT_PRESENT);
    else if (disk->options.is_cd || !execute_on_disk(disk, request))
        execute_on_medium(disk, request);
}

void bh_disk_kick(struct bh_disk *disk)
{
    if (disk->store != NULL)
        bh_store_kick(disk->store);
}

void bh_disk_abandon(struct bh_disk *disk)
{
    bh_limit_abandon(&disk->limit);
}

/* --- life --------------------------------------------------------------------------------- */

struct bh_disk *bh_disk_create(struct bh_loop *loop, const struct bh_disk_options *options,
                               struct bh_store *store)
{
    struct bh_disk *disk = calloc(1, sizeof(*disk));

    if (disk == NULL ||
        !bh_limit_open(&disk->limit, loop, options->iops, options->bytes_per_second)) {
        if (disk != NULL)
            bh_limit_close(&disk->limit);
        bh_store_close(store);
        free(disk);
        return NULL;
    }
    disk->limit.start = start;
    disk->limit.started = after_wait;
    disk->limit.context = disk;
    disk->options = *options;
    (void)snprintf(disk->id, sizeof(disk->id), "%s", options->id);
    (void)snprintf(disk->vm, sizeof(disk->vm), "%s", options->vm);
    disk->store = store;
    disk->block = options->is_cd ? CD_BLOCK : DISK_BLOCK;
    disk->attention = SCSI_ASC_POWER_ON;
    return disk;
}

void bh_disk_destroy(struct bh_disk *disk)
{
    if (disk == NULL)
        return;
    disk->destroyed = true;
    clean_up(disk);
}

/* I/O of a disc that leaves goes on to its end; another change has to wait for that. */
static bool take_out(struct bh_disk *disk)
{
    if (disk->leaving != NULL)
        return false;
    disk->leaving = disk->store;
    disk->store = NULL;
    close_leaving(disk);
    return true;
}

bool bh_disk_insert(struct bh_disk *disk, struct bh_store *store)
{
    if (!take_out(disk)) {
        bh_store_close(store);
        return false;
    }
    disk->store = store;
    disk->attention = SCSI_ASC_MEDIUM_CHANGED;
    return true;
}

bool bh_disk_eject(struct bh_disk *disk, bool force)
{
    if (disk->store == NULL)
        return true;
    if ((disk->locked && !force) || !take_out(disk))
        return false;
    disk->locked = false;
    disk->attention = SCSI_ASC_MEDIUM_NOT_PRESENT;
    return true;
}

bool bh_disk_has_medium(const struct bh_disk *disk)
{
    return disk->store != NULL;
}

uint32_t bh_disk_attention(const struct bh_disk *disk, bool *locked)
{
    *locked = disk->locked;
    return disk->attention;
}

void bh_disk_set_attention(struct bh_disk *disk, uint32_t attention, bool locked)
{
    disk->attention = attention;
    disk->locked = locked;
}

const char *bh_disk_id(const struct bh_disk *disk)
{
    return disk->id;
}

const struct bh_disk_stats *bh_disk_get_stats(const struct bh_disk *disk)
{
    return &disk->stats;
}
