/* SPDX-License-Identifier: MIT */
#include "tests/unit/parent/fake_driver.h"
#include "hv/abi/partition.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "parent/driver/uapi/bulkhead.h"

struct fake_driver fake_driver;

#define FAKE_FD 77

static int fail(int number)
{
    errno = number;
    return -1;
}

static int fake_open(const char *path)
{
    if (strcmp(path, BH_HOST_NODE) != 0)
        return fail(ENOENT);
    if (fake_driver.open_errno != 0)
        return fail(fake_driver.open_errno);
    fake_driver.open_files++;
    return FAKE_FD;
}

static int fake_close(int fd)
{
    if (fd != FAKE_FD)
        return fail(EBADF);
    fake_driver.open_files--;
    return 0;
}

static int fake_read_log(struct bh_log_output *log)
{
    uint64_t from = log->position > fake_driver.log_start ? log->position : fake_driver.log_start;
    uint64_t length = from < fake_driver.log_end ? fake_driver.log_end - from : 0;

    if (length > BH_LOG_TEXT_SIZE)
        length = BH_LOG_TEXT_SIZE;
    memset(log, 0, sizeof(*log));
    log->position = from;
    log->end = fake_driver.log_end;
    log->length = (uint32_t)length;
    for (uint64_t i = 0; i < length; i++)
        log->text[i] = fake_driver.log[(from + i) % sizeof(fake_driver.log)];
    return 0;
}

static const void *find_object(const struct bh_stats_input *object, size_t *size)
{
    bool known = object->partition_id == BH_PARTITION_SELF ||
                 object->partition_id == fake_driver.partition.partition_id;

    switch (object->object) {
    case BH_STATS_HYPERVISOR:
        *size = sizeof(fake_driver.hypervisor);
        return &fake_driver.hypervisor;
    case BH_STATS_LP:
        *size = sizeof(fake_driver.lp[0]);
        return object->index < fake_driver.info.lp_count ? &fake_driver.lp[object->index] : NULL;
    case BH_STATS_PARTITION:
        *size = sizeof(fake_driver.partition);
        return known ? &fake_driver.partition : NULL;
    default:
        *size = sizeof(fake_driver.vp[0]);
        return known && object->index < fake_driver.partition.vp_count
                   ? &fake_driver.vp[object->index]
                   : NULL;
    }
}

static int fake_get_stats(const struct bh_stats_request *request)
{
    size_t size;
    const void *found;

    if (request->reserved != 0 || request->buffer_size == 0 || request->buffer_size > 4096)
        return fail(EINVAL);
    found = find_object(&request->object, &size);
    if (found == NULL)
        return fail(ENOENT);
    memcpy((void *)(uintptr_t)request->buffer, found,
           size < request->buffer_size ? size : request->buffer_size);
    return 0;
}

static int fake_list(struct bh_partition_list *list)
{
    uint64_t *ids = (uint64_t *)(uintptr_t)list->buffer;

    if (list->capacity == 0)
        return fail(EINVAL);
    ids[0] = fake_driver.partition.partition_id;
    if (list->capacity > 1 && fake_driver.vanished_partition != 0)
        ids[1] = fake_driver.vanished_partition;
    list->count = fake_driver.vanished_partition != 0 ? 2 : 1;
    return 0;
}

static int fake_ioctl(int fd, unsigned long request, void *argument)
{
    if (fd != FAKE_FD)
        return fail(EBADF);
    if (fake_driver.ioctl_errno != 0)
        return fail(fake_driver.ioctl_errno);
    switch (request) {
    case BH_IOC_GET_INFO:
        memcpy(argument, &fake_driver.info, sizeof(fake_driver.info));
        return 0;
    case BH_IOC_READ_LOG:
        return fake_read_log(argument);
    case BH_IOC_GET_STATS:
        return fake_get_stats(argument);
    case BH_IOC_PARTITION_ID:
        if (((struct bh_partition_id *)argument)->fd != FAKE_FD + 1)
            return fail(EINVAL);
        ((struct bh_partition_id *)argument)->id = 2;
        return 0;
    case BH_IOC_LIST_PARTITIONS:
        return fake_list(argument);
    default:
        return fail(ENOTTY);
    }
}

static bool fake_on_bulkhead(void)
{
    return fake_driver.on_bulkhead;
}

const struct bh_device_layer fake_device_layer = {
    .open = fake_open,
    .ioctl = fake_ioctl,
    .close = fake_close,
    .on_bulkhead = fake_on_bulkhead,
};

void fake_driver_reset(void)
{
    memset(&fake_driver, 0, sizeof(fake_driver));
    fake_driver.on_bulkhead = true;
    fake_driver.info = (struct bh_info){
        .abi_version = BH_ABI_VERSION,
        .vendor = BH_VENDOR_SVM,
        .lp_count = 2,
        .partition_count = 1,
        .uptime = 100000000, /* 10 s */
        .release = "9.8.7",
    };
    fake_driver.hypervisor = (struct bh_hypervisor_stats){
        .uptime = 100000000,
        .frames_total = 262144,
        .frames_hypervisor = 1024,
        .frames_parent = 261120,
        .pool_pages_total = 512,
        .pool_pages_free = 256,
    };
    for (uint32_t i = 0; i < 2; i++) {
        fake_driver.lp[i] = (struct bh_lp_stats){
            .apic_id = i, .time_guest = 25000000, .time_idle = 70000000, .context_switches = 500};
        fake_driver.vp[i] = (struct bh_vp_stats){
            .lp_index = i, .time_guest = 25000000, .exits[BH_EXIT_HLT] = 4000 + i};
    }
    fake_driver.partition = (struct bh_partition_stats){.partition_id = 1,
                                                        .vp_count = 2,
                                                        .frames_owned = 261120,
                                                        .hypercalls = 42,
                                                        .share = BH_SHARE(250, 1050, 5000)};
}
